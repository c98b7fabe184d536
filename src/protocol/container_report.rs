use super::codec::{Decoder, Encoder, Malformed};
use super::frame::{Frame, Kind, encode_frame};
use super::missing::{Missing, read_shortfall, shortfall};

/// The guest's answer, as the first frame on the control stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerReport {
    /// The guest's pid as it sees it.
    pub pid: u32,
    /// Whether it is PID 1; if not, something like docker-init is.
    pub first: bool,
    /// User all programs run as.
    pub uid: u32,
    /// Group all programs run as.
    pub gid: u32,
    /// What it does without.
    pub missing: Vec<Missing>,
    /// Why it does not serve, when it does not.
    pub failure: Option<String>,
}

impl ContainerReport {
    /// Appends it as a frame.
    ///
    /// # Errors
    /// When it is too long for one.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), Malformed> {
        encode_frame(out, Kind::ContainerReport, 0, |out| {
            let mut e = Encoder::new(out);
            e.u32(self.pid).flag(self.first).u32(self.uid).u32(self.gid);
            shortfall(&mut e, &self.missing, self.failure.as_deref());
        })
    }

    /// The report a frame holds.
    ///
    /// # Errors
    /// When it holds none, or does not parse.
    pub fn decode(frame: &Frame<'_>) -> Result<Self, Malformed> {
        if frame.kind != Kind::ContainerReport {
            return Err(Malformed("not a container's report"));
        }
        let mut d = Decoder::new(frame.payload);
        let (pid, first, uid, gid) = (d.u32()?, d.flag()?, d.u32()?, d.u32()?);
        let (missing, failure) = read_shortfall(&mut d)?;
        d.end()?;
        Ok(Self { pid, first, uid, gid, missing, failure })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::FrameBuffer;

    #[test]
    fn a_report_is_read_back() {
        let missing = vec![Missing { part: "list of mounts".to_owned(), why: "no".to_owned() }];
        let failure = Some("no".to_owned());
        let report = ContainerReport { pid: 1, first: true, uid: 1000, gid: 7, missing, failure };
        let mut bytes = Vec::new();
        report.encode(&mut bytes).unwrap();
        let mut buffer = FrameBuffer::new();
        buffer.extend(&bytes);
        assert_eq!(ContainerReport::decode(&buffer.cut().unwrap().unwrap()), Ok(report));
    }
}
