//! What a container costs, and what going around the engine saves: `scripts/bench docker|podman [--json]`.
//!
//! Everything is measured in one run, what is compared in turns, and medians stand. The engine is the one that
//! `OSTLER_TEST_DOCKER` or `OSTLER_TEST_PODMAN` names, the image `OSTLER_TEST_IMAGE`, in which `/bin` has busybox.

#![expect(clippy::cast_precision_loss, reason = "far fewer bytes and files than that begins at")]

mod bare;
mod stream;
#[path = "../support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use bollard::query_parameters::KillContainerOptionsBuilder;
use bollard::{API_DEFAULT_VERSION, Docker};
use futures_util::{StreamExt as _, TryStreamExt as _, stream as futures};
use ostler::model::{BackendSpec, ContainerSpec, Limits, PullPolicy, Transport};
use ostler::{Change, Config, Exec, Ostler, Pool, PoolSpec};

use bare::{Bare, fork_and_exec};
use stream::{Flood, flood};
use support::{Outcome, Per, median, ms, resets, work};

const FILL: usize = 8;
const AT_ONCE: usize = 4;
const SIZES: [usize; 4] = [1, 3, 10, 50];
const PATIENCE: Duration = Duration::from_mins(2);
const WC: &str = "/bin/wc";

fn main() -> Outcome<()> {
    let has = |word: &str| std::env::args().any(|arg| arg == word);
    let bench = Bench::new(if has("podman") { "podman" } else { "docker" })?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let figures = runtime.block_on(async { tokio::spawn(async move { bench.measure().await }).await })??;
    for (name, value, of) in figures {
        if has("--json") {
            println!("{{\"figure\":\"{name}\",\"value\":{value:.4},\"against\":\"{of}\"}}");
        } else {
            println!("{name:<28} {value:>12.3}   {of}");
        }
    }
    Ok(())
}

type Figures = Vec<(String, f64, &'static str)>;

struct Bench {
    engine: &'static str,
    host: String,
    image: String,
    state: tempfile::TempDir,
}

impl Bench {
    fn new(engine: &'static str) -> Outcome<Self> {
        let variable = format!("OSTLER_TEST_{}", engine.to_uppercase());
        let host =
            std::env::var(&variable).map_err(|_| format!("{variable} must name an engine: unix:///…"))?;
        let image =
            std::env::var("OSTLER_TEST_IMAGE").unwrap_or_else(|_| "ostler-test/busybox:latest".to_owned());
        Ok(Self { engine, host, image, state: tempfile::tempdir()? })
    }

    async fn measure(&self) -> Outcome<Figures> {
        let client =
            Docker::connect_with_unix(&self.host, 120, API_DEFAULT_VERSION)?.negotiate_version().await?;
        let mut figures = Figures::new();
        let bare = Bare { client: &client, image: &self.image };
        self.operations(&bare, &mut figures).await?;
        self.floods(&bare, &mut figures).await?;
        self.fill(&bare, &mut figures).await?;
        self.files(&mut figures).await?;
        self.killed(&bare, &mut figures).await?;
        Ok(figures)
    }

    fn pool(&self, container: ContainerSpec, pool: PoolSpec) -> PoolSpec {
        let container = ContainerSpec {
            host: self.host.parse().ok(),
            image: self.image.clone(),
            pull: PullPolicy::Never,
            stats_interval: None,
            ..container
        };
        let backend = if self.engine == "podman" {
            BackendSpec::Podman(container)
        } else {
            BackendSpec::Docker(container)
        };
        let limits = Limits { cpus: None, ..Limits::default() };
        PoolSpec { backend, limits, idle_timeout: None, launch_parallelism: AT_ONCE, ..pool }
    }

    async fn start(&self, container: ContainerSpec, pool: PoolSpec) -> Outcome<(Ostler, Pool)> {
        let pool = self.pool(container, pool);
        let config = Config::builder().state_dir(self.state.path()).pool("p", pool).build()?;
        let ostler = Ostler::start(config).await?;
        let pool = ostler.pool("p")?;
        Ok((ostler, pool))
    }

    /// One command and one read, by each way.
    async fn operations(&self, bare: &Bare<'_>, figures: &mut Figures) -> Outcome<()> {
        let (ostler, pool) = self.start(ContainerSpec::default(), one()).await?;
        let attached = ContainerSpec { transport: Transport::Attach, ..ContainerSpec::default() };
        let (far, far_pool) = self.start(attached, one()).await?;
        let (lease, far_lease) = (pool.acquire().await?, far_pool.acquire().await?);
        let content = vec![b'x'; 1024];
        lease.write("kib", &content).await?;
        far_lease.write("kib", &content).await?;
        let (mut engine, mut run) = (Vec::new(), Vec::new());
        let (mut exec, mut read, mut far_exec, mut far_read, mut forked) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for round in 0..9 {
            engine.push(timed(bare.exec(lease.handle())).await?);
            if round < 3 {
                run.push(timed(bare.run()).await?);
            }
            for _ in 0..30 {
                exec.push(timed(async { Ok(lease.exec(Exec::new("/bin/true")).await?) }).await?);
                read.push(timed(async { Ok(lease.read("kib").await?) }).await?);
                far_exec.push(timed(async { Ok(far_lease.exec(Exec::new("/bin/true")).await?) }).await?);
                far_read.push(timed(async { Ok(far_lease.read("kib").await?) }).await?);
            }
            forked.push(fork_and_exec(&lease).await?);
        }
        let (engine, run, exec, forked) = (median(engine), median(run), median(exec), median(forked));
        let mut add = |name: &str, value: f64, of| figures.push((name.to_owned(), value, of));
        add("engine_exec_ms", ms(engine), "the engine API's own exec: create, start, inspect");
        add("run_ms", ms(run), "a container each: create, start, wait, remove");
        add("exec_ms", ms(exec), "/bin/true in a lease");
        add("exec_speedup", ms(engine) / ms(exec), "against the engine's exec; 60 is wanted");
        add("exec_over_bare", ms(exec) / ms(forked), "against fork+exec in the container; 1.3 is wanted");
        add("read_ms", ms(median(read.clone())), "1 KiB in a lease");
        add("read_speedup", ms(engine) / ms(median(read)), "against the engine's exec; 1000 is wanted");
        add("attach_exec_speedup", ms(engine) / ms(median(far_exec)), "over the attach stream; 40 is wanted");
        add(
            "attach_read_speedup",
            ms(engine) / ms(median(far_read)),
            "over the attach stream; 150 is wanted",
        );
        drop((lease, far_lease));
        let resets = resets(&pool, 31).await?;
        add("reset_ms", ms(median(resets)), "release to leasable again; 10 is wanted");
        ostler.shutdown().await?;
        far.shutdown().await?;
        Ok(())
    }

    /// 64 MiB of standard output, by each way and, to tell the container from the rest, from a sandbox.
    async fn floods(&self, bare: &Bare<'_>, figures: &mut Figures) -> Outcome<()> {
        for (name, transport, of) in [
            ("stdout", Transport::Link, "64 MiB of standard output; 300 is wanted"),
            ("attach_stdout", Transport::Attach, "the same over the attach stream"),
        ] {
            let container = ContainerSpec { transport, ..ContainerSpec::default() };
            let (ostler, pool) = self.start(container, one()).await?;
            let lease = pool.acquire().await?;
            let Flood { rate, host_growth, guest_peak } =
                flood(&lease, bare.pid(lease.handle()).await?).await?;
            drop(lease);
            ostler.shutdown().await?;
            figures.push((format!("{name}_mb_per_s"), rate, of));
            figures.push((format!("{name}_host_growth_mib"), host_growth, "this process, over five of them"));
            figures.push((format!("{name}_guest_peak_mib"), guest_peak, "the guest's most, ever"));
        }
        let config = Config::builder().state_dir(self.state.path()).pool("p", one()).build()?;
        let ostler = Ostler::start(config).await?;
        let lease = ostler.pool("p")?.acquire().await?;
        let rate = flood(&lease, 0).await?.rate;
        drop(lease);
        ostler.shutdown().await?;
        figures.push(("process_stdout_mb_per_s".to_owned(), rate, "the same from the process backend"));
        Ok(())
    }

    /// A pool of eight against eight plain containers.
    async fn fill(&self, bare: &Bare<'_>, figures: &mut Figures) -> Outcome<()> {
        let (mut ours, mut plain) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            let begun = Instant::now();
            let (ostler, pool) = self
                .start(ContainerSpec::default(), PoolSpec { min: FILL, max: FILL, ..PoolSpec::default() })
                .await?;
            pool.ready(PATIENCE).await?;
            ours.push(begun.elapsed());
            ostler.shutdown().await?;
            let begun = Instant::now();
            let made: Vec<String> = futures::iter((0..FILL).map(|_| bare.start()))
                .buffer_unordered(AT_ONCE)
                .try_collect()
                .await?;
            plain.push(begun.elapsed());
            let removals = made.into_iter().map(|id| async move { bare.remove(&id).await });
            futures::iter(removals).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        }
        let (ours, plain) = (median(ours), median(plain));
        figures.push(("fill_8_ms".to_owned(), ms(ours), "start to eight leasable"));
        figures.push(("plain_8_ms".to_owned(), ms(plain), "eight plain containers, four at once"));
        figures.push(("fill_over_plain".to_owned(), ms(ours) / ms(plain), "1.15 is wanted"));
        Ok(())
    }

    /// The pooling guide's table: each file read and counted.
    async fn files(&self, figures: &mut Figures) -> Outcome<()> {
        for size in SIZES {
            let begun = Instant::now();
            let (ostler, pool) = self
                .start(ContainerSpec::default(), PoolSpec { min: 4, max: 4, ..PoolSpec::default() })
                .await?;
            work(&pool, size, Per::File, WC).await?;
            let pooled = begun.elapsed();
            ostler.shutdown().await?;
            let fresh = PoolSpec { min: 0, max: 1, max_uses: Some(1), ..PoolSpec::default() };
            let (ostler, pool) = self.start(ContainerSpec::default(), fresh).await?;
            let begun = Instant::now();
            work(&pool, size, Per::Operation, WC).await?;
            let fresh = begun.elapsed();
            ostler.shutdown().await?;
            figures.push((format!("files_{size}_pool_ms"), ms(pooled), "pool start included"));
            figures.push((
                format!("files_{size}_speedup"),
                ms(fresh) / ms(pooled),
                "against a container each",
            ));
        }
        Ok(())
    }

    async fn killed(&self, bare: &Bare<'_>, figures: &mut Figures) -> Outcome<()> {
        let (mut noticed, mut replaced, mut plain) = (Vec::new(), Vec::new(), Vec::new());
        let (ostler, pool) = self.start(ContainerSpec::default(), one()).await?;
        for _ in 0..7 {
            let begun = Instant::now();
            let one = bare.start().await?;
            plain.push(begun.elapsed());
            bare.remove(&one).await?;
            let lease = pool.acquire().await?;
            let (victim, runtime) = (lease.handle().to_owned(), lease.runtime());
            drop(lease);
            let mut events = ostler.events(64);
            let (killer, begun) = (bare.client.clone(), Instant::now());
            tokio::spawn(async move {
                let options = KillContainerOptionsBuilder::new().signal("KILL").build();
                killer.kill_container(&victim, Some(options)).await
            });
            while let Some(event) = events.next().await {
                match event.change {
                    Change::Exited { runtime: which, .. } if which == runtime => {
                        noticed.push(begun.elapsed());
                    }
                    Change::Ready { .. } => break,
                    _ => {}
                }
            }
            replaced.push(begun.elapsed());
        }
        ostler.shutdown().await?;
        let (noticed, replaced, plain) = (median(noticed), median(replaced), median(plain));
        figures.push(("kill_noticed_ms".to_owned(), ms(noticed), "500 is wanted"));
        figures.push(("kill_replaced_ms".to_owned(), ms(replaced), "until a fresh one is leasable"));
        figures.push(("plain_1_ms".to_owned(), ms(plain), "one plain container, created and started"));
        let launch = replaced.saturating_sub(noticed);
        figures.push(("kill_launch_over_plain".to_owned(), ms(launch) / ms(plain), "1.3 is wanted"));
        Ok(())
    }
}

fn one() -> PoolSpec {
    PoolSpec { min: 1, max: 1, ..PoolSpec::default() }
}

async fn timed<T>(work: impl Future<Output = Outcome<T>>) -> Outcome<Duration> {
    let begun = Instant::now();
    work.await?;
    Ok(begun.elapsed())
}
