use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bollard::models::{ImageConfig, ImageInspect};
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::TryStreamExt;

use super::client::{Engine, EngineError, QUICK};
use crate::backend::BackendError;
use crate::model::PullPolicy;

/// Longest a pull may take without a word from the engine.
const PULL: Duration = Duration::from_mins(2);

/// What an image says of itself, as far as it counts here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Image {
    /// Its digest: the name may come to mean another.
    pub(super) id: String,
    /// Empty for root.
    pub(super) user: String,
    pub(super) entrypoint: Vec<String>,
    pub(super) command: Vec<String>,
    /// Empty for `/`.
    pub(super) workdir: String,
    /// Directories it wants on volumes.
    pub(super) volumes: Vec<PathBuf>,
    pub(super) stop_signal: Option<String>,
    /// The command of its health check, where it has one.
    pub(super) health_check: Option<Vec<String>>,
}

/// The image of one pool: where it is looked up, pulled, and remembered.
#[derive(Debug)]
pub(super) struct Images {
    name: String,
    platform: Option<String>,
    pull: PullPolicy,
    /// What the last look came to.
    known: Mutex<Option<Arc<Image>>>,
}

impl Images {
    pub(super) fn new(name: &str, platform: Option<&str>, pull: PullPolicy) -> Self {
        let platform = platform.map(str::to_owned);
        Self { name: name.to_owned(), platform, pull, known: Mutex::default() }
    }

    /// The image, looked up where that has not been done, and pulled as the policy says.
    ///
    /// # Errors
    /// One that names it, when it is not there and cannot be pulled.
    pub(super) async fn get(&self, engine: &Engine) -> Result<Arc<Image>, BackendError> {
        if let Some(image) = self.with(|known| known.clone()) {
            return Ok(image);
        }
        let found = match self.pull {
            PullPolicy::Always => {
                self.pull(engine).await?;
                self.look(engine).await?
            }
            PullPolicy::Missing => match self.look(engine).await? {
                None => {
                    self.pull(engine).await?;
                    self.look(engine).await?
                }
                found => found,
            },
            PullPolicy::Never => self.look(engine).await?,
        };
        let image = Arc::new(found.ok_or_else(|| self.failed("the engine does not have it"))?);
        self.with(|known| *known = Some(Arc::clone(&image)));
        Ok(image)
    }

    /// A launch failed, so what is remembered may no longer hold.
    pub(super) fn forget(&self) {
        self.with(|known| *known = None);
    }

    async fn look(&self, engine: &Engine) -> Result<Option<Image>, BackendError> {
        let step = || format!("look at image {}", self.name);
        let client = engine.client().await.map_err(|error| error.at(step()))?;
        match engine.within(QUICK, client.inspect_image(&self.name)).await {
            Ok(found) => Ok(Some(Image::from(found))),
            Err(EngineError::Missing(_)) => Ok(None),
            Err(error) => Err(error.at(step())),
        }
    }

    async fn pull(&self, engine: &Engine) -> Result<(), BackendError> {
        let client = engine.client().await.map_err(|error| error.at(format!("pull image {}", self.name)))?;
        let mut options = CreateImageOptionsBuilder::new().from_image(&with_tag(&self.name));
        if let Some(platform) = &self.platform {
            options = options.platform(platform);
        }
        let mut steps = client.create_image(Some(options.build()), None, None);
        loop {
            match engine.within(PULL, steps.try_next()).await {
                Ok(Some(_)) => {}
                Ok(None) => return Ok(()),
                Err(error) if error.is_absence() => {
                    return Err(error.at(format!("pull image {}", self.name)));
                }
                Err(error) => return Err(self.failed(&format!("it can't be pulled: {error}"))),
            }
        }
    }

    fn failed(&self, why: &str) -> BackendError {
        BackendError::passing(format!("image {} is missing", self.name), why)
    }

    fn with<T>(&self, work: impl FnOnce(&mut Option<Arc<Image>>) -> T) -> T {
        // Poisoned, it is still whole.
        work(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Without a tag an engine would pull them all.
fn with_tag(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or(name);
    if last.contains([':', '@']) { name.to_owned() } else { format!("{name}:latest") }
}

impl From<ImageInspect> for Image {
    fn from(found: ImageInspect) -> Self {
        let ImageConfig { user, entrypoint, cmd, working_dir, volumes, stop_signal, healthcheck, .. } =
            found.config.unwrap_or_default();
        Self {
            id: found.id.unwrap_or_default(),
            user: user.unwrap_or_default(),
            entrypoint: entrypoint.unwrap_or_default(),
            command: cmd.unwrap_or_default(),
            workdir: working_dir.unwrap_or_default(),
            volumes: volumes.unwrap_or_default().into_iter().map(PathBuf::from).collect(),
            stop_signal: stop_signal.filter(|signal| !signal.is_empty()),
            health_check: healthcheck.and_then(|check| check.test).and_then(command),
        }
    }
}

/// What a health check runs, from how an image has it.
fn command(test: Vec<String>) -> Option<Vec<String>> {
    let mut words = test.into_iter();
    match words.next()?.as_str() {
        "CMD" => Some(words.collect()).filter(|words: &Vec<_>| !words.is_empty()),
        "CMD-SHELL" => Some(["/bin/sh", "-c"].map(str::to_owned).into_iter().chain(words).collect()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{command, with_tag};

    #[test]
    fn a_health_check_is_a_command() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let cases: [(&[&str], Option<&[&str]>); 5] = [
            (&["CMD", "probe", "-q"], Some(&["probe", "-q"])),
            (&["CMD-SHELL", "a || b"], Some(&["/bin/sh", "-c", "a || b"])),
            (&["NONE"], None),
            (&["CMD"], None),
            (&[], None),
        ];
        for (test, expected) in cases {
            assert_eq!(command(words(test)), expected.map(words));
        }
    }

    #[test]
    fn a_tag_is_added_where_there_is_none() {
        for (name, pulled) in [
            ("busybox", "busybox:latest"),
            ("busybox:1.36", "busybox:1.36"),
            ("host:5000/a/b", "host:5000/a/b:latest"),
            ("a@sha256:0123", "a@sha256:0123"),
        ] {
            assert_eq!(with_tag(name), pulled);
        }
    }
}
