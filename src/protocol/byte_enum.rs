/// Gives a field-less enum its bytes on the wire; an unknown byte is malformed.
macro_rules! byte_enum {
    ($type:ty { $($name:ident = $value:literal),* $(,)? }) => {
        impl $type {
            pub(super) fn to_byte(self) -> u8 {
                match self { $(Self::$name => $value,)* }
            }
            pub(super) fn from_byte(byte: u8) -> Result<Self, $crate::protocol::Malformed> {
                match byte {
                    $($value => Ok(Self::$name),)*
                    _ => Err($crate::protocol::Malformed(concat!("unknown ", stringify!($type)))),
                }
            }
        }
    };
}

pub(super) use byte_enum;
