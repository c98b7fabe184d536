use std::fmt;

/// A signal for a running command, by its number on Linux.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signal(pub u32);

macro_rules! signals {
    ($($(#[$doc:meta])* $name:ident = $number:literal),* $(,)?) => {
        impl Signal {
            $($(#[$doc])* pub const $name: Self = Self($number);)*

            /// The name without `SIG`, for those that have a constant here.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

signals! {
    /// The terminal went away; many services reload.
    HUP = 1,
    /// Interrupt, as from Ctrl-C.
    INT = 2,
    /// Quit with a core dump.
    QUIT = 3,
    /// End now; cannot be caught.
    KILL = 9,
    /// For the program's own use.
    USR1 = 10,
    /// For the program's own use.
    USR2 = 12,
    /// End in good order.
    TERM = 15,
    /// Go on after a stop.
    CONT = 18,
    /// Stop; cannot be caught.
    STOP = 19,
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "SIG{name}"),
            None => write!(f, "signal {}", self.0),
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
