//! Watching a pool from a plain thread: `cargo run --example events`.

use std::time::Duration;

use ostler::{Config, Ostler};

#[tokio::main]
async fn main() -> Result<(), ostler::Error> {
    let ostler = Ostler::start(Config::load("config/demo.toml")?).await?;
    let events = ostler.blocking_events(256);
    let watcher = std::thread::spawn(move || {
        while let Some(event) = events.next(Duration::from_mins(1)) {
            println!("{event}");
        }
        println!("{} events were lost", events.dropped());
    });
    let pool = ostler.pool("sandbox")?;
    pool.ready(Duration::from_secs(10)).await?;
    pool.acquire().await?.discard();
    pool.ready(Duration::from_secs(10)).await?;
    ostler.shutdown().await?;
    drop(watcher.join());
    Ok(())
}
