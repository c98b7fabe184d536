//! A host without async: `cargo run --example blocking`.

use ostler::{Config, Exec, blocking};

fn main() -> Result<(), ostler::Error> {
    let ostler = blocking::Ostler::start(Config::load("config/demo.toml")?)?;
    let pool = ostler.pool("sandbox")?;
    let workers: Vec<_> = (0..4)
        .map(|worker| {
            let pool = pool.clone();
            std::thread::spawn(move || {
                let lease = pool.acquire()?;
                lease.write("numbers", format!("{worker}\n").repeat(1000))?;
                lease.exec(Exec::new("wc").arg("-l").arg("numbers"))
            })
        })
        .collect();
    for worker in workers {
        let output = worker.join().expect("the worker does not panic")?;
        print!("{}", String::from_utf8_lossy(&output.stdout));
    }
    println!("{}", pool.status());
    ostler.shutdown()
}
