//! What programs find in their environment.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use crate::protocol::Variable;

/// Variables that are ostler's own start so.
const OWN: &[u8] = b"OSTLER_";

/// `PATH` where neither the image nor anybody else says one: an engine's usual.
const PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Variables that each program has, unless it is given others of the same name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Environment(BTreeMap<Vec<u8>, Vec<u8>>);

impl Environment {
    /// `HOME`, and nothing else.
    pub(crate) fn at_home(home: &[u8]) -> Self {
        Self([(b"HOME".to_vec(), home.to_vec())].into())
    }

    /// The guest's own, as the engine made it from image and config. `HOME` is what that says, else what `passwd` has
    /// for `uid`, where that is a directory; else `workspace`, as in a sandbox. `/` is what engines say when they
    /// know of none, and a user without a home has use for one that can be written to.
    pub(crate) fn inherited(uid: u32, passwd: &[u8], workspace: &[u8]) -> Self {
        let own = std::env::vars_os().map(|(name, value)| (name.into_vec(), value.into_vec()));
        let mut all: BTreeMap<_, _> = own.filter(|(name, _)| !name.starts_with(OWN)).collect();
        all.entry(b"PATH".to_vec()).or_insert_with(|| PATH.to_vec());
        let said = [all.get(b"HOME".as_slice()).map(Vec::as_slice), home(uid, passwd)];
        let home = said.into_iter().flatten().find(|home| is_home(home)).unwrap_or(workspace).to_vec();
        all.insert(b"HOME".to_vec(), home);
        Self(all)
    }

    /// With `others` over it.
    pub(crate) fn with(mut self, others: &[Variable]) -> Self {
        self.0.extend(others.iter().cloned());
        self
    }

    /// A variable's value.
    pub(crate) fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.0.get(name).map(Vec::as_slice)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_slice(), value.as_slice()))
    }
}

fn is_home(path: &[u8]) -> bool {
    path != b"/" && Path::new(OsStr::from_bytes(path)).is_dir()
}

/// The user's home directory.
fn home(uid: u32, passwd: &[u8]) -> Option<&[u8]> {
    let uid = uid.to_string();
    passwd.split(|byte| *byte == b'\n').find_map(|line| {
        let mut fields = line.split(|byte| *byte == b':');
        let found = fields.nth(2)? == uid.as_bytes();
        fields.nth(2).filter(|home| found && !home.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_is_found_by_number() {
        let passwd = b"root:x:0:0:root:/root:/bin/sh\nbad\napp:x:1000:1000::/srv/app:/bin/sh\nnone:x:7:7:::";
        assert_eq!(home(1000, passwd), Some(b"/srv/app".as_slice()));
        assert_eq!(home(0, passwd), Some(b"/root".as_slice()));
        assert_eq!(home(7, passwd), None);
        assert_eq!(home(8, passwd), None);
    }

    #[test]
    fn a_home_is_a_directory_and_not_the_root() {
        assert!(is_home(b"/usr"));
        assert!(!is_home(b"/") && !is_home(b"/nonexistent") && !is_home(b"/etc/passwd"));
    }

    #[test]
    fn the_later_layer_wins() {
        let variable = |name: &str, value: &str| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
        let layers = Environment::at_home(b"/a").with(&[variable("HOME", "/b"), variable("X", "1")]);
        assert_eq!(layers.get(b"HOME"), Some(b"/b".as_slice()));
        assert_eq!(layers.iter().count(), 2);
    }
}
