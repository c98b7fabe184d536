use std::path::Path;
use std::time::Duration;

use ostler::config::Format;
use ostler::model::{BackendSpec, PoolSpec};
use ostler::{Config, PoolName};

use super::ground::Ground;
use super::image::Image;
use crate::args::{DemoArgs, Making};
use crate::exit::Misuse;

/// The pool that is shown.
pub(super) const POOL: &str = "sandbox";

/// The instance's name in the default file.
const NAME: &str = "demo";

/// The default file, and what it held when this program was built.
const PROCESSES: (&str, &str) = ("config/demo.toml", include_str!("../../../../config/demo.toml"));
/// The same for containers.
const CONTAINERS: (&str, &str) =
    ("config/demo-containers.toml", include_str!("../../../../config/demo-containers.toml"));

/// Most leases a runtime is worn out with.
const MAX_USES: u64 = 50;
/// Longest it may take until a runtime that does not answer is found unhealthy.
const PROBING: Duration = Duration::from_secs(5);

/// A config that can be shown in half a minute.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) config: Config,
    /// Leases a runtime serves.
    pub(super) max_uses: u64,
    /// What was changed for the purpose.
    pub(super) notes: Vec<String>,
    /// Where its runtimes are.
    pub(super) ground: Ground,
    /// Whether the user has said what containers are made from.
    pub(super) image_asked_for: bool,
}

impl Settings {
    /// From a file; without one from the default file, or what it held when this program was built.
    pub(super) fn load(args: &DemoArgs) -> anyhow::Result<Self> {
        let (default, built_in) = match args.backend {
            Some(Making::Docker | Making::Podman) => CONTAINERS,
            Some(Making::Process) | None => PROCESSES,
        };
        let config = match &args.config {
            Some(path) => Config::load(path)?,
            None if Path::new(default).exists() => Config::load(default)?,
            None => Config::parse_with(built_in, Format::Toml, std::env::vars_os())?,
        };
        let mut settings = Self::shown(config, args)?;
        settings.image_asked_for = args.image.is_some() || args.config.is_some();
        Ok(settings)
    }

    fn shown(mut config: Config, args: &DemoArgs) -> anyhow::Result<Self> {
        if config.instance == NAME {
            // Two people on one machine may look at it at once.
            config.instance = format!("{NAME}-{}", std::process::id());
        }
        config.pools.retain(|name, _| name.as_str() == POOL);
        let Some(spec) = config.pools.get_mut(POOL) else {
            return Err(Misuse(format!("the demo shows a pool {POOL}, and the config has none")).into());
        };
        spec.backend = made_by(spec.backend.clone(), args.backend)?;
        if let Some(image) = &args.image {
            with_image(&mut spec.backend, image)?;
        }
        let ground = Ground::of(&spec.backend, &config.instance)?;
        let mut notes = Vec::new();
        if spec.min == 0 {
            spec.min = 1;
            notes.push("min = 1, so that there is a runtime to kill".to_owned());
        }
        let max_uses = spec.max_uses.map_or(MAX_USES, |uses| uses.min(MAX_USES));
        if spec.max_uses != Some(max_uses) {
            spec.max_uses = Some(max_uses);
            notes.push(format!("max_uses = {max_uses}, so that one is soon worn out"));
        }
        let health = &mut spec.health;
        if (health.interval * 2).saturating_mul(health.retries).max(health.timeout) > PROBING {
            health.interval = Duration::from_secs(1);
            health.timeout = Duration::from_millis(500);
            health.retries = 2;
            notes.push("health probes every 1s, so that one that hangs is soon found".to_owned());
        }
        config.validate()?;
        Ok(Self { config, ground, max_uses, notes, image_asked_for: false })
    }

    /// What containers are made from; empty of other runtimes.
    pub(super) fn image(&self) -> &str {
        self.config.pools.get(POOL).map_or("", image_of)
    }

    /// Takes what was made for want of an image.
    pub(super) fn take(&mut self, image: &Image) -> anyhow::Result<()> {
        if let (Image::Made { id, of, .. }, Some(spec)) = (image, self.config.pools.get_mut(POOL)) {
            self.notes
                .push(format!("an image made of {of}, since the engine has none called {}", image_of(spec)));
            with_image(&mut spec.backend, id)?;
        }
        Ok(())
    }

    /// The same with one runtime at a time, made when it is asked for and destroyed after one lease.
    pub(super) fn fresh(&self) -> anyhow::Result<Config> {
        let mut config = self.config.clone();
        if let Some(spec) = config.pools.get_mut(&PoolName::new(POOL)) {
            *spec = PoolSpec { min: 0, max: 1, overflow: 0, max_uses: Some(1), ..spec.clone() };
        }
        config.validate()?;
        Ok(config)
    }
}

fn image_of(spec: &PoolSpec) -> &str {
    match &spec.backend {
        BackendSpec::Docker(spec) | BackendSpec::Podman(spec) => &spec.image,
        _ => "",
    }
}

fn with_image(backend: &mut BackendSpec, image: &str) -> Result<(), Misuse> {
    match backend {
        BackendSpec::Docker(spec) | BackendSpec::Podman(spec) => {
            image.clone_into(&mut spec.image);
            Ok(())
        }
        _ => Err(Misuse("--image is for containers: --backend docker or podman".to_owned())),
    }
}

/// The same runtimes made by another engine, where somebody wants that.
fn made_by(backend: BackendSpec, wanted: Option<Making>) -> Result<BackendSpec, Misuse> {
    match (wanted, backend) {
        (Some(Making::Docker), BackendSpec::Docker(spec) | BackendSpec::Podman(spec)) => {
            Ok(BackendSpec::Docker(spec))
        }
        (Some(Making::Podman), BackendSpec::Docker(spec) | BackendSpec::Podman(spec)) => {
            Ok(BackendSpec::Podman(spec))
        }
        (None, backend) | (Some(Making::Process), backend @ BackendSpec::Process(_)) => Ok(backend),
        (Some(_), _) => Err(Misuse(format!("pool {POOL} of that config is not what --backend says"))),
    }
}
