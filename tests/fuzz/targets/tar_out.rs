//! Packing: files of any name and content come out as a tar that others can read.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt;

use tokio::io::AsyncReadExt;

/// The bytes are names and contents, in turn, each behind its length.
pub(crate) fn run(data: &[u8]) {
    super::runtime().block_on(async {
        let (mut launched, session) = super::lease().await;
        let mut files = BTreeMap::new();
        let mut rest = data;
        while let Some((name, content, after)) = file(rest) {
            rest = after;
            let path = OsStr::from_bytes(name);
            if session.write(std::path::Path::new("out").join(path), content).await.is_ok() {
                files.insert(name.to_vec(), content.to_vec());
            }
        }
        let mut tar = Vec::new();
        let packed = session.copy_out("out").read_to_end(&mut tar).await;
        assert!(packed.is_ok() || files.is_empty(), "{packed:?}");
        let mut seen = 0;
        for entry in tar::Archive::new(&tar[..]).entries().expect("an archive") {
            let mut entry = entry.expect("an entry");
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let name = entry.path_bytes().into_owned();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).expect("whole");
            assert_eq!(files.get(&name), Some(&content), "{name:?}");
            seen += 1;
        }
        assert_eq!(seen, files.len());
        launched.instance.destroy().await.expect("ends");
    });
}

/// A name without the bytes that make it a path, and a content.
fn file(data: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (name, rest) = piece(data)?;
    let (content, rest) = piece(rest)?;
    let plain =
        !name.is_empty() && !name.contains(&b'/') && !name.contains(&0) && name != b"." && name != b"..";
    plain.then_some((name, content, rest))
}

fn piece(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = data.split_first()?;
    rest.split_at_checked(usize::from(*length))
}
