//! What the poll's numbers stand for.

use crate::exec::Part;
use crate::stream::Side;
use crate::table::Key;

/// A source of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Stream(Side),
    Signals,
    /// The stream behind both streams.
    Attach,
    /// A pipe of an operation's program.
    Operation(Key, Part),
    /// A pipe of a program that is over.
    Leftover(Key),
}

const fn pack(key: Key, kind: u64) -> u64 {
    (key.generation as u64) << 32 | (key.index as u64) << 8 | kind
}

impl From<Token> for u64 {
    fn from(token: Token) -> Self {
        match token {
            Token::Signals => 0,
            Token::Stream(Side::Control) => 1,
            Token::Stream(Side::Data) => 2,
            Token::Operation(key, Part::Stdin) => pack(key, 3),
            Token::Operation(key, Part::Stdout) => pack(key, 4),
            Token::Operation(key, Part::Stderr) => pack(key, 5),
            Token::Leftover(key) => pack(key, 6),
            Token::Attach => 7,
        }
    }
}

impl From<u64> for Token {
    fn from(packed: u64) -> Self {
        let [kind, index_low, index_high, _, generation @ ..] = packed.to_le_bytes();
        let key = Key {
            index: u16::from_le_bytes([index_low, index_high]),
            generation: u32::from_le_bytes(generation),
        };
        match kind {
            1 => Self::Stream(Side::Control),
            2 => Self::Stream(Side::Data),
            3 => Self::Operation(key, Part::Stdin),
            4 => Self::Operation(key, Part::Stdout),
            5 => Self::Operation(key, Part::Stderr),
            6 => Self::Leftover(key),
            7 => Self::Attach,
            _ => Self::Signals,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_the_poll() {
        let key = Key { index: u16::MAX - 1, generation: u32::MAX - 1 };
        let parts = [Part::Stdin, Part::Stdout, Part::Stderr].map(|part| Token::Operation(key, part));
        let others = [
            Token::Signals,
            Token::Attach,
            Token::Stream(Side::Control),
            Token::Stream(Side::Data),
            Token::Leftover(key),
        ];
        for token in parts.into_iter().chain(others) {
            assert_eq!(Token::from(u64::from(token)), token);
        }
    }
}
