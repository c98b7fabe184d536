//! Fetching what must not be in any config: secrets, and files of environment.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::backend::BackendError;
use crate::model::{SecretSource, SecretValue};

/// Largest secret, or file of environment, bytes.
const LARGEST: u64 = 1 << 20;
/// Longest a program may take that writes one.
const PATIENCE: Duration = Duration::from_secs(10);

/// Fetches secrets by name.
///
/// # Errors
/// The first that can't be had, by name; nothing of any secret is in it.
pub(super) async fn fetch(
    sources: &BTreeMap<String, SecretSource>,
) -> Result<Vec<(String, SecretValue)>, BackendError> {
    let mut secrets = Vec::with_capacity(sources.len());
    for (name, source) in sources {
        let value = match source {
            SecretSource::File(path) => read(path.clone()).await,
            SecretSource::Env(variable) => from_environment(variable),
            SecretSource::Command(argv) => output(argv).await,
        };
        let value = value.map_err(|error| BackendError::passing(format!("fetch secret {name}"), error))?;
        secrets.push((name.clone(), SecretValue::new(value)));
    }
    Ok(secrets)
}

/// Reads files of `NAME=value` lines, the later over the earlier. Empty lines and those that begin with `#` are
/// left out.
///
/// # Errors
/// The first that can't be read or has another line, by path and line.
pub(super) async fn environment(files: &[PathBuf]) -> Result<BTreeMap<String, String>, BackendError> {
    let mut all = BTreeMap::new();
    for file in files {
        let failed = |error| BackendError::passing(format!("read env file {}", file.display()), error);
        let bytes = read(file.clone()).await.map_err(failed)?;
        let text = String::from_utf8(bytes).map_err(|_| failed(io::Error::other("is not text")))?;
        all.extend(
            variables(&text)
                .map_err(|line| failed(io::Error::other(format!("line {line} is not NAME=value"))))?,
        );
    }
    Ok(all)
}

/// What the lines say, or the number of the first that says nothing.
fn variables(text: &str) -> Result<Vec<(String, String)>, usize> {
    let lines = text.lines().enumerate().map(|(number, line)| (number + 1, line.trim_start()));
    let meant = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let parsed = meant.map(|(number, line)| match line.split_once('=') {
        Some((name, value))
            if !name.is_empty() && !name.contains(char::is_whitespace) && !value.contains('\0') =>
        {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err(number),
    });
    parsed.collect()
}

async fn read(path: PathBuf) -> io::Result<Vec<u8>> {
    spawn_blocking(move || read_now(&path)).await.map_err(io::Error::other)?
}

fn read_now(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    bounded(bytes)
}

fn from_environment(variable: &str) -> io::Result<Vec<u8>> {
    use std::os::unix::ffi::OsStringExt;
    let value =
        std::env::var_os(variable).ok_or_else(|| io::Error::other(format!("{variable} is not set")))?;
    bounded(value.into_vec())
}

/// What a program writes, less one newline at the end. What it says besides is nobody's business: it may be the
/// secret.
async fn output(argv: &[String]) -> io::Result<Vec<u8>> {
    let (program, arguments) = argv.split_first().ok_or_else(|| io::Error::other("no program is named"))?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| io::Error::new(error.kind(), format!("{program}: {error}")))?;
    let stdout = child.stdout.take().ok_or_else(|| io::Error::other("no output"))?;
    let work = async {
        let mut bytes = Vec::new();
        stdout.take(LARGEST + 1).read_to_end(&mut bytes).await?;
        let bytes = bounded(bytes)?;
        let status = child.wait().await?;
        if status.success() { Ok(bytes) } else { Err(io::Error::other(format!("{program}: {status}"))) }
    };
    let mut bytes = timeout(PATIENCE, work)
        .await
        .map_err(|_| io::Error::other(format!("{program}: not done within {PATIENCE:?}")))??;
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    Ok(bytes)
}

fn bounded(bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    let fits = u64::try_from(bytes.len()).is_ok_and(|length| length <= LARGEST);
    if fits { Ok(bytes) } else { Err(io::Error::other("is larger than 1 MiB")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(source: SecretSource) -> BTreeMap<String, SecretSource> {
        BTreeMap::from([("token".to_owned(), source)])
    }

    fn command(argv: &[&str]) -> BTreeMap<String, SecretSource> {
        one(SecretSource::Command(argv.iter().map(|part| (*part).to_owned()).collect()))
    }

    #[tokio::test]
    async fn secrets_come_from_files_variables_and_programs() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), b"in \0 file\n").expect("written");
        let sources = [
            (one(SecretSource::File(file.path().to_owned())), b"in \0 file\n".to_vec()),
            (one(SecretSource::Env("CARGO_MANIFEST_DIR".to_owned())), env!("CARGO_MANIFEST_DIR").into()),
            (command(&["/bin/echo", "said"]), b"said".to_vec()),
        ];
        for (source, expected) in sources {
            let fetched = fetch(&source).await.expect("fetched");
            assert_eq!(fetched[0].1.expose(), expected);
        }
    }

    #[tokio::test]
    async fn a_secret_that_is_not_to_be_had_is_named_and_nothing_more() {
        for source in [
            one(SecretSource::File("/not/there".into())),
            one(SecretSource::Env("OSTLER_NOT_SET".to_owned())),
            command(&["/bin/sh", "-c", "echo hunter2; exit 3"]),
            command(&["/bin/sh", "-c", "yes hunter2"]),
        ] {
            let error = fetch(&source).await.expect_err("refused");
            let text = format!("{error}: {:?}", error.source);
            assert!(text.contains("token") && !text.contains("hunter2\n"), "{text}");
        }
    }

    #[test]
    fn environment_is_read_line_by_line() {
        let text = "# comment\nA=1\n\n  B=two words = 3\nC=\n";
        let expected = [("A", "1"), ("B", "two words = 3"), ("C", "")];
        let expected: Vec<_> =
            expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        assert_eq!(variables(text), Ok(expected));
        assert_eq!(variables("A=1\nnonsense\n"), Err(2));
        assert_eq!(variables("a b=1"), Err(1));
    }
}
