use serde::Serialize;

/// What one runtime may use. `None` means no limit is set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Limits {
    /// Resident memory of all its processes together, bytes. 4 MiB to 64 TiB.
    pub memory: Option<u64>,
    /// Processes and threads. 4 to 4 194 304.
    pub pids: Option<u64>,
    /// Processors; 0.5 is half of one. 0.01 to 4096. Set aside while the runtime's guest is more than 20 ms late with
    /// the end of a command or a reset.
    pub cpus: Option<f64>,
    /// The largest file it may write, bytes. 1 KiB to 64 TiB.
    pub file_size: Option<u64>,
    /// Open descriptors per process. 16 to 1 048 576.
    pub open_files: Option<u64>,
}

impl Default for Limits {
    /// 512 MiB, 128 processes, one processor, files of 256 MiB, 1024 descriptors.
    fn default() -> Self {
        Self {
            memory: Some(512 << 20),
            pids: Some(128),
            cpus: Some(1.0),
            file_size: Some(256 << 20),
            open_files: Some(1024),
        }
    }
}
