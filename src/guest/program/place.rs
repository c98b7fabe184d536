//! Where the guest lives, as whoever started it tells it.

use crate::confine::Confinement;
use crate::protocol::{Decoder, Encoder, Malformed};

/// The guest's surroundings.
#[derive(Debug)]
pub(crate) struct Place {
    /// Where relative paths start and commands begin. Absolute.
    pub(crate) workspace: Vec<u8>,
    /// Everything a lease can write to; a reset wipes it. Contains the workspace.
    pub(crate) writable: Vec<Writable>,
    /// What surrounds it.
    pub(crate) walls: Walls,
    /// What each command is confined by.
    pub(crate) confinement: Confinement,
}

/// Whether the runtime has namespaces of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Walls {
    /// Pid, mount and ipc namespaces of its own: the guest is PID 1, may mount, and the whole tree of files it
    /// sees is the runtime's.
    Private,
    /// The host's: only what is below the workspace is the runtime's.
    Shared,
}

/// One writable directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Writable {
    /// Where. Absolute, no symbolic links in it.
    pub(crate) path: Vec<u8>,
    /// Size of its tmpfs, bytes. Unused with [`Walls::Shared`].
    pub(crate) size: u64,
    /// Permission bits of the directory itself.
    pub(crate) mode: u32,
}

impl Place {
    /// A place without walls around one directory.
    pub(crate) fn directory(workspace: Vec<u8>) -> Self {
        let writable = vec![Writable { path: workspace.clone(), size: 0, mode: 0o700 }];
        Self { workspace, writable, walls: Walls::Shared, confinement: Confinement::default() }
    }

    /// Appends it to `out`.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let mut e = Encoder::new(out);
        e.bytes(&self.workspace)
            .list(&self.writable, |e, writable| {
                e.bytes(&writable.path).u64(writable.size).u32(writable.mode);
            })
            .flag(self.walls == Walls::Private);
        self.confinement.encode(&mut e);
    }

    /// What [`encode`](Self::encode) wrote.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut d = Decoder::new(bytes);
        let place = Self {
            workspace: d.owned()?,
            writable: d.list(|d| Ok(Writable { path: d.owned()?, size: d.u64()?, mode: d.u32()? }))?,
            walls: if d.flag()? { Walls::Private } else { Walls::Shared },
            confinement: Confinement::decode(&mut d)?,
        };
        d.end()?;
        Ok(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::confine::Limit;

    #[test]
    fn what_was_written_is_read() {
        let place = Place {
            writable: vec![Writable { path: b"/tmp".to_vec(), size: 1 << 20, mode: 0o1777 }],
            walls: Walls::Private,
            confinement: Confinement::new(vec![Limit { resource: 7, value: 64 }], None),
            ..Place::directory(b"/work".to_vec())
        };
        let mut bytes = Vec::new();
        place.encode(&mut bytes);
        let mut again = Vec::new();
        Place::decode(&bytes).expect("a place").encode(&mut again);
        assert_eq!(again, bytes);
        for end in 0..bytes.len() {
            assert!(Place::decode(&bytes[..end]).is_err());
        }
    }
}
