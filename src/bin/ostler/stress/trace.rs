use std::fmt::{self, Write};

/// A fingerprint of all that happened, in order. The same on every machine and with every compiler: FNV-1a.
#[derive(Debug)]
pub(super) struct Trace(u64);

impl Trace {
    pub(super) const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    pub(super) fn add(&mut self, number: u64) {
        number.to_le_bytes().into_iter().for_each(|byte| self.byte(byte));
    }

    pub(super) fn add_shown(&mut self, what: &impl fmt::Debug) {
        // Writing to a fingerprint does not fail.
        let _ = write!(self, "{what:?}");
    }

    pub(super) const fn value(&self) -> u64 {
        self.0
    }

    const fn byte(&mut self, byte: u8) {
        self.0 = (self.0 ^ byte as u64).wrapping_mul(0x0100_0000_01b3);
    }
}

impl Write for Trace {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(|byte| self.byte(byte));
        Ok(())
    }
}
