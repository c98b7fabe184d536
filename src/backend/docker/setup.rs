//! What the guest of a container is told.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::Flavor;
use super::create::{is_root, writable};
use super::image::Image;
use super::podman;
use crate::backend::BackendError;
use crate::model::{ContainerMode, ContainerSpec, Limits, SECRETS_DIRECTORY, SecretValue};
use crate::protocol::{ContainerLimits, ContainerSetup, Secret, Service, WORKSPACE};

const TERM: u32 = 15;

/// Directories that a reset empties.
pub(super) fn places(flavor: Flavor, spec: &ContainerSpec, image: &Image) -> Vec<PathBuf> {
    let mut places: Vec<_> = writable(spec, image).into_iter().map(|(path, _)| path).collect();
    // Its directories belong to root, who alone can write there.
    if flavor == Flavor::Podman && is_root(spec, image) {
        places.extend(
            podman::also_writable(spec)
                .map(PathBuf::from)
                .filter(|place| !places.contains(place))
                .collect::<Vec<_>>(),
        );
    }
    places
}

/// The plan for the inside of one container.
///
/// # Errors
/// When the image names no program for a service to run.
pub(super) fn setup(
    flavor: Flavor,
    spec: &ContainerSpec,
    limits: &Limits,
    image: &Image,
    env: BTreeMap<String, String>,
    secrets: Vec<(String, SecretValue)>,
) -> Result<ContainerSetup, BackendError> {
    let service = match spec.mode {
        ContainerMode::Sandbox => None,
        ContainerMode::Service => Some(service(spec, image)?),
    };
    let paths = places(flavor, spec, image);
    Ok(ContainerSetup {
        places: paths.iter().map(|path| path.as_os_str().as_bytes().to_vec()).collect(),
        // The engine's own tmpfs there is root's to write to.
        guarded: if is_root(spec, image) { vec![b"/dev".to_vec()] } else { Vec::new() },
        own_ipc: true,
        env: env.into_iter().map(|(name, value)| (name.into_bytes(), value.into_bytes())).collect(),
        limits: ContainerLimits {
            open_files: limits.open_files,
            file_size: limits.file_size,
            ..ContainerLimits::default()
        },
        secrets_directory: SECRETS_DIRECTORY.into(),
        secrets: secrets
            .into_iter()
            .map(|(name, value)| Secret { name: name.into_bytes(), value: value.expose().to_vec() })
            .collect(),
        service,
        ..ContainerSetup::new(WORKSPACE)
    })
}

/// The spec's program with the spec's arguments; where it names none, the image's. An entrypoint of the spec's does
/// away with the image's arguments, as for engines.
fn service(spec: &ContainerSpec, image: &Image) -> Result<Service, BackendError> {
    let entrypoint = spec.entrypoint.as_ref().unwrap_or(&image.entrypoint);
    let command = match (&spec.command, &spec.entrypoint) {
        (Some(command), _) => command.as_slice(),
        (None, Some(_)) => &[],
        (None, None) => &image.command,
    };
    let argv: Vec<_> = entrypoint.iter().chain(command).map(|part| part.clone().into_bytes()).collect();
    if argv.is_empty() {
        return Err(BackendError::lasting(format!(
            "image {} names no program to run, and neither entrypoint nor command does",
            spec.image
        )));
    }
    let cwd = if image.workdir.is_empty() { "/" } else { image.workdir.as_str() };
    Ok(Service {
        argv,
        env: Vec::new(),
        cwd: cwd.into(),
        stop_signal: image.stop_signal.as_deref().and_then(signal).unwrap_or(TERM),
        grace_ms: u64::try_from(spec.stop_grace.as_millis()).unwrap_or(u64::MAX),
    })
}

/// A signal as images name it: `SIGQUIT`, `QUIT` or `3`.
fn signal(name: &str) -> Option<u32> {
    const NAMES: [(&str, u32); 11] = [
        ("HUP", 1),
        ("INT", 2),
        ("QUIT", 3),
        ("ABRT", 6),
        ("KILL", 9),
        ("USR1", 10),
        ("USR2", 12),
        ("TERM", 15),
        ("CONT", 18),
        ("WINCH", 28),
        ("PWR", 30),
    ];
    let upper = name.to_ascii_uppercase();
    let short = upper.strip_prefix("SIG").unwrap_or(&upper);
    let real_time = || {
        let above = short.strip_prefix("RTMIN+")?.parse::<u32>().ok()?;
        (above <= 30).then_some(34 + above)
    };
    let number = short.parse::<u32>().ok().filter(|number| (1..=64).contains(number));
    number
        .or_else(|| NAMES.iter().find(|(known, _)| *known == short).map(|(_, number)| *number))
        .or_else(real_time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(spec: &ContainerSpec) -> Vec<String> {
        let own = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let image = Image { entrypoint: own(&["/entry"]), command: own(&["a", "b"]), ..Image::default() };
        let service = service(spec, &image).expect("a service");
        service.argv.into_iter().map(|part| String::from_utf8(part).expect("text")).collect()
    }

    #[test]
    fn entrypoint_and_command_are_as_for_engines() {
        let word = |word: &str| Some(vec![word.to_owned()]);
        assert_eq!(argv(&ContainerSpec::default()), ["/entry", "a", "b"]);
        let command = ContainerSpec { command: word("c"), ..ContainerSpec::default() };
        assert_eq!(argv(&command), ["/entry", "c"]);
        let entrypoint = ContainerSpec { entrypoint: word("/mine"), ..ContainerSpec::default() };
        assert_eq!(argv(&entrypoint), ["/mine"]);
        let both = ContainerSpec { command: word("c"), ..entrypoint };
        assert_eq!(argv(&both), ["/mine", "c"]);
        assert!(service(&ContainerSpec::default(), &Image::default()).is_err());
    }

    #[test]
    fn stop_signals_are_known_by_name_and_number() {
        let cases = [
            ("SIGQUIT", Some(3)),
            ("quit", Some(3)),
            ("37", Some(37)),
            ("SIGRTMIN+3", Some(37)),
            ("SIGNONE", None),
            ("0", None),
        ];
        for (name, number) in cases {
            assert_eq!(signal(name), number, "{name}");
        }
    }
}
