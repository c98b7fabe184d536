//! The README's first program: `cargo run --example first_lease`.

use std::time::Duration;

use ostler::{Config, Exec, Ostler};

#[tokio::main]
async fn main() -> Result<(), ostler::Error> {
    let ostler = Ostler::start(Config::load("config/demo.toml")?).await?;
    let pool = ostler.pool("sandbox")?;
    let lease = pool.acquire().await?;
    lease.write("hello.txt", b"hi\n").await?;
    let out = lease.exec(Exec::new("cat").arg("hello.txt").timeout(Duration::from_secs(5))).await?;
    assert!(out.success());
    assert_eq!(out.stdout, b"hi\n");
    assert_eq!(lease.read("hello.txt").await?, b"hi\n");
    drop(lease);
    println!("{}", pool.status());
    ostler.shutdown().await
}
