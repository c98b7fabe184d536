use std::path::Path;

use bytes::Bytes;

use super::Error;

/// Reads a directory into a tar, to be laid out in every workspace. Blocks; its size was bounded when the
/// configuration was checked.
pub(super) fn pack(directory: &Path) -> Result<Bytes, Error> {
    let pack = || {
        let mut tar = tar::Builder::new(Vec::new());
        tar.follow_symlinks(false);
        tar.append_dir_all("", directory)?;
        tar.into_inner()
    };
    pack().map(Bytes::from).map_err(|error: std::io::Error| {
        let error = std::io::Error::new(error.kind(), format!("template {}: {error}", directory.display()));
        Error::not_started(error)
    })
}
