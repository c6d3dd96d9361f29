//! Asks the linker of a release build whether it can make the program smaller, in files and in memory.
//!
//! Each is worth it where the linker has it and the program starts with it here:
//!
//! - Functions whose code is the same are kept once.
//! - The places that the loader has to correct are a bit each instead of 24 bytes, which older systems cannot
//!   read.
//! - The functions that starts and calls run through lie side by side. The system maps a program in blocks of 64
//!   KB around what is run; in the order of the crates most blocks have something that is run, so that a
//!   server would hold most of the program in memory. `benches/order` writes their names; those that a build
//!   does not have are passed over.
//!
//! A program that is built for another system has none of them.

#![expect(
    clippy::disallowed_methods,
    reason = "Cargo tells its build scripts everything in variables"
)]

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The names of functions, a line each, in their order in the program.
const ORDER: &str = "benches/order.txt";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={ORDER}");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|it| it == value);
    if !is("PROFILE", "release") || !is("CARGO_CFG_TARGET_OS", "linux") {
        return;
    }
    if env::var("HOST").ok() != env::var("TARGET").ok() {
        return;
    }
    for arguments in wanted() {
        if starts_with(&arguments).unwrap_or(false) {
            for argument in arguments {
                println!("cargo::rustc-link-arg-bins={argument}");
            }
        }
    }
}

/// What is tried, each group for itself.
fn wanted() -> Vec<Vec<String>> {
    let mut wanted =
        vec![vec!["-Wl,--icf=all".to_owned()], vec!["-Wl,-z,pack-relative-relocs".to_owned()]];
    let order = env::var_os("CARGO_MANIFEST_DIR").map(|root| Path::new(&root).join(ORDER));
    // A comma is where the compiler would cut the argument.
    let order = order.and_then(|path| path.into_os_string().into_string().ok());
    if let Some(path) = order.filter(|path| !path.contains(',') && Path::new(path).exists()) {
        wanted.push(vec![
            format!("-Wl,--symbol-ordering-file={path}"),
            "-Wl,--no-warn-symbol-ordering".to_owned(),
        ]);
    }
    wanted
}

/// Whether a program that is linked with these arguments starts.
fn starts_with(arguments: &[String]) -> io::Result<bool> {
    let place = env::var_os("OUT_DIR").map(PathBuf::from).ok_or(io::ErrorKind::NotFound)?;
    let source = place.join("probe.rs");
    let program = place.join("probe");
    fs::write(&source, "fn main() {}")?;
    let mut compiler = Command::new(env::var_os("RUSTC").ok_or(io::ErrorKind::NotFound)?);
    compiler.arg(&source).arg("-o").arg(&program);
    compiler.args(arguments.iter().map(|argument| format!("-Clink-arg={argument}")));
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
