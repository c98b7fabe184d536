use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::UnixListener;
use tokio::time::timeout;

use crate::protocol::{LINK_CONTROL, LINK_DATA};

/// Where a container's guest comes in: a socket in a directory that the container sees read-only. Open for one
/// guest; dropped, it is closed and removed.
#[derive(Debug)]
pub struct Doorway {
    listener: UnixListener,
    path: PathBuf,
}

/// Who came in.
#[derive(Debug)]
pub struct Visitor {
    /// Its control stream.
    pub control: UnixStream,
    /// Its data stream.
    pub data: UnixStream,
    /// Its pid as this process sees it; `None` where it sees none, being in a container itself.
    pub pid: Option<i32>,
    /// Its user, likewise.
    pub uid: u32,
    /// Its group, likewise.
    pub gid: u32,
}

impl Doorway {
    /// Opens it at `path`, which must not exist, for a guest of any user. Who can reach `path` can come in, so
    /// its directory must be closed to others.
    ///
    /// # Errors
    /// The system's. There must be a current tokio runtime.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref().to_owned();
        let listener = UnixListener::bind(&path)?;
        let doorway = Self { listener, path };
        // Connecting takes write permission, and the container's user may be anybody.
        fs::set_permissions(&doorway.path, Permissions::from_mode(0o666))?;
        Ok(doorway)
    }

    /// Waits for the guest's two connections, closes the doorway, and answers who came. Whether that is who was
    /// expected is for the caller to check.
    ///
    /// Cancel-safe in that nothing is left behind.
    ///
    /// # Errors
    /// `TimedOut` when nobody came within `limit`; `InvalidData` when somebody came who is no guest of ours, or
    /// not the same one twice.
    pub async fn admit(self, limit: Duration) -> io::Result<Visitor> {
        let both = async {
            let (control, first) = self.next(LINK_CONTROL).await?;
            let (data, second) = self.next(LINK_DATA).await?;
            if first.pid() != second.pid() {
                return Err(strange("two processes came in"));
            }
            let pid = first.pid().filter(|pid| *pid > 0);
            Ok(Visitor { control, data, pid, uid: first.uid(), gid: first.gid() })
        };
        timeout(limit, both).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }

    async fn next(&self, name: u8) -> io::Result<(UnixStream, tokio::net::unix::UCred)> {
        let (mut stream, _) = self.listener.accept().await?;
        let credentials = stream.peer_cred()?;
        if stream.read_u8().await? != name {
            return Err(strange("who came in did not say what for"));
        }
        Ok((stream.into_std()?, credentials))
    }
}

impl Drop for Doorway {
    fn drop(&mut self) {
        // Its directory may be gone already, with all that is in it.
        let _ = fs::remove_file(&self.path);
    }
}

fn strange(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
