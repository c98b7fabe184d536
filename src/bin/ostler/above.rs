use std::io::{self, Write};

use indicatif::ProgressBar;

/// Writes whole lines to stderr, above the progress that is there.
pub(crate) struct Above {
    bar: Option<ProgressBar>,
    /// Of the line that has not ended.
    line: Vec<u8>,
}

impl Above {
    pub(crate) fn new(bar: Option<ProgressBar>) -> Self {
        Self { bar, line: Vec::new() }
    }
}

impl Write for Above {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line.extend_from_slice(bytes);
        if bytes.contains(&b'\n') {
            let lines = std::mem::take(&mut self.line);
            let write = || io::stderr().write_all(&lines);
            self.bar.as_ref().map_or_else(write, |bar| bar.suspend(write))?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
