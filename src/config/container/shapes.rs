//! What is written as text with a form of its own.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use crate::config::shape::Shape;
use crate::model::{
    Capability, ContainerNetwork, EngineHost, ExtraHost, Gpus, PortMap, Seccomp, StatusRange, Ulimit, Volume,
};

pub(in crate::config) const HOST: Shape =
    Shape::of::<EngineHost>("unix:///PATH or tcp://HOST:PORT", "\"unix:///run/docker.sock\"");

pub(in crate::config) const IMAGE: Shape =
    Shape::new("the name of an image; must be set", "\"debian:12\"", |text| {
        let letters = |b: u8| b.is_ascii_alphanumeric() || b"._-/:@+".contains(&b);
        let begins = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
        if begins && text.len() <= 512 && text.bytes().all(letters) {
            Ok(())
        } else {
            Err("must be the name of an image such as \"debian:12\"".to_owned())
        }
    });

pub(in crate::config) const PLATFORM: Shape =
    Shape::new("OS/ARCH or OS/ARCH/VARIANT", "\"linux/arm64\"", |text| {
        let letters = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._".contains(&b))
        };
        let parts = text.split('/').count();
        if (2..=3).contains(&parts) && text.split('/').all(letters) {
            Ok(())
        } else {
            Err("must be an OS and an architecture such as \"linux/arm64\"".to_owned())
        }
    });

pub(in crate::config) const USER: Shape =
    Shape::new("a name or number, and a group after a colon", "\"1000:1000\"", |text| {
        let letters = |part: &str| {
            let number = part.bytes().all(|b| b.is_ascii_digit());
            !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
                && (!number || part.parse::<i32>().is_ok())
        };
        let (user, group) = text.split_once(':').unwrap_or((text, "0"));
        if letters(user) && letters(group) {
            Ok(())
        } else {
            Err("must be a user such as \"nobody\" or \"1000:1000\", with numbers below 2147483648"
                .to_owned())
        }
    });

pub(in crate::config) const VOLUME: Shape = Shape::of::<Volume>(
    "a list of SOURCE:TARGET:ro, SOURCE:TARGET:shared or tmpfs:TARGET[:SIZE]",
    "[\"/srv/models:/models:ro\", \"tmpfs:/scratch:64MiB\"]",
)
.with_paths(|text, base| {
    let relative = text.starts_with("./") || text.starts_with("../");
    if relative { rebase(text, base) } else { text.to_owned() }
});

pub(in crate::config) const PORT: Shape = Shape::of::<PortMap>(
    "a list of [IP:][HOST]:CONTAINER[/udp], where HOST and CONTAINER may be ranges",
    "[\"8080:80\", \":9000\", \"8000-8007:53/udp\"]",
);

pub(in crate::config) const NETWORK: Shape =
    Shape::of::<ContainerNetwork>("\"none\", \"bridge\", \"host\" or the name of a network", "\"bridge\"");

pub(in crate::config) const ADDRESS: Shape =
    Shape::new("a list of IP addresses", "[\"10.0.0.53\"]", |text| {
        text.parse::<IpAddr>().map(drop).map_err(|_| "is not an IP address".to_owned())
    });

pub(in crate::config) const EXTRA_HOST: Shape =
    Shape::of::<ExtraHost>("a list of NAME:IP or NAME:host-gateway", "[\"db:10.0.0.5\"]");

pub(in crate::config) const ALLOWED: Shape = Shape::new("a list without entries", "[]", |_| {
    Err("cannot be kept to: engines have no such filter. With network = \"none\" no host is reached at all; to reach \
         some, name a network whose firewall lets only those through"
        .to_owned())
});

pub(in crate::config) const ULIMIT: Shape =
    Shape::of::<Ulimit>("a list of NAME=SOFT or NAME=SOFT:HARD", "[\"core=0\", \"stack=1048576:8388608\"]");

pub(in crate::config) const GPUS: Shape =
    Shape::of::<Gpus>("\"none\", \"all\", a number, or \"device=\" and names with commas", "\"all\"");

pub(in crate::config) const WORD: Shape = Shape::new("a name", "\"runsc\"", |text| {
    let letters = |b: u8| b.is_ascii_alphanumeric() || b"._-/".contains(&b);
    if (1..=256).contains(&text.len()) && text.bytes().all(letters) {
        Ok(())
    } else {
        Err("must be a name of letters, digits and . _ - /".to_owned())
    }
});

pub(in crate::config) const SECCOMP: Shape = Shape::of::<Seccomp>(
    "\"default\", \"unconfined\", or the path of a profile, with a / in it",
    "\"./seccomp.json\"",
)
.with_paths(|text, base| if text.contains('/') { rebase(text, base) } else { text.to_owned() });

pub(in crate::config) const CAPABILITY: Shape =
    Shape::of::<Capability>("a list of capabilities", "[\"NET_BIND_SERVICE\"]");

pub(in crate::config) const STATUS: Shape =
    Shape::of::<StatusRange>("a status of HTTP or a range of them", "\"200-299\"");

pub(in crate::config) const URL_PATH: Shape =
    Shape::new("a path that begins with /", "\"/healthz\"", |text| {
        if text.starts_with('/') && text.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(())
        } else {
            Err("must begin with / and have no blanks".to_owned())
        }
    });

pub(in crate::config) const ANY_TEXT: Shape =
    Shape::new(
        "text",
        "\"ok\"",
        |text| {
            if text.is_empty() { Err("must not be empty".to_owned()) } else { Ok(()) }
        },
    );

pub(in crate::config) const INNER_PATH: Shape =
    Shape::new("a path in the runtime; must be set for this probe", "\"/tmp/ready\"", |text| {
        let sound = !text.is_empty() && !text.contains('\0');
        if sound { Ok(()) } else { Err("must be a path such as \"/tmp/ready\"".to_owned()) }
    });

/// Without the dots that only say where it starts.
fn rebase(text: &str, base: &Path) -> String {
    let path: PathBuf = base.join(text).components().collect();
    path.to_string_lossy().into_owned()
}
