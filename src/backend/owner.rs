use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// Whose runtimes these are.
#[derive(Clone, Debug)]
pub struct Owner {
    /// Name of the ostler instance. Ostlers of one name clean up after each other's deaths.
    pub instance: String,
    /// Directory for what must lie in files: workspaces without namespaces. Made when it is missing. Where
    /// runtimes run as another user, that user must be able to pass through it.
    pub state_dir: PathBuf,
}

/// One life of one ostler, as the name of the directories that belong to it:
/// `<instance>-<boot>-<pid namespace>-<pid>-<start>`. It names a process beyond doubt, also after its pid has
/// been given away again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Life {
    instance: String,
    /// First part of the kernel's boot id.
    boot: String,
    /// Pids mean nothing without it.
    pid_namespace: u64,
    pid: u32,
    /// Ticks from boot to the process's start.
    start: u64,
}

impl Life {
    /// This process's.
    pub(super) fn own(owner: &Owner) -> io::Result<Self> {
        let pid = std::process::id();
        Ok(Self {
            instance: plain(&owner.instance),
            boot: boot()?,
            pid_namespace: pid_namespace()?,
            pid,
            start: start_of(pid)?,
        })
    }

    /// The life a directory belongs to; `None` for what is no such name.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let mut parts = name.rsplitn(5, '-');
        let mut next = || parts.next();
        let start = next()?.parse().ok()?;
        let pid = next()?.parse().ok()?;
        let pid_namespace = next()?.parse().ok()?;
        let boot = next()?.to_owned();
        Some(Self { instance: next()?.to_owned(), boot, pid_namespace, pid, start })
    }

    /// The boot it belongs to, as the first part of the kernel's boot id.
    #[cfg(feature = "docker")]
    pub(super) fn boot(&self) -> &str {
        &self.boot
    }

    /// The same instance's, were this process's parent its host.
    #[cfg(all(test, feature = "docker"))]
    pub(super) fn of_parent(&self) -> Self {
        let pid = std::os::unix::process::parent_id();
        Self { pid, start: start_of(pid).expect("a parent"), ..self.clone() }
    }

    /// Whether this is another life of the same instance, and provably over. A life in another pid namespace
    /// of this boot can't be judged from here and counts as not over.
    pub(super) fn is_over_for(&self, own: &Self) -> bool {
        if self.instance != own.instance || self == own {
            return false;
        }
        if self.boot != own.boot {
            return true;
        }
        self.pid_namespace == own.pid_namespace
            && match start_of(self.pid) {
                Ok(start) => start != self.start,
                Err(error) => error.kind() == io::ErrorKind::NotFound,
            }
    }
}

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { instance, boot, pid_namespace, pid, start } = self;
        write!(f, "{instance}-{boot}-{pid_namespace}-{pid}-{start}")
    }
}

/// A name with nothing in it that a file name or a host name can't have.
pub(super) fn plain(name: &str) -> String {
    let plain =
        |letter: char| if letter.is_ascii_alphanumeric() || ".-_".contains(letter) { letter } else { '_' };
    name.chars().map(plain).take(100).collect::<String>().trim_start_matches('.').to_owned()
}

fn boot() -> io::Result<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(id.chars().take(8).collect())
}

fn pid_namespace() -> io::Result<u64> {
    Ok(fs::metadata("/proc/self/ns/pid")?.ino())
}

/// When a process started, in ticks since boot.
fn start_of(pid: u32) -> io::Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is a name that may hold anything, in parentheses; the 22nd is what we want.
    stat.rsplit_once(") ")
        .and_then(|(_, rest)| rest.split(' ').nth(19)?.parse().ok())
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{pid}/stat has no start")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Life {
        let owner = Owner { instance: "my-shop".to_owned(), state_dir: PathBuf::new() };
        Life::own(&owner).unwrap()
    }

    #[test]
    fn a_name_is_read_back() {
        let own = own();
        assert_eq!(Life::parse(&own.to_string()), Some(own));
        assert_eq!(Life::parse("something-else"), None);
        assert_eq!(Life::parse("a-b-c-d-e"), None);
    }

    #[test]
    fn only_the_dead_of_the_same_name_are_over() {
        let own = own();
        assert!(!own.is_over_for(&own));
        // The test's parent lives.
        let parent = std::os::unix::process::parent_id();
        let sibling = Life { pid: parent, start: start_of(parent).unwrap(), ..own.clone() };
        assert!(!sibling.is_over_for(&own));
        // The same pid, earlier.
        assert!(Life { start: own.start.wrapping_sub(1), ..own.clone() }.is_over_for(&own));
        // No such pid.
        assert!(Life { pid: u32::MAX, ..own.clone() }.is_over_for(&own));
        assert!(Life { boot: "00000000".to_owned(), ..own.clone() }.is_over_for(&own));
        assert!(!Life { pid_namespace: 1, pid: u32::MAX, ..own.clone() }.is_over_for(&own));
        assert!(!Life { instance: "other".to_owned(), pid: u32::MAX, ..own.clone() }.is_over_for(&own));
    }
}
