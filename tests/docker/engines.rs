//! Several sets of engines on one machine take nothing from each other, nor from a stranger, and leave nothing.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bollard::models::{ContainerCreateBody, HostConfig, PortBinding};
use bollard::query_parameters::CreateContainerOptionsBuilder;
use rustix::process::{Pid, Signal, kill_process};

use crate::engine::{Engine, Kind, image, skip};
use crate::private::free_port;

const PATIENCE: Duration = Duration::from_mins(1);

fn script(directory: &Path, words: &[&str]) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/engines");
    let mut command = Command::new(script);
    command.args(words).env("OSTLER_ENGINES", directory.join("e")).stdin(Stdio::null());
    // Daemons keep what they inherit: to files, lest their end be waited for.
    let log = directory.join("log");
    let said = std::fs::File::create(&log).unwrap();
    let done = command.stdout(said.try_clone().unwrap()).stderr(said).status().unwrap();
    let said = std::fs::read_to_string(log).unwrap();
    assert!(done.success(), "{words:?}: {said}");
    said
}

fn run(program: &str, words: &[&str]) -> String {
    let done = Command::new(program).args(words).output().unwrap();
    assert!(done.status.success(), "{program} {words:?}: {done:?}");
    String::from_utf8(done.stdout).unwrap()
}

/// A link and a chain that are called as those that engines make, and are none of theirs.
struct Stranger {
    link: String,
    chain: String,
}

impl Stranger {
    fn come() -> Self {
        let number = fastrand::u16(1000..);
        let stranger = Self { link: format!("podman{number}"), chain: format!("CNI-DN-stranger{number}") };
        run("ip", &["link", "add", &stranger.link, "type", "bridge"]);
        run("iptables", &["-t", "nat", "-N", &stranger.chain]);
        stranger
    }

    fn is_there(&self) -> bool {
        run("ip", &["-o", "link"]).contains(&format!(" {}:", self.link))
            && run("iptables", &["-t", "nat", "-S"]).contains(&self.chain)
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        drop(Command::new("ip").args(["link", "del", &self.link]).status());
        drop(Command::new("iptables").args(["-t", "nat", "-X", &self.chain]).status());
    }
}

/// Engines in a directory of their own. Dropped, they are taken down, should the test have failed.
struct Set(tempfile::TempDir);

impl Set {
    fn up() -> Self {
        let set = Self(tempfile::Builder::new().prefix("set-").tempdir_in("/tmp").unwrap());
        script(set.0.path(), &["up"]);
        set
    }

    fn down(&self) {
        script(self.0.path(), &["down"]);
        assert!(!self.0.path().join("e").exists());
    }

    /// Links that came with it.
    fn links(&self) -> Vec<String> {
        let directory = self.0.path().join("e").display().to_string();
        let sum = run("sh", &["-c", "echo \"$0\" | cksum | cut -c1-5", &directory]);
        let mark = format!(" ostler-{}-", sum.trim());
        run("ip", &["-o", "link"]).lines().filter(|line| line.contains(&mark)).map(str::to_owned).collect()
    }

    /// Starts a service on a port of the host's, and says which container it is.
    async fn serve(&self, port: u16) -> String {
        let host = format!("unix://{}", self.0.path().join("e/run/podman.sock").display());
        let client = Engine { kind: Kind::Podman, host }.client().await;
        let binding = PortBinding { host_ip: None, host_port: Some(port.to_string()) };
        let host = HostConfig {
            port_bindings: Some([("8080/tcp".to_owned(), Some(vec![binding]))].into()),
            ..HostConfig::default()
        };
        let body = ContainerCreateBody {
            image: Some(image()),
            cmd: Some(["httpd", "-f", "-p", "8080", "-h", "/www"].map(str::to_owned).to_vec()),
            exposed_ports: Some(vec!["8080/tcp".to_owned()]),
            host_config: Some(host),
            ..ContainerCreateBody::default()
        };
        let options = CreateContainerOptionsBuilder::new().build();
        let id = client.create_container(Some(options), body).await.unwrap().id;
        client.start_container(&id, None).await.unwrap();
        let begun = Instant::now();
        while !serves(port) {
            assert!(begun.elapsed() < PATIENCE, "nobody serves on port {port}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        id
    }
}

impl Drop for Set {
    fn drop(&mut self) {
        if self.0.path().join("e").exists() {
            script(self.0.path(), &["down"]);
        }
    }
}

fn serves(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut answer = String::new();
    let asked = stream.write_all(b"GET / HTTP/1.0\r\n\r\n").and_then(|()| stream.read_to_string(&mut answer));
    asked.is_ok() && answer.contains("ostler-test")
}

#[tokio::test]
async fn two_sets_of_engines_keep_to_themselves() {
    let bridged = std::env::var("OSTLER_TEST_BRIDGE").unwrap_or_default();
    if !bridged.split(' ').any(|engine| engine == "podman") {
        skip("two sets of engines: there is no Podman with a bridge");
        return;
    }
    let (one, two) = (Set::up(), Set::up());
    let stranger = Stranger::come();
    let (port, other_port) = (free_port(), free_port());
    one.serve(port).await;
    let id = two.serve(other_port).await;
    assert!(one.links().len() >= 2 && two.links().len() >= 2, "{:?} {:?}", one.links(), two.links());

    one.down();
    assert_eq!(one.links(), Vec::<String>::new());
    assert!(!serves(port));
    assert!(serves(other_port), "the other set has lost something");
    assert!(stranger.is_there(), "a stranger's is gone");

    // One that died leaves its containers, and those are still its own.
    let pid: i32 = script(two.0.path(), &["pid", "podman"]).trim().parse().unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    assert!(serves(other_port));
    two.down();
    assert_eq!(two.links(), Vec::<String>::new());
    assert!(!serves(other_port));
    assert!(!run("iptables", &["-t", "nat", "-S"]).contains(&id), "a rule of its container is left");
    assert!(stranger.is_there(), "a stranger's is gone");
}
