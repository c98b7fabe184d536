//! Output as it comes, input as a stream, and directories as tar: `cargo run --example streaming`.

use ostler::{Chunk, Config, Exec, Ostler};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let ostler = Ostler::start(Config::load("config/demo.toml")?).await?;
    let lease = ostler.pool("sandbox")?.acquire().await?;

    let mut upper = lease.exec_stream(Exec::new("tr").args(["a-z", "A-Z"]).stdin_piped())?;
    upper.write(b"one line\nand another\n").await?;
    upper.close_stdin()?;
    while let Some(chunk) = upper.next().await {
        match chunk? {
            Chunk::Stdout(bytes) => print!("{}", String::from_utf8_lossy(&bytes)),
            Chunk::Stderr(bytes) => eprint!("{}", String::from_utf8_lossy(&bytes)),
        }
    }
    println!("ended with {:?}", upper.wait().await?.code);

    lease.write("results/one.txt", "1\n").await?;
    lease.write("results/two.txt", "2\n").await?;
    let mut tar = Vec::new();
    let members = lease.copy_out_to("results", &mut tar).await?;
    println!("{members} members in a tar of {} bytes", tar.len());

    drop(lease);
    ostler.shutdown().await?;
    Ok(())
}
