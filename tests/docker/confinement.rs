//! P17: what confines containers more, or loosens it, does so on a live engine; what an engine does not have is said in
//! one line with the key that asked for it, and nobody has a container without.

use std::path::Path;
use std::time::{Duration, Instant};

use ostler::model::{ContainerSpec, Gpus, Seccomp};
use ostler::{Exec, Output, PoolSpec};

use crate::engine::{Engine, Stable, skip, spec};

/// Denies these and nothing else.
fn profile(directory: &Path, denied: &str) -> ContainerSpec {
    let file = directory.join(format!("{}.json", denied.len()));
    let text = format!(
        r#"{{ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [ {{ "names": [{denied}], "action": "SCMP_ACT_ERRNO" }} ] }}"#
    );
    std::fs::write(&file, text).unwrap();
    ContainerSpec { seccomp: Seccomp::Profile(file), ..spec() }
}

const PATIENCE: Duration = Duration::from_mins(1);

fn one() -> PoolSpec {
    PoolSpec { min: 0, max: 1, acquire_timeout: PATIENCE, ..PoolSpec::default() }
}

async fn shell(stable: &Stable, script: &str) -> Output {
    stable.pool.acquire().await.unwrap().exec(Exec::shell(script)).await.unwrap()
}

/// Why there are no containers, with all causes.
async fn refusal(engine: &Engine, container: &ContainerSpec) -> String {
    let pool = PoolSpec { min: 1, ..one() };
    let stable = match Stable::try_open_at(engine, &engine.host, container, pool).await {
        Err(refused) => return refused,
        Ok(stable) => stable,
    };
    let begun = Instant::now();
    let trouble = loop {
        let status = stable.pool.status();
        assert_eq!(status.ready, 0, "nobody has a container without");
        match status.trouble {
            Some(trouble) if status.degraded => break trouble,
            _ => assert!(begun.elapsed() < PATIENCE, "{}", stable.pool.status()),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    stable.close().await;
    println!("{:?}: {trouble}", engine.kind);
    trouble
}

#[tokio::test]
async fn a_seccomp_profile_from_a_file_is_the_one_that_filters() {
    for engine in Engine::all("a seccomp profile") {
        let directory = tempfile::tempdir().unwrap();
        let without_links = profile(directory.path(), r#""symlink", "symlinkat", "unshare""#);
        let stable = Stable::open(&engine, &without_links, one()).await;
        let denied = shell(&stable, "touch file && ! ln -s file link && ! unshare -U true").await;
        assert!(denied.success(), "{:?}: {denied:?}", engine.kind);
        let said = String::from_utf8_lossy(&denied.stderr).into_owned();
        assert_eq!(said.matches("Operation not permitted").count(), 2, "{said}");
        assert!(shell(&stable, "true").await.success());
        assert!(stable.pool.status().retired.is_empty(), "a reset goes with it: {}", stable.pool.status());
        stable.close().await;

        // The same without it.
        let stable = Stable::open(&engine, &spec(), one()).await;
        assert!(shell(&stable, "touch file && ln -s file link").await.success());
        stable.close().await;

        // The guest can't do without all, and what the engine has never heard of is its to say.
        let why = refusal(&engine, &profile(directory.path(), r#""mkdir", "mkdirat""#)).await;
        assert!(why.contains("make the workspace /work: Operation not permitted"), "{why}");
        let nonsense = directory.path().join("nonsense");
        std::fs::write(&nonsense, r#"{ "defaultAction": "SCMP_ACT_NONSENSE" }"#).unwrap();
        let nonsense = ContainerSpec { seccomp: Seccomp::Profile(nonsense), ..spec() };
        let why = refusal(&engine, &nonsense).await;
        assert!(why.contains("SCMP_ACT_NONSENSE"), "{why}");
    }
}

#[tokio::test]
async fn an_apparmor_profile_is_applied_or_said_to_be_none() {
    let enabled = std::fs::read_to_string("/sys/module/apparmor/parameters/enabled");
    let has_apparmor = enabled.is_ok_and(|enabled| enabled.trim() == "Y");
    for engine in Engine::all("AppArmor") {
        let named = |profile: &str| ContainerSpec { apparmor: Some(profile.to_owned()), ..spec() };
        let stable = Stable::open(&engine, &named("unconfined"), one()).await;
        assert!(shell(&stable, "true").await.success());
        stable.close().await;

        let why = refusal(&engine, &named("ostler-has-none")).await;
        if has_apparmor {
            assert!(why.contains("ostler-has-none"), "{why}");
        } else {
            assert!(why.contains("container.apparmor = "), "{why}");
            assert!(why.contains("ostler-has-none") && why.contains("has no AppArmor"), "{why}");
        }
    }
}

#[tokio::test]
async fn gpus_that_are_not_there_are_missed() {
    if Path::new("/dev/nvidia0").exists() {
        skip("GPUs that are not there: there are some");
        return;
    }
    for engine in Engine::all("GPUs that are not there") {
        for gpus in [Gpus::All, Gpus::Count(1), Gpus::Devices(vec!["0".to_owned()])] {
            let why = refusal(&engine, &ContainerSpec { gpus: gpus.clone(), ..spec() }).await;
            assert!(why.contains(&format!("container.gpus = \"{gpus}\": this engine gives none")), "{why}");
            assert_eq!(why.lines().count(), 1, "{why}");
        }
    }
}
