//! How the guest gets into a container and is spoken to there.
//!
//! ```text
//!  link     guest file and socket directory mounted; the guest connects to us      where we share a file system
//!  attach   guest file uploaded; the engine carries the container's stdin and stdout         everywhere else
//! ```
//!
//! Whether the engine shares our file system cannot be told from its address: a socket may lead to a virtual machine,
//! a network address to this host. So it is tried: when the guest of the first container comes in through the
//! mounted socket, it does.

use std::sync::atomic::{AtomicU8, Ordering};

use crate::model::Transport;

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Link,
    Attach,
}

/// Which of the two, as far as that is known.
#[derive(Debug)]
pub(super) struct Ways(AtomicU8);

const UNKNOWN: u8 = 0;
const LINK: u8 = 1;
const ATTACH: u8 = 2;

impl Ways {
    pub(super) fn new(wanted: Transport) -> Self {
        Self(AtomicU8::new(match wanted {
            Transport::Auto => UNKNOWN,
            Transport::Link => LINK,
            Transport::Attach => ATTACH,
        }))
    }

    /// What is known or was asked for.
    pub(super) fn known(&self) -> Option<Way> {
        match self.0.load(Ordering::Relaxed) {
            LINK => Some(Way::Link),
            ATTACH => Some(Way::Attach),
            _ => None,
        }
    }

    /// A trial's outcome; answers whether it is news. The first counts.
    pub(super) fn found(&self, way: Way) -> bool {
        let way = match way {
            Way::Link => LINK,
            Way::Attach => ATTACH,
        };
        self.0.compare_exchange(UNKNOWN, way, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

impl Way {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Attach => "attach",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_trial_decides_where_nothing_was_asked_for() {
        let ways = Ways::new(Transport::Auto);
        assert_eq!(ways.known(), None);
        assert!(ways.found(Way::Link));
        assert!(!ways.found(Way::Attach));
        assert_eq!(ways.known(), Some(Way::Link));
        let asked = Ways::new(Transport::Attach);
        assert!(!asked.found(Way::Link));
        assert_eq!(asked.known(), Some(Way::Attach));
    }
}
