use std::path::Path;
use std::str::FromStr;

/// Text of a certain form: what the model reads it as, and how it is documented.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// What it may be, for people.
    pub(super) bounds: &'static str,
    /// One such, as TOML.
    pub(super) example: &'static str,
    /// What is wrong with a text.
    pub(super) check: fn(&str) -> Result<(), String>,
    /// The text with its path taken to start at a directory, where there is a relative one in it.
    pub(super) rebase: fn(&str, &Path) -> String,
}

impl Shape {
    /// Text that `check` finds nothing wrong with.
    pub(super) const fn new(
        bounds: &'static str,
        example: &'static str,
        check: fn(&str) -> Result<(), String>,
    ) -> Self {
        Self { bounds, example, check, rebase: |text, _| text.to_owned() }
    }

    /// Text that stands for a `T`.
    pub(super) const fn of<T: FromStr<Err = String>>(bounds: &'static str, example: &'static str) -> Self {
        Self::new(bounds, example, |text| text.parse::<T>().map(drop))
    }

    /// The same, with paths.
    pub(super) const fn with_paths(self, rebase: fn(&str, &Path) -> String) -> Self {
        Self { rebase, ..self }
    }
}
