//! What is done without ostler, to compare with.

use bollard::Docker;
use bollard::exec::StartExecResults;
use bollard::models::{ContainerCreateBody, ExecConfig, HostConfig};
use bollard::query_parameters::{RemoveContainerOptionsBuilder, WaitContainerOptionsBuilder};
use futures_util::{StreamExt, TryStreamExt};
use ostler::Exec;
use std::time::{Duration, Instant};

use crate::support::Outcome;

/// A client of the engine with an image to make containers from.
pub(crate) struct Bare<'a> {
    pub(crate) client: &'a Docker,
    pub(crate) image: &'a str,
}

impl Bare<'_> {
    fn body(&self, command: &[&str]) -> ContainerCreateBody {
        ContainerCreateBody {
            image: Some(self.image.to_owned()),
            cmd: Some(command.iter().map(|word| (*word).to_owned()).collect()),
            host_config: Some(HostConfig { network_mode: Some("none".to_owned()), ..HostConfig::default() }),
            ..ContainerCreateBody::default()
        }
    }

    /// Creates and starts a plain container.
    pub(crate) async fn start(&self) -> Outcome<String> {
        let made = self.client.create_container(None, self.body(&["/bin/sleep", "1000"])).await?;
        self.client.start_container(&made.id, None).await?;
        Ok(made.id)
    }

    /// A container for one command.
    pub(crate) async fn run(&self) -> Outcome<()> {
        let made = self.client.create_container(None, self.body(&["/bin/true"])).await?;
        self.client.start_container(&made.id, None).await?;
        let options = WaitContainerOptionsBuilder::new().condition("not-running").build();
        // An error is how some engines say that it was over before.
        drop(std::pin::pin!(self.client.wait_container(&made.id, Some(options))).next().await);
        self.remove(&made.id).await
    }

    pub(crate) async fn remove(&self, id: &str) -> Outcome<()> {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        Ok(self.client.remove_container(id, Some(options)).await?)
    }

    /// A command by the engine's own exec.
    pub(crate) async fn exec(&self, container: &str) -> Outcome<()> {
        let config = ExecConfig {
            cmd: Some(vec!["/bin/true".to_owned()]),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..ExecConfig::default()
        };
        let made = self.client.create_exec(container, config).await?;
        if let StartExecResults::Attached { mut output, .. } = self.client.start_exec(&made.id, None).await? {
            while output.try_next().await?.is_some() {}
        }
        self.client.inspect_exec(&made.id).await?;
        Ok(())
    }

    /// The guest's process as this host sees it.
    pub(crate) async fn pid(&self, container: &str) -> Outcome<i64> {
        let found = self.client.inspect_container(container, None).await?;
        Ok(found.state.and_then(|state| state.pid).ok_or("it has no process")?)
    }
}

/// What a shell in the container takes for a program, its own loop taken off.
pub(crate) async fn fork_and_exec(lease: &ostler::Lease) -> Outcome<Duration> {
    let timed_loop = async |body: &str| -> Outcome<Duration> {
        let script = format!("i=0; while [ $i -lt 200 ]; do {body}; i=$((i+1)); done");
        let begun = Instant::now();
        lease.exec(Exec::new("/bin/sh").args(["-c", &script])).await?;
        Ok(begun.elapsed())
    };
    let (full, empty) = (timed_loop("/bin/true").await?, timed_loop(":").await?);
    Ok(full.saturating_sub(empty) / 200)
}
