use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::first_frame::first_frame;
use super::link::connect;
use super::{Wire, WireError};
use crate::protocol::{ContainerReport, ContainerSetup};

/// The guest of a container, set up and greeted.
#[derive(Debug)]
pub struct Contained {
    /// Its control wire.
    pub control: Arc<dyn Wire>,
    /// Its data wire.
    pub data: Arc<dyn Wire>,
    /// What it said of itself.
    pub report: ContainerReport,
}

/// Why the guest of a container can't be spoken to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// The guest could not do what the setup asks; its words.
    #[error("{0}")]
    Failed(String),
    /// The setup could not be sent or its answer not be read.
    #[error("no answer to the setup")]
    Stream(#[source] io::Error),
    /// It took longer than it may.
    #[error("no answer to the setup in time")]
    Silent,
    /// The guest did not answer a greeting.
    #[error("no greeting from the guest")]
    Greeting(#[source] WireError),
}

/// Sets a container's guest up over its two connected streams and greets it. The current tokio runtime serves
/// callers that have none. `limit` is for each of its answers.
///
/// Not cancel-safe: dropped before its end, the streams are of no use, and the guest ends.
///
/// # Errors
/// [`SetupError::Failed`] when the container is not as the setup says; otherwise when the guest is gone, or
/// silent, or is none of ours.
pub async fn connect_container(
    control: UnixStream,
    data: UnixStream,
    setup: &ContainerSetup,
    limit: Duration,
) -> Result<Contained, SetupError> {
    let exchange = timeout(limit, exchange(control, setup));
    let (report, control) = exchange.await.map_err(|_| SetupError::Silent)?.map_err(SetupError::Stream)?;
    if let Some(failure) = report.failure {
        return Err(SetupError::Failed(failure));
    }
    let (control, data) = connect(control, data, limit).await.map_err(SetupError::Greeting)?;
    Ok(Contained { control, data, report })
}

/// Sends the setup and reads what answers it.
async fn exchange(control: UnixStream, setup: &ContainerSetup) -> io::Result<(ContainerReport, UnixStream)> {
    let mut frames = Vec::new();
    setup.encode(&mut frames).map_err(io::Error::other)?;
    control.set_nonblocking(true)?;
    let mut control = tokio::net::UnixStream::from_std(control)?;
    control.write_all(&frames).await?;
    let report = first_frame(&mut control, ContainerReport::decode).await?;
    Ok((report, control.into_std()?))
}
