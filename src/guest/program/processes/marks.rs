use std::hash::{BuildHasher, Hasher, RandomState};

use crate::sys::{Errno, limit};

/// Below this hard limit there is no room for marks that nobody meets by chance.
const ENOUGH: u64 = 1 << 32;

/// Marks that tell each operation's processes from all others.
///
/// A mark is a hard `RLIMIT_RTTIME`: every fork and exec hands it down, whatever a process does about its
/// session, its parents or its name, and none can raise it again. As a limit it is far too large to bite.
#[derive(Debug)]
pub(crate) struct Marks {
    /// The first, from which they count down; `None` when the guest itself is limited too tightly.
    first: Option<u64>,
    given: u64,
}

impl Marks {
    pub(crate) fn new() -> Result<Self, Errno> {
        let inherited = limit::hard(0, limit::REALTIME)?;
        // Chance keeps the marks of several guests that see the same processes apart.
        let ceiling = inherited.min(1 << 62);
        let random = RandomState::new().build_hasher().finish();
        let first = (ceiling >= ENOUGH).then(|| ceiling / 4 + random % (ceiling / 2));
        Ok(Self { first, given: 0 })
    }

    /// A mark never given before; none where there are none.
    pub(crate) fn next(&mut self) -> Option<u64> {
        let mark = self.first?.checked_sub(self.given).filter(|mark| *mark > 0)?;
        self.given += 1;
        Some(mark)
    }

    /// Whether processes can be marked at all.
    pub(crate) fn are_available(&self) -> bool {
        self.first.is_some()
    }

    /// Whether it was given by this guest.
    pub(crate) fn is_ours(&self, mark: u64) -> bool {
        self.first.and_then(|first| first.checked_sub(mark)).is_some_and(|nth| nth < self.given)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_unique_and_recognised() {
        let mut marks = Marks::new().expect("the limit can be read");
        let (a, b) = (marks.next().expect("a mark"), marks.next().expect("a mark"));
        assert!(b < a, "a process may lower its limit, so a later mark must not be above an earlier one");
        assert!(marks.is_ours(a) && marks.is_ours(b));
        assert!(!marks.is_ours(a + 1) && !marks.is_ours(b - 1) && !marks.is_ours(limit::UNLIMITED));
    }
}
