//! What containers are made from where nobody has said it: busybox, pulled or made of this host's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::Deserialize;
use tokio::task::spawn_blocking;

use super::ground::Ground;
use crate::engine::ask;

/// Longest that an engine may take between two words, at something that may take it long.
const WORD: Duration = Duration::from_mins(1);
/// Where static programs usually are.
const PLACES: [&str; 3] = ["/bin/busybox", "/usr/bin/busybox", "/usr/local/bin/busybox"];
/// Type of the part of a program that names its interpreter, by elf(5).
const INTERPRETER: u32 = 3;

/// The image, there for the demo.
#[derive(Debug)]
pub(super) enum Image {
    /// It was there, or has been pulled, and stays.
    Found,
    /// Made here; it goes with the demo.
    Made { socket: PathBuf, id: String, of: &'static str },
}

impl Image {
    /// Sees to it that there is an image of this name, or one as good, should nobody have `asked` for it.
    pub(super) async fn provide(ground: &Ground, name: &str, asked: bool) -> anyhow::Result<Self> {
        let Ground::Engine { socket, .. } = ground else { return Ok(Self::Found) };
        let (socket, name) = (socket.clone(), name.to_owned());
        spawn_blocking(move || provide(&socket, &name, asked)).await?
    }

    /// Takes away what was made.
    pub(super) async fn remove(self) -> anyhow::Result<()> {
        let Self::Made { socket, id, .. } = self else { return Ok(()) };
        let path = format!("/images/{id}");
        let removed = spawn_blocking(move || ask(&socket, WORD, ("DELETE", &path), b"")).await?;
        removed.map(drop).context("the image made for the demo")
    }
}

fn provide(socket: &Path, name: &str, asked: bool) -> anyhow::Result<Image> {
    ask(socket, WORD, ("GET", "/_ping"), b"")?;
    if is_there(socket, name) {
        return Ok(Image::Found);
    }
    if let Some(program) = PLACES.into_iter().find(|place| !asked && is_static(Path::new(place))) {
        let id = make(socket, Path::new(program)).with_context(|| format!("an image made of {program}"))?;
        return Ok(Image::Made { socket: socket.to_owned(), id, of: program });
    }
    let (repository, tag) = match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (name, "latest"),
    };
    let pulled =
        ask(socket, WORD, ("POST", &format!("/images/create?fromImage={repository}&tag={tag}")), b"");
    if is_there(socket, name) {
        return Ok(Image::Found);
    }
    let why = match pulled {
        Err(error) => format!("{error:#}"),
        // What went wrong comes last, after the head that says it went well.
        Ok(said) => String::from_utf8_lossy(&said).trim().lines().last().unwrap_or_default().to_owned(),
    };
    bail!(
        "there is no image {name}, and it can't be pulled ({why}); name one that has `wc` in it with --image"
    )
}

fn is_there(socket: &Path, name: &str) -> bool {
    ask(socket, WORD, ("GET", &format!("/images/{name}/json")), b"").is_ok()
}

/// An image with nothing but this program, which is `wc` too.
fn make(socket: &Path, program: &Path) -> anyhow::Result<String> {
    #[derive(Deserialize)]
    struct Made {
        status: String,
    }
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o755);
    let content = fs::read(program)?;
    header.set_size(content.len() as u64);
    archive.append_data(&mut header, "bin/busybox", &content[..])?;
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    archive.append_link(&mut header, "bin/wc", "busybox")?;
    // Not all engines take the tag, so its digest is what it goes by.
    let path = "/images/create?fromSrc=-&repo=localhost/ostler-demo";
    let made = ask(socket, WORD, ("POST", path), &archive.into_inner()?)?;
    let made: Made = serde_json::from_slice(&made).context("the engine's answer")?;
    Ok(made.status)
}

/// Whether it is a program that needs no other file. Of 64 bits, as this one.
fn is_static(path: &Path) -> bool {
    fs::read(path).is_ok_and(|program| interpreter(&program) == Some(false))
}

/// Whether a program names an interpreter; `None` of what is no program.
fn interpreter(program: &[u8]) -> Option<bool> {
    let number = |at: usize, size: usize| -> Option<usize> {
        let bytes = program.get(at..at.checked_add(size)?)?;
        bytes.iter().rev().try_fold(0_usize, |value, byte| Some(value.checked_mul(256)? + usize::from(*byte)))
    };
    // Magic, 64 bits, little endian.
    if program.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let (table, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    let mut found = false;
    for part in 0..count {
        found |= number(table.checked_add(part * size)?, 4)? == INTERPRETER as usize;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program of one part of this type.
    fn program(part: u8) -> Vec<u8> {
        let mut program = vec![0; 120];
        program[..6].copy_from_slice(b"\x7fELF\x02\x01");
        (program[32], program[54], program[56], program[64]) = (64, 56, 1, part);
        program
    }

    #[test]
    fn a_static_program_names_no_interpreter() {
        assert_eq!(interpreter(&program(1)), Some(false));
        assert_eq!(interpreter(&program(3)), Some(true));
        assert_eq!(interpreter(b"#!/bin/sh"), None);
        assert_eq!(interpreter(&program(1)[..60]), None);
        let own = fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(interpreter(&own), Some(true));
    }
}
