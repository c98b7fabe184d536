use super::codec::{Decoder, Encoder, Malformed};

/// A part of the isolation that this host did not give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Which part: `user namespace`, `landlock`, `seccomp`, `memory cgroup` and so on.
    pub part: String,
    /// Why: the step and the system's error.
    pub why: String,
}

impl Missing {
    pub(super) fn encode(e: &mut Encoder<'_>, missing: &Self) {
        e.bytes(missing.part.as_bytes()).bytes(missing.why.as_bytes());
    }

    pub(super) fn decode(d: &mut Decoder<'_>) -> Result<Self, Malformed> {
        Ok(Self { part: d.text()?, why: d.text()? })
    }
}

/// How a report ends: what there is not, and why there is nothing at all, if so.
pub(super) fn shortfall(e: &mut Encoder<'_>, missing: &[Missing], failure: Option<&str>) {
    e.list(missing, Missing::encode).option(failure, |e, why| {
        e.bytes(why.as_bytes());
    });
}

pub(super) fn read_shortfall(d: &mut Decoder<'_>) -> Result<(Vec<Missing>, Option<String>), Malformed> {
    Ok((d.list(Missing::decode)?, d.option(Decoder::text)?))
}
