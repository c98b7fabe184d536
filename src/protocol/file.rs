use super::byte_enum::byte_enum;
use super::codec::{Decoder, Encoder, Malformed};
use super::request::Path;

/// What a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A pipe, socket or device.
    Other,
}

/// A path described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: FileKind,
    /// Bytes.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// Last change of content, milliseconds since 1970.
    pub modified_ms: u64,
    /// Where a symbolic link points; empty otherwise.
    pub target: Path,
}

/// One line of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Relative to the listed directory.
    pub path: Path,
    /// What is there.
    pub stat: Stat,
}

byte_enum!(FileKind { File = 0, Directory = 1, Symlink = 2, Other = 3 });

impl Stat {
    pub(super) fn encode(&self, e: &mut Encoder<'_>) {
        e.u8(self.kind.to_byte()).u64(self.size).u32(self.mode).u64(self.modified_ms).bytes(&self.target);
    }

    pub(super) fn decode(d: &mut Decoder<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            kind: FileKind::from_byte(d.u8()?)?,
            size: d.u64()?,
            mode: d.u32()?,
            modified_ms: d.u64()?,
            target: d.owned()?,
        })
    }
}

impl Entry {
    /// Appends it to the payload of a `Data` frame.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut e = Encoder::new(out);
        e.bytes(&self.path);
        self.stat.encode(&mut e);
    }

    /// All entries of one `Data` payload.
    ///
    /// # Errors
    /// When it does not hold whole entries.
    pub fn decode_all(payload: &[u8]) -> Result<Vec<Self>, Malformed> {
        let mut entries = Vec::new();
        let mut rest = payload;
        while !rest.is_empty() {
            let mut d = Decoder::new(rest);
            entries.push(Self { path: d.owned()?, stat: Stat::decode(&mut d)? });
            rest = d.rest();
        }
        Ok(entries)
    }
}
