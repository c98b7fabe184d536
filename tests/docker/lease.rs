//! A lease on a container does what any lease does.

use ostler::{Exec, PoolSpec};

use crate::engine::{Engine, Stable, spec};

#[tokio::test]
async fn a_lease_runs_commands_and_works_on_files_and_leaves_nothing() {
    for engine in Engine::all("a lease") {
        let stable = Stable::open(&engine, &spec(), PoolSpec { min: 1, max: 2, ..PoolSpec::default() }).await;
        let lease = stable.pool.acquire().await.unwrap();
        let out = lease.exec(Exec::new("/bin/echo").arg("hello")).await.unwrap();
        assert_eq!(out.stdout, b"hello\n", "{out:?}");
        lease.write("dir/file", b"content").await.unwrap();
        assert_eq!(lease.read("dir/file").await.unwrap(), b"content");
        let out =
            lease.exec(Exec::shell("id -u; pwd; cat dir/file; echo > /tmp/left; sleep 100 &")).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&out.stdout), "65534\n/work\ncontent", "{out:?}");
        let (runtime, handle) = (lease.runtime(), lease.handle().to_owned());
        assert!(engine.containers(&stable.instance).await.iter().any(|id| id.starts_with(&handle)));
        drop(lease);
        let lease = loop {
            let lease = stable.pool.acquire().await.unwrap();
            if lease.runtime() == runtime {
                break lease;
            }
        };
        let out = lease.exec(Exec::shell("ls /work /tmp; ps")).await.unwrap();
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(!text.contains("left") && !text.contains("file") && !text.contains("sleep"), "{text}");
        assert!(stable.pool.status().retired.is_empty(), "{:?}", stable.pool.status());
        drop(lease);
        stable.close().await;
    }
}
