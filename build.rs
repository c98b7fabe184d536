//! Builds the guest program and leaves it where the library embeds it from.

use std::env;
use std::path::PathBuf;
use std::process::Command;

fn main() {
    for input in ["build.rs", "src/guest/program", "src/protocol"] {
        println!("cargo::rerun-if-changed={input}");
    }
    println!("cargo::rerun-if-env-changed=RUSTC_LINKER");
    if let Err(wrong) = build() {
        // Cargo shows this in full when the script fails.
        eprintln!("the guest program could not be built: {wrong}");
        std::process::exit(1);
    }
}

fn build() -> Result<(), String> {
    let variable = |name| env::var_os(name).ok_or_else(|| format!("{name} is not set"));
    let target = variable("TARGET")?.into_string().map_err(|_| "TARGET is not text")?;
    if !target.contains("linux") {
        return Err(format!("it runs on Linux, and the target is {target}"));
    }
    let source = PathBuf::from(variable("CARGO_MANIFEST_DIR")?).join("src/guest/program/main.rs");
    let program = PathBuf::from(variable("OUT_DIR")?).join("ostler-guest");

    let mut rustc = Command::new(variable("RUSTC")?);
    rustc.args(["--crate-name", "ostler_guest", "--crate-type", "bin", "--edition", "2024"]);
    rustc.args(["--target", &target]);
    for option in [
        "target-feature=+crt-static",
        "panic=abort",
        "opt-level=3",
        "lto=fat",
        "codegen-units=1",
        "strip=symbols",
    ] {
        rustc.args(["-C", option]);
    }
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        let mut option = std::ffi::OsString::from("linker=");
        option.push(linker);
        rustc.arg("-C").arg(option);
    }
    let built = rustc
        .arg("-o")
        .arg(&program)
        .arg(&source)
        .status()
        .map_err(|error| format!("{} did not start: {error}", rustc.get_program().display()))?;
    if built.success() { Ok(()) } else { Err(format!("the compiler ended with {built}")) }
}
