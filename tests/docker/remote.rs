//! Engines on a network, with certificates and without.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use ostler::model::{ContainerSpec, TlsSpec, Transport};
use ostler::{Exec, Pool, PoolSpec};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};

use crate::engine::{Engine, Kind, Stable, image, spec};
use crate::private::{Private, free_port};

const PATIENCE: Duration = Duration::from_mins(1);

fn one() -> PoolSpec {
    PoolSpec { min: 1, max: 1, acquire_timeout: PATIENCE, ..PoolSpec::default() }
}

async fn works(pool: &Pool) {
    for _ in 0..2 {
        let lease = pool.acquire().await.unwrap();
        lease.write("file", b"content").await.unwrap();
        let output = lease.exec(Exec::new("/bin/cat").arg("file")).await.unwrap();
        assert_eq!(output.stdout, b"content", "{output:?}");
        assert_eq!(lease.read("file").await.unwrap(), b"content");
    }
    assert!(pool.status().retired.is_empty(), "{}", pool.status());
}

/// An authority, and what it has signed for both sides, as Docker's tools name the files.
fn certificates(directory: &Path) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    fs::write(directory.join("ca.pem"), authority.pem()).unwrap();
    let sides = [("server-", ExtendedKeyUsagePurpose::ServerAuth), ("", ExtendedKeyUsagePurpose::ClientAuth)];
    for (prefix, purpose) in sides {
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.extended_key_usages = vec![purpose];
        let key = KeyPair::generate().unwrap();
        let signed = params.signed_by(&key, &authority).unwrap();
        fs::write(directory.join(format!("{prefix}cert.pem")), signed.pem()).unwrap();
        fs::write(directory.join(format!("{prefix}key.pem")), key.serialize_pem()).unwrap();
    }
}

#[tokio::test]
async fn over_tls_only_with_the_right_certificates() {
    for shared in Engine::all("an engine behind TLS").into_iter().filter(|engine| engine.kind == Kind::Docker)
    {
        let directory = tempfile::tempdir().unwrap();
        certificates(directory.path());
        let file = |name: &str| directory.path().join(name);
        let address = format!("tcp://127.0.0.1:{}", free_port());
        let option = |option: &str, name: &str| format!("--{option}={}", file(name).display());
        let listening = vec![
            format!("--host={address}"),
            "--tlsverify".to_owned(),
            option("tlscacert", "ca.pem"),
            option("tlscert", "server-cert.pem"),
            option("tlskey", "server-key.pem"),
        ];
        let Some(private) = Private::start(&shared, listening).await else { continue };
        let near = private.engine();

        let tls =
            TlsSpec { ca: Some(file("ca.pem")), cert: Some(file("cert.pem")), key: Some(file("key.pem")) };
        for (transport, expected) in [(Transport::Auto, "link"), (Transport::Attach, "attach")] {
            let container = ContainerSpec { transport, tls: tls.clone(), ..spec() };
            let stable = Stable::open_at(&near, &address, &container, one()).await;
            works(&stable.pool).await;
            assert_eq!(stable.pool.status().runtimes[0].transport, Some(expected));
            stable.close().await;
        }

        // The same by the variables that Docker's own tools go by, in a process of its own.
        let config = format!(
            "state_dir = \"state\"\n[pools.p]\nbackend = \"docker\"\nmin = 0\n[pools.p.container]\nimage = \"{}\"\npull = \"never\"\n",
            image()
        );
        fs::write(file("pools.toml"), config).unwrap();
        let mut exec = Command::new(env!("CARGO_BIN_EXE_ostler"));
        exec.args(["exec", "--no-stdin"]).arg(file("pools.toml")).args(["p", "--", "/bin/echo", "hello"]);
        exec.env("DOCKER_HOST", &address)
            .env("DOCKER_TLS_VERIFY", "1")
            .env("DOCKER_CERT_PATH", directory.path());
        let done = tokio::task::spawn_blocking(move || exec.output().unwrap()).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&done.stdout), "hello\n", "{done:?}");

        // Somebody else's certificate is worth nothing.
        let strange = tempfile::tempdir().unwrap();
        certificates(strange.path());
        let file = |name: &str| Some(strange.path().join(name));
        let tls = TlsSpec { ca: file("ca.pem"), cert: file("cert.pem"), key: file("key.pem") };
        let container = ContainerSpec { tls, ..spec() };
        let refused = Stable::try_open_at(&near, &address, &container, one()).await;
        let error = refused.err().expect("it is refused");
        assert!(
            error.contains("can't be reached") && error.to_lowercase().contains("certificate"),
            "{error}"
        );
    }
}

/// How commands and files go is found out by trying: a network address may lead to this host or to another, which
/// here is an engine that does not see into one of our directories.
#[tokio::test]
async fn over_tcp() {
    for shared in Engine::all("an engine on tcp") {
        let address = format!("tcp://127.0.0.1:{}", free_port());
        let listening = match shared.kind {
            Kind::Docker => vec![format!("--host={address}"), "--tls=false".to_owned()],
            Kind::Podman => vec![address.clone()],
        };
        let hidden = tempfile::tempdir().unwrap();
        let hiding = Some(hidden.path().to_owned());
        let Some(private) = Private::start_without(&shared, listening, hiding).await else { continue };
        let near = || tempfile::tempdir().unwrap();
        let far = || tempfile::tempdir_in(hidden.path()).unwrap();
        for (transport, state, expected) in [
            (Transport::Auto, near(), "link"),
            (Transport::Attach, near(), "attach"),
            (Transport::Auto, far(), "attach"),
        ] {
            let container = ContainerSpec { transport, ..spec() };
            let stable = Stable::try_open_in(state, &private.engine(), &address, &container, one()).await;
            let stable = stable.unwrap();
            works(&stable.pool).await;
            assert_eq!(stable.pool.status().runtimes[0].transport, Some(expected), "{:?}", shared.kind);
            stable.close().await;
        }
    }
}
