//! The program's command line.

use std::ffi::OsString;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// What the program was started as.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Isolates and starts a guest; the rest of the command line is its own.
    Keeper(Vec<OsString>),
    /// Serves the protocol.
    Init(Init),
    /// Serves the protocol as the first program of a container.
    Container(Door),
    /// Removes a directory and all below it, whatever a lease made of it.
    Remove(PathBuf),
}

/// Where a container's guest finds its host.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// At a unix socket.
    Link(PathBuf),
    /// Behind its own stdin and stdout.
    Attach,
}

/// Arguments of `init`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Init {
    /// Where relative paths start, when no place is handed over.
    pub(crate) workspace: Option<Vec<u8>>,
    /// Descriptor an encoded [`Place`](crate::place::Place) is read from.
    pub(crate) place: Option<RawFd>,
    /// The parent, as the guest sees it: when it is another one, the guest ends.
    pub(crate) parent: Option<u32>,
}

/// Reads the command line without the program's name.
pub(crate) fn parse(mut arguments: impl Iterator<Item = OsString>) -> Result<Mode, String> {
    match arguments.next().as_ref().and_then(|mode| mode.to_str()) {
        Some("keeper") => Ok(Mode::Keeper(arguments.collect())),
        Some("init") => init(arguments).map(Mode::Init),
        Some("container") => container(arguments).map(Mode::Container),
        Some("remove") => arguments.next().map(|path| Mode::Remove(path.into())).ok_or_else(usage),
        _ => Err(usage()),
    }
}

fn usage() -> String {
    "usage: ostler-guest keeper … | init --workspace PATH | --place-fd N [--parent PID] | \
     container --link PATH | --attach | remove PATH"
        .to_owned()
}

fn container(mut arguments: impl Iterator<Item = OsString>) -> Result<Door, String> {
    let name = arguments.next();
    let value = arguments.next();
    match (name.as_ref().and_then(|name| name.to_str()), value, arguments.next()) {
        (Some("--link"), Some(path), None) => Ok(Door::Link(path.into())),
        (Some("--attach"), None, _) => Ok(Door::Attach),
        _ => Err(usage()),
    }
}

fn init(mut arguments: impl Iterator<Item = OsString>) -> Result<Init, String> {
    let mut init = Init::default();
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{} wants a value", name.display()))?;
        match name.to_str() {
            Some("--workspace") => init.workspace = Some(value.into_vec()),
            Some("--place-fd") => init.place = Some(number(&value)?),
            Some("--parent") => init.parent = Some(number(&value)?),
            _ => return Err(format!("unknown argument {}", name.display())),
        }
    }
    Ok(init)
}

fn number<T: std::str::FromStr>(value: &OsString) -> Result<T, String> {
    value
        .to_str()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| format!("{} is not a number that fits", value.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> impl Iterator<Item = OsString> {
        line.split_whitespace().map(OsString::from).collect::<Vec<_>>().into_iter()
    }

    #[test]
    fn init_takes_its_arguments_in_any_order() {
        let parsed = parse(words("init --parent 7 --workspace /work --place-fd 5"));
        let wanted = Init { workspace: Some(b"/work".to_vec()), place: Some(5), parent: Some(7) };
        assert_eq!(parsed, Ok(Mode::Init(wanted)));
    }

    #[test]
    fn a_container_has_one_door() {
        let link = parse(words("container --link /.ostler/link"));
        assert_eq!(link, Ok(Mode::Container(Door::Link("/.ostler/link".into()))));
        assert_eq!(parse(words("container --attach")), Ok(Mode::Container(Door::Attach)));
        for line in ["container", "container --link", "container --link /a /b", "container --attach x"] {
            assert!(parse(words(line)).is_err(), "{line}");
        }
    }

    #[test]
    fn the_rest_is_the_keepers_own() {
        assert_eq!(parse(words("keeper a b")), Ok(Mode::Keeper(words("a b").collect())));
    }

    #[test]
    fn anything_else_is_refused() {
        for line in ["", "serve", "init --workspace", "init --place-fd x", "init --what 1"] {
            assert!(parse(words(line)).is_err(), "{line}");
        }
    }
}
