use std::fmt::Display;

/// Names the step at which something failed, for the report to the host.
pub(super) trait Step<T> {
    /// The failure as text: the step, then the reason.
    fn step(self, what: impl Display) -> Result<T, String>;
}

impl<T, E: Display> Step<T> for Result<T, E> {
    fn step(self, what: impl Display) -> Result<T, String> {
        self.map_err(|why| format!("{what}: {why}"))
    }
}
