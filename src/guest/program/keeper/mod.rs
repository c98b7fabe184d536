//! Makes a runtime's walls before there is a guest, and cleans up after it.

use std::ffi::OsString;

/// Runs the keeper until its guest has ended.
///
/// # Errors
/// What made it impossible, for people.
pub(crate) fn run(_arguments: &[OsString]) -> Result<(), String> {
    Err("this guest was built without a keeper".to_owned())
}
