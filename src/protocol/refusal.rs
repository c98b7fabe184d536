use super::byte_enum::byte_enum;

/// Why an operation was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The class a program can act on.
    pub kind: RefusalKind,
    /// The system's error number, when there was one; else 0.
    pub errno: u32,
    /// For people; names the step and the path.
    pub message: String,
}

/// Classes of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// No such path or program.
    NotFound,
    /// Not allowed, by the system or by the guest's own rules.
    Denied,
    /// The path is not what the operation needs (a directory where a file is wanted, say).
    WrongKind,
    /// A limit was hit: disk, memory, processes, descriptors, operations at once.
    Exhausted,
    /// The epoch has ended.
    Stale,
    /// The request makes no sense.
    Invalid,
    /// Anything else the system said.
    Failed,
}

byte_enum!(RefusalKind { NotFound = 0, Denied = 1, WrongKind = 2, Exhausted = 3, Stale = 4, Invalid = 5, Failed = 6 });
