//! What a lease writes wherever it can, and the next one looks for.

use std::fmt;

/// How every token of every run begins.
pub(super) const PREFIX: &str = "ostler-stress-";

/// The mark of one lease.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Token {
    /// Of this run of this program.
    pub(super) run: u64,
    /// Place of the pool among those under stress.
    pub(super) pool: usize,
    pub(super) runtime: u64,
    pub(super) lease: u64,
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{:x}.{}.{}.{}", self.run, self.pool, self.runtime, self.lease)
    }
}

impl Token {
    /// From what follows the prefix.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let run = u64::from_str_radix(parts.next()?, 16).ok()?;
        let (pool, runtime, lease) =
            (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        parts.next().is_none().then_some(Self { run, pool, runtime, lease })
    }

    /// All that are in some bytes, each once.
    pub(super) fn find(bytes: &[u8]) -> Vec<Self> {
        let mut found = Vec::new();
        let mut rest = bytes;
        while let Some(at) = position(rest, PREFIX.as_bytes()) {
            rest = &rest[at + PREFIX.len()..];
            let length = rest.iter().take_while(|byte| byte.is_ascii_hexdigit() || **byte == b'.').count();
            let token = std::str::from_utf8(&rest[..length])
                .ok()
                .and_then(|text| Self::parse(text.trim_end_matches('.')));
            if let Some(token) = token
                && !found.contains(&token)
            {
                found.push(token);
            }
        }
        found
    }
}

fn position(bytes: &[u8], words: &[u8]) -> Option<usize> {
    bytes.windows(words.len()).position(|window| window == words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_found_among_anything() {
        let one = Token { run: 0xabc, pool: 0, runtime: 7, lease: 1 };
        let two = Token { lease: 22, ..one.clone() };
        let text = format!("x\0OSTLER={one}\0{one}\n./{two}.\n{PREFIX}zz {PREFIX}");
        assert_eq!(Token::find(text.as_bytes()), [one, two]);
        assert_eq!(Token::find(b"ostler-stress"), []);
    }
}
