//! An image that is missing is named, degrades the pool, and heals it by appearing; images need nothing inside.

use std::time::{Duration, Instant};

use bollard::query_parameters::{RemoveImageOptionsBuilder, TagImageOptionsBuilder};
use ostler::model::{ContainerSpec, PullPolicy};
use ostler::{Exec, PoolSpec};

use crate::engine::{Engine, Stable, image, spec, unique};

const PATIENCE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_missing_image_degrades_the_pool_until_it_appears() {
    for engine in Engine::all("a missing image") {
        let name = format!("ostler-test/{}", unique());
        let container = ContainerSpec { image: name.clone(), pull: PullPolicy::Never, ..spec() };
        let stable =
            Stable::open(&engine, &container, PoolSpec { min: 1, max: 1, ..PoolSpec::default() }).await;
        let started = Instant::now();
        while !stable.pool.status().degraded {
            assert!(started.elapsed() < PATIENCE, "{:?}", stable.pool.status());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let trouble = stable.pool.status().trouble.unwrap();
        println!("{:?}: degraded after {:?}: {trouble}", engine.kind, started.elapsed());
        assert!(trouble.contains(&format!("image {name} is missing")), "{trouble}");
        let client = engine.client().await;
        let tag = TagImageOptionsBuilder::new().repo(&name).tag("latest").build();
        client.tag_image(&image(), Some(tag)).await.unwrap();
        let appeared = Instant::now();
        stable.pool.ready(PATIENCE).await.unwrap();
        println!("{:?}: healed {:?} after the image appeared", engine.kind, appeared.elapsed());
        assert!(!stable.pool.status().degraded);
        assert_eq!(stable.pool.status().trouble, None);
        stable.close().await;
        let options = RemoveImageOptionsBuilder::new().force(true).noprune(true).build();
        client.remove_image(&name, Some(options), None).await.unwrap();
    }
}

#[tokio::test]
async fn an_image_that_cannot_be_pulled_says_so() {
    for engine in Engine::all("a failing pull") {
        // Nobody listens there.
        let name = "127.0.0.1:9/nobody/nothing:1".to_owned();
        let container = ContainerSpec { image: name.clone(), pull: PullPolicy::Missing, ..spec() };
        let pool =
            PoolSpec { min: 0, max: 1, acquire_timeout: Duration::from_secs(20), ..PoolSpec::default() };
        let stable = Stable::open(&engine, &container, pool).await;
        let error = stable.pool.acquire().await.unwrap_err().to_string();
        assert!(error.contains(&name) && error.contains("pull"), "{error}");
        stable.close().await;
    }
}

#[tokio::test]
async fn the_images_own_program_does_not_run_in_a_sandbox() {
    for engine in Engine::all("an image with a program") {
        let stable = Stable::open(&engine, &spec(), PoolSpec { min: 1, max: 1, ..PoolSpec::default() }).await;
        let lease = stable.pool.acquire().await.unwrap();
        let out = lease.exec(Exec::shell("set -- /proc/[0-9]*; echo $#")).await.unwrap();
        // The guest and the shell, which starts nothing for this.
        assert_eq!(String::from_utf8_lossy(&out.stdout).trim(), "2");
        drop(lease);
        stable.close().await;
    }
}
