use super::codec::{Decoder, Encoder, Malformed};

/// An environment variable's name and value.
pub type Variable = (Vec<u8>, Vec<u8>);

/// Bytes that are only ever shown.
pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Names alone: values may be secrets.
pub(super) fn names(env: &[Variable]) -> Vec<String> {
    env.iter().map(|(name, _)| text(name)).collect()
}

pub(super) fn variables(e: &mut Encoder<'_>, env: &[Variable]) {
    e.list(env, |e, (name, value)| {
        e.bytes(name).bytes(value);
    });
}

pub(super) fn read_variables(d: &mut Decoder<'_>) -> Result<Vec<Variable>, Malformed> {
    d.list(|d| Ok((d.owned()?, d.owned()?)))
}
