//! Asks the linker of a release build whether it can make the program smaller.
//!
//! Two things are worth it, where the linker has them and the program starts with them here: functions whose
//! code is the same are kept once, and the places that the loader has to correct are a bit each instead of 24
//! bytes, which older systems cannot read. A program that is built for another system has neither.

#![expect(
    clippy::disallowed_methods,
    reason = "Cargo tells its build scripts everything in variables"
)]

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// What is tried, each for itself.
const WANTED: [&str; 2] = ["-Wl,--icf=all", "-Wl,-z,pack-relative-relocs"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|it| it == value);
    if !is("PROFILE", "release") || !is("CARGO_CFG_TARGET_OS", "linux") {
        return;
    }
    if env::var("HOST").ok() != env::var("TARGET").ok() {
        return;
    }
    for argument in WANTED {
        if starts_with(argument).unwrap_or(false) {
            println!("cargo::rustc-link-arg-bins={argument}");
        }
    }
}

/// Whether a program that is linked with this argument starts.
fn starts_with(argument: &str) -> io::Result<bool> {
    let place = env::var_os("OUT_DIR").map(PathBuf::from).ok_or(io::ErrorKind::NotFound)?;
    let source = place.join("probe.rs");
    let program = place.join("probe");
    fs::write(&source, "fn main() {}")?;
    let mut compiler = Command::new(env::var_os("RUSTC").ok_or(io::ErrorKind::NotFound)?);
    compiler.arg(&source).arg("-o").arg(&program).arg("-C").arg(format!("link-arg={argument}"));
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        compiler.arg("-C").arg(format!("linker={}", Path::new(&linker).display()));
    }
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    compiler.args(flags.split('\u{1f}').filter(|it| !it.is_empty()));
    Ok(succeeds(&mut compiler)? && succeeds(&mut Command::new(&program))?)
}

fn succeeds(command: &mut Command) -> io::Result<bool> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(command.status()?.success())
}
