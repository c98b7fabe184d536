use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ostler::backend::fake::{Act, Fake, Point, Script};
use ostler::{Config, Error, Events, Exec, Lease, Ostler, Pool, PoolSpec};
use tempfile::TempDir;

use crate::On;

/// An ostler with one pool, under a name of its own.
pub(crate) struct Stable {
    pub(crate) on: On,
    pub(crate) pool: Pool,
    pub(crate) events: Events,
    ostler: Ostler,
    instance: String,
    state: TempDir,
    gates: Gates,
}

/// What the fake does at each point: it works, unless it was told otherwise.
#[derive(Clone, Default)]
struct Gates(Arc<Mutex<HashMap<Point, Act>>>);

impl Script for Gates {
    fn next(&self, point: Point) -> Act {
        self.0.lock().unwrap().get(&point).copied().unwrap_or(Act::Work)
    }
}

impl Stable {
    /// With a pool of this spec, but for what makes its runtimes.
    pub(crate) async fn open(on: On, spec: PoolSpec) -> Self {
        let instance = format!("conf-{:016x}", fastrand::u64(..));
        let state = tempfile::tempdir().unwrap();
        let spec = PoolSpec { backend: on.settings(), ..spec };
        let config =
            Config::builder().instance(&instance).state_dir(state.path()).pool("p", spec).build().unwrap();
        let gates = Gates::default();
        let mut builder = Ostler::builder(config);
        if on == On::Fake {
            builder = builder.backend("p", Arc::new(Fake::scripted(gates.clone())));
        }
        let ostler = builder.start().await.unwrap();
        let (pool, events) = (ostler.pool("p").unwrap().clone(), ostler.events(10_000));
        Self { on, pool, events, ostler, instance, state, gates }
    }

    /// With one runtime at most.
    pub(crate) async fn single(on: On) -> Self {
        Self::open(on, PoolSpec { min: 1, max: 1, ..PoolSpec::default() }).await
    }

    pub(crate) async fn lease(&self) -> Lease {
        self.pool.acquire().await.unwrap_or_else(|error| panic!("{error}: {}", self.pool.status()))
    }

    /// A command that ends with this status.
    pub(crate) fn exit(&self, status: i32) -> Exec {
        match self.on {
            On::Fake => Exec::new("exit").arg(status.to_string()),
            _ => Exec::shell(format!("exit {status}")),
        }
    }

    /// Ends a runtime from outside, as somebody else would.
    pub(crate) async fn kill(&self, lease: &Lease) {
        match self.on {
            On::Process => signal(lease, rustix::process::Signal::KILL),
            On::Fake => {
                self.set(Point::Operation, Act::Exit);
                drop::<Result<_, Error>>(lease.exec(Exec::new("true")).await);
                self.set(Point::Operation, Act::Work);
            }
            #[cfg(feature = "docker")]
            On::Docker | On::Podman => self.client().kill_container(lease.handle(), None).await.unwrap(),
            #[cfg(not(feature = "docker"))]
            On::Docker | On::Podman => {}
        }
    }

    /// Makes a runtime hang, as a frozen one does. On the fake all of them, until [`thaw`](Self::thaw).
    pub(crate) async fn freeze(&self, lease: &Lease) {
        match self.on {
            On::Process => signal(lease, rustix::process::Signal::STOP),
            On::Fake => self.set(Point::Ping, Act::Hang),
            #[cfg(feature = "docker")]
            On::Docker | On::Podman => self.client().pause_container(lease.handle()).await.unwrap(),
            #[cfg(not(feature = "docker"))]
            On::Docker | On::Podman => {}
        }
    }

    pub(crate) fn thaw(&self) {
        self.set(Point::Ping, Act::Work);
    }

    fn set(&self, point: Point, act: Act) {
        self.gates.0.lock().unwrap().insert(point, act);
    }

    #[cfg(feature = "docker")]
    fn client(&self) -> bollard::Docker {
        let host = std::env::var(self.on.variable().unwrap()).unwrap();
        bollard::Docker::connect_with_unix(&host, 60, bollard::API_DEFAULT_VERSION).unwrap()
    }

    /// Waits for something, and no longer than for anything.
    pub(crate) async fn until(&self, what: &str, mut holds: impl FnMut(&ostler::Status) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let status = self.pool.status();
            if holds(&status) {
                return;
            }
            assert!(Instant::now() < deadline, "not within 30 s: {what}\n{status}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Ends it, and sees that nothing is left.
    pub(crate) async fn close(self) {
        // No lease is out, so that it waits for the engine alone, which may be busy with other tests.
        self.close_within(Duration::from_secs(30)).await;
    }

    /// As [`close`](Self::close), with so much patience for leases.
    pub(crate) async fn close_within(self, grace: Duration) {
        let Self { on, pool, mut events, ostler, instance, state, .. } = self;
        ostler.shutdown_within(grace).await.unwrap();
        drop(pool);
        let mut alive = std::collections::BTreeSet::new();
        while let Ok(Some(event)) = tokio::time::timeout(Duration::ZERO, events.next()).await {
            if let ostler::Change::Ready { handle, .. } = event.change {
                alive.insert(handle);
            }
        }
        if on == On::Process {
            for handle in &alive {
                let pid = handle.strip_prefix("pid ").unwrap();
                assert!(!std::path::Path::new("/proc").join(pid).exists(), "{handle} is alive");
            }
            assert_eq!(cgroups(&instance), "", "cgroups are left");
        }
        #[cfg(feature = "docker")]
        if on.variable().is_some() {
            assert_eq!(containers(on, &instance).await, Vec::<String>::new());
        }
        let sockets = state.path().join("containers");
        assert_eq!(std::fs::read_dir(sockets).into_iter().flatten().count(), 0, "directories are left");
    }
}

fn signal(lease: &Lease, signal: rustix::process::Signal) {
    let pid = lease.handle().strip_prefix("pid ").unwrap().parse().unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), signal).unwrap();
}

/// Every cgroup of an instance's processes, and those around them that are its own.
fn cgroups(instance: &str) -> String {
    let find = ["/sys/fs/cgroup", "-type", "d", "-path", &format!("*/ostler/{instance}-*")];
    let found = std::process::Command::new("find").args(find).output().unwrap();
    String::from_utf8_lossy(&found.stdout).into_owned()
}

/// Ids of all containers of an instance, running or not.
#[cfg(feature = "docker")]
async fn containers(on: On, instance: &str) -> Vec<String> {
    let host = std::env::var(on.variable().unwrap()).unwrap();
    let client = bollard::Docker::connect_with_unix(&host, 60, bollard::API_DEFAULT_VERSION).unwrap();
    let filters = [("label".to_owned(), vec![format!("ostler.instance={instance}")])].into();
    let options =
        bollard::query_parameters::ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    let found = client.list_containers(Some(options)).await.unwrap();
    found.into_iter().filter_map(|container| container.id).collect()
}

/// Output as text.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}
