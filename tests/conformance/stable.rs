use std::collections::{BTreeSet, HashMap};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use ostler::backend::fake::{Act, Fake, Point, Script};
use ostler::model::BackendSpec;
use ostler::{Change, Config, Error, Events, Exec, Lease, Ostler, Pool, PoolSpec, RuntimeId};
use tempfile::TempDir;

use crate::On;

/// An ostler with one pool, under a name of its own.
pub(crate) struct Stable {
    pub(crate) on: On,
    pub(crate) pool: Pool,
    pub(crate) events: Events,
    /// Those that somebody has waited for, or passed over.
    heard: Vec<(SystemTime, Change)>,
    ostler: Ostler,
    instance: String,
    state: TempDir,
    gates: Gates,
    fake: Fake,
    /// A directory that runtimes see, where a file breaks launches.
    switch: Option<TempDir>,
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
        Self::open_with(on, PoolSpec { backend: on.settings(), ..spec }, None).await
    }

    /// As [`open`](Self::open), with launches that can be broken.
    pub(crate) async fn open_with_a_switch(on: On, spec: PoolSpec) -> Self {
        let mut spec = PoolSpec { backend: on.settings(), ..spec };
        if on == On::Fake {
            return Self::open_with(on, spec, None).await;
        }
        // Not in a directory that sandboxes have of their own.
        let readable = std::fs::Permissions::from_mode(0o755);
        let switch = tempfile::Builder::new().permissions(readable).tempdir_in("/var/tmp").unwrap();
        let shown = switch.path().display();
        spec.warm_up = ["test", "!", "-e", &format!("{shown}/broken")].map(str::to_owned).into();
        match &mut spec.backend {
            BackendSpec::Process(process) => process.read_only.push(switch.path().to_owned()),
            #[cfg(feature = "docker")]
            BackendSpec::Docker(container) | BackendSpec::Podman(container) => {
                container.volumes.push(format!("{shown}:{shown}:ro").parse().unwrap());
            }
            _ => {}
        }
        Self::open_with(on, spec, Some(switch)).await
    }

    async fn open_with(on: On, spec: PoolSpec, switch: Option<TempDir>) -> Self {
        let instance = format!("conf-{:016x}", fastrand::u64(..));
        // Of a sandbox without namespaces it is the workspace that is in there.
        let passable = std::fs::Permissions::from_mode(0o711);
        let state = tempfile::Builder::new().permissions(passable).tempdir().unwrap();
        let config =
            Config::builder().instance(&instance).state_dir(state.path()).pool("p", spec).build().unwrap();
        let gates = Gates::default();
        let fake = Fake::scripted(gates.clone());
        let mut builder = Ostler::builder(config);
        if on == On::Fake {
            builder = builder.backend("p", Arc::new(fake.clone()));
        }
        let events = builder.events(10_000);
        let ostler = builder.start().await.unwrap();
        let pool = ostler.pool("p").unwrap().clone();
        Self { on, pool, events, heard: Vec::new(), ostler, instance, state, gates, fake, switch }
    }

    /// From now on no launch comes to anything.
    pub(crate) fn break_launches(&self) {
        match &self.switch {
            Some(switch) => std::fs::write(switch.path().join("broken"), "").unwrap(),
            None => self.set(Point::Launch, Act::Fail),
        }
    }

    pub(crate) fn mend_launches(&self) {
        match &self.switch {
            Some(switch) => std::fs::remove_file(switch.path().join("broken")).unwrap(),
            None => self.set(Point::Launch, Act::Work),
        }
    }

    /// Waits for an event that nobody has waited for yet.
    pub(crate) async fn told<T>(&mut self, wanted: impl Fn(&Change) -> Option<T>) -> T {
        let found = async {
            loop {
                let event = self.events.next().await.expect("more to come");
                let found = wanted(&event.change);
                self.heard.push((event.at, event.change));
                if let Some(found) = found {
                    return found;
                }
            }
        };
        let found = tokio::time::timeout(Duration::from_secs(30), found).await;
        found.unwrap_or_else(|late| panic!("not told: {late}: {:?}\n{}", self.heard, self.pool.status()))
    }

    /// All that has happened so far, from the start.
    pub(crate) async fn past(&mut self) -> &[(SystemTime, Change)] {
        while let Ok(Some(event)) = tokio::time::timeout(Duration::ZERO, self.events.next()).await {
            self.heard.push((event.at, event.change));
        }
        &self.heard
    }

    /// Waits until nothing is left of a runtime.
    pub(crate) async fn until_gone(&mut self, runtime: RuntimeId) {
        let gone = Change::Gone { runtime };
        if !self.past().await.iter().any(|(_, change)| *change == gone) {
            self.told(|change| (*change == gone).then_some(())).await;
        }
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
            On::Process | On::Basic => signal(lease.handle(), rustix::process::Signal::KILL),
            On::Fake => {
                self.set(Point::Operation, Act::Exit);
                drop::<Result<_, Error>>(lease.exec(Exec::new("true")).await);
                self.set(Point::Operation, Act::Work);
            }
            #[cfg(feature = "docker")]
            On::Docker(_) | On::Podman(_) => {
                self.client().kill_container(lease.handle(), None).await.unwrap();
            }
            #[cfg(not(feature = "docker"))]
            On::Docker(_) | On::Podman(_) => {}
        }
    }
    /// Ends a runtime as one that is done.
    pub(crate) async fn finish(&self, lease: &Lease) {
        match self.on {
            On::Fake => assert!(self.fake.finish(lease.runtime())),
            _ => self.signal_container(lease.handle(), "TERM").await,
        }
    }

    /// Stops a runtime's guest, with which all hangs. On the fake as [`freeze`](Self::freeze).
    pub(crate) async fn stop(&self, handle: &str) {
        match self.on {
            On::Process | On::Basic => signal(handle, rustix::process::Signal::STOP),
            On::Fake => self.set(Point::Ping, Act::Hang),
            _ => self.signal_container(handle, "STOP").await,
        }
    }

    #[cfg(feature = "docker")]
    async fn signal_container(&self, handle: &str, signal: &str) {
        let options = bollard::query_parameters::KillContainerOptionsBuilder::new().signal(signal).build();
        self.client().kill_container(handle, Some(options)).await.unwrap();
    }

    #[cfg(not(feature = "docker"))]
    async fn signal_container(&self, _: &str, _: &str) {}

    /// Makes a runtime hang, as a frozen one does. On the fake all of them, until [`thaw`](Self::thaw).
    pub(crate) async fn freeze(&self, lease: &Lease) {
        match self.on {
            On::Process | On::Basic => signal(lease.handle(), rustix::process::Signal::STOP),
            On::Fake => self.set(Point::Ping, Act::Hang),
            #[cfg(feature = "docker")]
            On::Docker(_) | On::Podman(_) => self.client().pause_container(lease.handle()).await.unwrap(),
            #[cfg(not(feature = "docker"))]
            On::Docker(_) | On::Podman(_) => {}
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
        let Self { on, pool, mut events, heard, ostler, instance, state, .. } = self;
        ostler.shutdown_within(grace).await.unwrap();
        drop(pool);
        let handle = |change| if let Change::Ready { handle, .. } = change { Some(handle) } else { None };
        let mut alive: BTreeSet<_> = heard.into_iter().filter_map(|(_, change)| handle(change)).collect();
        while let Ok(Some(event)) = tokio::time::timeout(Duration::ZERO, events.next()).await {
            alive.extend(handle(event.change));
        }
        if matches!(on, On::Process | On::Basic) {
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

fn signal(handle: &str, signal: rustix::process::Signal) {
    let pid = handle.strip_prefix("pid ").unwrap().parse().unwrap();
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
