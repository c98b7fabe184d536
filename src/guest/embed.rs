/// The guest program: a static Linux executable that needs nothing else in the runtime it is started in.
#[must_use]
pub fn program() -> &'static [u8] {
    include_bytes!(concat!(env!("OUT_DIR"), "/ostler-guest"))
}
