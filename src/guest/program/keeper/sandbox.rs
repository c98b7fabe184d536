//! Becoming a sandbox: the child is alone in new namespaces and holds all capabilities in them.

use std::fs;

use super::etc::INSIDE;
use super::root;
use super::step::Step;
use crate::confine::{Confinement, Fence, Limit, Opening};
use crate::place::{Place, Walls, Writable};
use crate::protocol::{Missing, Network, Setup, WORKSPACE, WRITABLE};
use crate::sys::landlock::SCOPE_ABSTRACT_UNIX;
use crate::sys::{Errno, capability, limit, namespace};

/// How many ended connections this network namespace keeps in mind.
const REMEMBERED_CONNECTIONS: &str = "/proc/sys/net/ipv4/tcp_max_tw_buckets";

/// Makes the sandbox around this process.
pub(super) fn enter(setup: &Setup, missing: &mut Vec<Missing>) -> Result<Place, String> {
    // First, so that everything made below is owned by somebody. The capabilities stay, because 0 is nobody
    // in this namespace.
    match namespace::leave_groups() {
        // An ordinary user's groups can't be left; what they open is not among what is shown inside.
        Ok(()) | Err(Errno::PERM) => {}
        Err(why) => return Err(why).step("leave groups"),
    }
    namespace::become_user(INSIDE, INSIDE).step("become the inner user")?;
    if let Some(most) = setup.pids {
        limit::lower(limit::PROCESSES, most).step("limit processes")?;
    }
    if setup.network == Network::None {
        namespace::raise_loopback().step("raise the loopback interface")?;
        // The kernel would remember connections for a minute after their end, and so the next lease would see them.
        if let Err(why) = fs::write(REMEMBERED_CONNECTIONS, "0") {
            missing.push(Missing { part: "forgetful network".to_owned(), why: why.to_string() });
        }
    }
    namespace::set_hostname(&setup.hostname).step("set the host name")?;
    let writable = writable(setup);
    root::build(setup, &writable)?;
    capability::keep_only(capability::SYS_ADMIN).step("drop capabilities")?;
    // With a network namespace of its own, abstract sockets are the sandbox's own too.
    let scoped = if setup.network == Network::Host { SCOPE_ABSTRACT_UNIX } else { 0 };
    let mut openings: Vec<_> = writable.iter().map(|place| Opening::everything(&place.path)).collect();
    openings.push(Opening::devices(b"/dev"));
    let fence = Fence::new(openings, 0, scoped, missing);
    Ok(Place {
        writable,
        walls: Walls::Private,
        confinement: Confinement::new(limits(setup), fence),
        ..Place::directory(WORKSPACE.into())
    })
}

fn writable(setup: &Setup) -> Vec<Writable> {
    let place = |path: &str| {
        let (size, mode) =
            if path == WORKSPACE { (setup.workspace_size, 0o700) } else { (setup.tmp_size, 0o1777) };
        Writable::new(path.into(), size, mode)
    };
    WRITABLE.map(place).into()
}

/// What commands are limited by and the guest is not: it serves many of them at once.
pub(super) fn limits(setup: &Setup) -> Vec<Limit> {
    let limit = |resource, value: Option<u64>| value.map(|value| Limit { resource, value });
    [limit(limit::OPEN_FILES, setup.open_files), limit(limit::ADDRESS_SPACE, setup.memory)]
        .into_iter()
        .flatten()
        .filter_map(|limit| {
            // A hard limit can only be lowered.
            let hard = crate::sys::limit::hard(0, limit.resource).ok()?;
            Some(Limit { value: limit.value.min(hard), ..limit })
        })
        .collect()
}
