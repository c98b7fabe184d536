use std::borrow::Cow;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use tar::{EntryType, Header, PaxExtensions};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::{BLOCK, damaged, padding};

/// The longest name, and the longest list of extended headers, that is read into memory.
const EXTENSION: u64 = 64 << 10;

/// Names and sizes that a plain header has no room for go before it, in headers of their own.
#[derive(Debug, Default)]
struct Extended {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
}

/// One member of a tar stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// Relative, without `.` and `..`. Empty for the directory that was packed itself.
    pub(super) path: PathBuf,
    pub(super) mode: u32,
    pub(super) content: Content,
}

/// What a member is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// A file of so many bytes, which follow.
    File(u64),
    Directory,
    Symlink(Vec<u8>),
    /// The same file as an earlier member.
    HardLink(PathBuf),
}

/// Cuts a tar stream into members.
#[derive(Debug)]
pub(super) struct Members<R> {
    reader: R,
    /// Bytes of the current member that were not read yet.
    left: u64,
    /// Bytes after it, to the end of its block.
    padding: usize,
}

impl<R: AsyncRead + Unpin> Members<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, left: 0, padding: 0 }
    }

    /// The next member; none at the end of the archive. What was not read of the last one is passed over.
    pub(super) async fn next(&mut self) -> io::Result<Option<Member>> {
        let mut extended = Extended::default();
        loop {
            self.pass().await?;
            let Some(header) = self.header().await? else {
                return Ok(None);
            };
            self.left = header.entry_size()?;
            self.padding = padding(self.left);
            match header.entry_type() {
                EntryType::XGlobalHeader => {}
                EntryType::XHeader => extended.read_pax(&self.extension().await?)?,
                EntryType::GNULongName => extended.path = Some(self.name().await?),
                EntryType::GNULongLink => extended.link = Some(self.name().await?),
                kind => {
                    if let Some(size) = extended.size {
                        self.left = size;
                        self.padding = padding(size);
                    }
                    return self.member(kind, &header, extended).map(Some);
                }
            }
        }
    }

    /// The next bytes of the current member's content; 0 at its end.
    pub(super) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        match self.reader.read(&mut buffer[..most]).await? {
            0 => Err(cut_short()),
            count => {
                self.left -= count as u64;
                Ok(count)
            }
        }
    }

    fn member(&self, kind: EntryType, header: &Header, extended: Extended) -> io::Result<Member> {
        let name = extended.path.map_or_else(|| header.path_bytes(), Cow::Owned);
        let shown = || String::from_utf8_lossy(&name).into_owned();
        let path = inside(&name).ok_or_else(|| damaged(format!("{}: leads out of the archive", shown())))?;
        let link =
            || extended.link.or_else(|| header.link_name_bytes().map(Cow::into_owned)).unwrap_or_default();
        let content = match kind {
            // Archives older than the type say it with a slash.
            EntryType::Regular if name.ends_with(b"/") => Content::Directory,
            EntryType::Regular | EntryType::Continuous => Content::File(self.left),
            EntryType::Directory => Content::Directory,
            EntryType::Symlink => Content::Symlink(link()),
            EntryType::Link => {
                let target = inside(&link()).filter(|target| !target.as_os_str().is_empty());
                Content::HardLink(target.ok_or_else(|| damaged(format!("{}: linked to outside", shown())))?)
            }
            _ => return Err(damaged(format!("{}: neither file, directory nor link", shown()))),
        };
        if path.as_os_str().is_empty() && content != Content::Directory {
            return Err(damaged("a member without a name"));
        }
        Ok(Member { path, mode: header.mode()? & 0o7777, content })
    }

    async fn header(&mut self) -> io::Result<Option<Header>> {
        let mut header = Header::new_old();
        let block = header.as_mut_bytes();
        // A stream may end without the mark, but not within a block.
        match self.reader.read(block).await? {
            0 => return Ok(None),
            count => fill(&mut self.reader, &mut block[count..]).await?,
        }
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        // As if the sum itself were eight spaces.
        let field = 148..156;
        let sum = block.iter().map(|byte| u32::from(*byte)).sum::<u32>()
            - block[field].iter().map(|byte| u32::from(*byte)).sum::<u32>()
            + 8 * u32::from(b' ');
        if header.cksum()? != sum {
            return Err(damaged("a header's checksum is wrong"));
        }
        Ok(Some(header))
    }

    /// The content of a member that says something about the next one.
    async fn extension(&mut self) -> io::Result<Vec<u8>> {
        if self.left > EXTENSION {
            return Err(damaged("an extended header is too long"));
        }
        let mut content = vec![0; usize::try_from(self.left).unwrap_or_default()];
        fill(&mut self.reader, &mut content).await?;
        self.left = 0;
        Ok(content)
    }

    async fn name(&mut self) -> io::Result<Vec<u8>> {
        let mut name = self.extension().await?;
        if name.last() == Some(&0) {
            name.pop();
        }
        Ok(name)
    }

    /// Passes over what is left of the current member.
    async fn pass(&mut self) -> io::Result<()> {
        let mut buffer = [0; 8 << 10];
        while self.read(&mut buffer).await? > 0 {}
        fill(&mut self.reader, &mut buffer[..std::mem::take(&mut self.padding)]).await
    }
}

async fn fill(reader: &mut (impl AsyncRead + Unpin), buffer: &mut [u8]) -> io::Result<()> {
    match reader.read_exact(buffer).await {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(cut_short()),
        Err(error) => Err(error),
    }
}

fn cut_short() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the archive is cut short")
}

impl Extended {
    fn read_pax(&mut self, records: &[u8]) -> io::Result<()> {
        for record in PaxExtensions::new(records) {
            let record = record?;
            match record.key_bytes() {
                b"path" => self.path = Some(record.value_bytes().to_vec()),
                b"linkpath" => self.link = Some(record.value_bytes().to_vec()),
                b"size" => {
                    let size = record.value().ok().and_then(|size| size.parse().ok());
                    self.size = Some(size.ok_or_else(|| damaged("an extended size is no number"))?);
                }
                key if key.starts_with(b"GNU.sparse.") => return Err(damaged("a sparse file")),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Appends the header of a member to `out`, and before it what it has no room for.
pub(super) fn write_header(
    out: &mut Vec<u8>,
    kind: EntryType,
    path: &Path,
    link: &[u8],
    (size, mode, modified): (u64, u32, u64),
) {
    let path = path.as_os_str().as_bytes();
    for (kind, name) in [(EntryType::GNULongName, path), (EntryType::GNULongLink, link)] {
        if name.len() > NAME {
            let size = name.len() as u64 + 1;
            out.extend_from_slice(header(kind, b"././@LongLink", b"", (size, 0o644, 0)).as_bytes());
            out.extend_from_slice(name);
            out.push(0);
            out.resize(out.len() + padding(size), 0);
        }
    }
    out.extend_from_slice(header(kind, path, link, (size, mode, modified)).as_bytes());
}

/// Bytes of a name that a header has room for.
const NAME: usize = 100;

fn header(kind: EntryType, path: &[u8], link: &[u8], (size, mode, modified): (u64, u32, u64)) -> Header {
    let mut header = Header::new_gnu();
    // Not through `set_path`, which takes names apart and would not put all of them together again.
    let names = header.as_old_mut();
    let (path, link) = (&path[..path.len().min(NAME)], &link[..link.len().min(NAME)]);
    names.name[..path.len()].copy_from_slice(path);
    names.linkname[..link.len()].copy_from_slice(link);
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(mode);
    header.set_mtime(modified);
    header.set_uid(0);
    header.set_gid(0);
    header.set_cksum();
    header
}

/// A member's path without `.`; none when it is absolute, has a `..`, or holds a zero byte.
fn inside(name: &[u8]) -> Option<PathBuf> {
    if name.contains(&0) {
        return None;
    }
    let mut path = PathBuf::new();
    for component in Path::new(OsStr::from_bytes(name)).components() {
        match component {
            Component::Normal(name) => path.push(name),
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir | Component::ParentDir => return None,
        }
    }
    Some(path)
}

const _: () = assert!(BLOCK == size_of::<Header>());
