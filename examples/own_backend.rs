//! A backend of one's own, whole: `cargo run --example own_backend`.
//!
//! It runs the guest as a plain child process in a temporary directory: no walls at all, so for trusted work
//! only. What it shows is all that a backend must do: start the guest somewhere with two streams, say when it
//! ended, look whether it is clean, and destroy it.

use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use ostler::backend::{Backend, BackendError, BoxFuture, Exit, Instance, Launch, Launched, Residue};
use ostler::model::BackendSpec;
use ostler::{Config, Exec, Ostler, PoolSpec, guest};
use tokio::process::{Child, Command};
use tokio::sync::{oneshot, watch};

/// Makes guests below a directory.
#[derive(Debug)]
struct Plain {
    directory: PathBuf,
}

impl Plain {
    /// Below a directory that is made now and removed by `close`.
    fn new(directory: PathBuf) -> std::io::Result<Self> {
        std::fs::create_dir_all(&directory)?;
        let program = directory.join("guest");
        std::fs::write(&program, guest::program())?;
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))?;
        Ok(Self { directory })
    }
}

impl Backend for Plain {
    fn name(&self) -> &'static str {
        "plain"
    }

    fn launch(&self, launch: Launch) -> BoxFuture<Result<Launched, BackendError>> {
        let program = self.directory.join("guest");
        let workspace = self.directory.join(launch.runtime.to_string());
        Box::pin(async move {
            let failed = |error: std::io::Error| BackendError::passing("start the guest", error);
            std::fs::create_dir(&workspace).map_err(failed)?;
            // From here on its drop cleans up, wherever this future is dropped.
            let place = Workspace(workspace);
            let (control, control_end) = UnixStream::pair().map_err(failed)?;
            let (data, data_end) = UnixStream::pair().map_err(failed)?;
            let child = Command::new(program)
                .args(["init", "--workspace"])
                .arg(&place.0)
                .stdin(Stdio::from(OwnedFd::from(control_end)))
                .stdout(Stdio::from(OwnedFd::from(data_end)))
                .kill_on_drop(true)
                .spawn()
                .map_err(failed)?;
            let pid = child.id().unwrap_or_default();
            let (control, data) = guest::connect(control, data, Duration::from_secs(5))
                .await
                .map_err(|error| BackendError::passing("greet the guest", error))?;
            let (kill, killed) = oneshot::channel();
            let (ended, mut end) = watch::channel(None);
            tokio::spawn(keep(child, killed, ended));
            let exit = {
                let mut end = end.clone();
                async move { wait(&mut end).await }
            };
            end.mark_unchanged();
            let instance = Running { pid, kill: Some(kill), end, place };
            Ok(Launched { control, data, exit: Box::pin(exit), instance: Box::new(instance) })
        })
    }

    fn close(&self) -> BoxFuture<Result<(), BackendError>> {
        let removed = std::fs::remove_dir_all(&self.directory);
        Box::pin(async { removed.map_err(|error| BackendError::passing("remove the directory", error)) })
    }
}

/// Waits for the child, or ends it.
async fn keep(mut child: Child, killed: oneshot::Receiver<()>, ended: watch::Sender<Option<String>>) {
    let status = tokio::select! {
        status = child.wait() => status,
        // An error is as good: whoever could say so is gone.
        _ = killed => match child.kill().await {
            Ok(()) => child.wait().await,
            Err(error) => Err(error),
        },
    };
    let cause = status.map_or_else(|error| error.to_string(), |status| status.to_string());
    ended.send_replace(Some(cause));
}

async fn wait(end: &mut watch::Receiver<Option<String>>) -> Exit {
    let cause = match end.wait_for(Option::is_some).await {
        Ok(cause) => cause.clone().unwrap_or_default(),
        Err(_) => "nobody waited for it".to_owned(),
    };
    Exit { cause }
}

/// A directory that goes with its value.
#[derive(Debug)]
struct Workspace(PathBuf);

impl Drop for Workspace {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("{}: {error}", self.0.display());
        }
    }
}

/// One guest.
#[derive(Debug)]
struct Running {
    pid: u32,
    kill: Option<oneshot::Sender<()>>,
    end: watch::Receiver<Option<String>>,
    place: Workspace,
}

impl Instance for Running {
    fn handle(&self) -> String {
        format!("pid {}", self.pid)
    }

    fn verify(&self) -> BoxFuture<Result<(), Residue>> {
        let left = std::fs::read_dir(&self.place.0).map(|mut entries| entries.next().is_some());
        Box::pin(async move {
            match left {
                Ok(false) => Ok(()),
                Ok(true) => Err(Residue { what: "a file in the workspace".to_owned() }),
                Err(error) => Err(Residue { what: error.to_string() }),
            }
        })
    }

    fn destroy(&mut self) -> BoxFuture<Result<(), BackendError>> {
        // Dropping the sender has the child killed.
        self.kill = None;
        let mut end = self.end.clone();
        Box::pin(async move {
            wait(&mut end).await;
            Ok(())
        })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::temp_dir().join(format!("own-backend-{}", std::process::id()));
    let backend = Arc::new(Plain::new(directory)?);
    let spec = PoolSpec { backend: BackendSpec::Custom, min: 2, ..PoolSpec::default() };
    let config = Config::builder().pool("plain", spec).build()?;
    let ostler = Ostler::builder(config).backend("plain", backend).start().await?;
    let pool = ostler.pool("plain")?;
    let lease = pool.acquire().await?;
    let output = lease.exec(Exec::shell("echo hello from $PWD")).await?;
    print!("{}", String::from_utf8_lossy(&output.stdout));
    drop(lease);
    println!("{}", pool.status());
    ostler.shutdown().await?;
    Ok(())
}
