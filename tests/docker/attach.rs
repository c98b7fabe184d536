//! Where the engine does not share our file system, all goes through it, and works the same.

use ostler::model::{ContainerSpec, Transport};
use ostler::{Exec, PoolSpec};

use crate::engine::{Engine, Stable, spec};

#[tokio::test]
async fn an_attached_lease_is_like_any_other() {
    for engine in Engine::all("an attached lease") {
        let container = ContainerSpec { transport: Transport::Attach, ..spec() };
        let stable =
            Stable::open(&engine, &container, PoolSpec { min: 1, max: 1, ..PoolSpec::default() }).await;
        let big: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
        for round in 0..2 {
            let lease = stable.pool.acquire().await.unwrap();
            let out = lease.exec(Exec::shell("ls -A; id -u; cat /proc/1/comm")).await.unwrap();
            assert_eq!(String::from_utf8_lossy(&out.stdout), "65534\nguest\n", "round {round}: {out:?}");
            lease.write("big", &big).await.unwrap();
            assert!(lease.read("big").await.unwrap() == big);
            let (a, b) = tokio::join!(lease.exec(Exec::new("/bin/echo").arg("a")), lease.read("big"));
            assert_eq!(a.unwrap().stdout, b"a\n");
            assert_eq!(b.unwrap().len(), big.len());
        }
        assert!(stable.pool.status().retired.is_empty(), "{}", stable.pool.status());
        stable.close().await;
    }
}

#[tokio::test]
async fn a_killed_container_is_noticed_through_the_engine() {
    for engine in Engine::all("a killed attached container") {
        let container = ContainerSpec { transport: Transport::Attach, ..spec() };
        let stable =
            Stable::open(&engine, &container, PoolSpec { min: 1, max: 1, ..PoolSpec::default() }).await;
        crate::exit::kill_one(&stable, &engine).await;
        stable.close().await;
    }
}
