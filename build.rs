//! Asks the linker of a release build whether it can make the program smaller, in files and in memory.
//!
//! Each is worth it where the linker has it and the program starts with it here:
//!
//! - Functions whose code is the same are kept once.
//! - The places that the loader has to correct are a bit each instead of 24 bytes, which older systems cannot
//!   read.
//! - The functions that starts and calls run through lie side by side. The system maps a program in blocks of 64
//!   KB around what is run; in the order of the crates most blocks have something that is run, so that a
//!   server would hold most of the program in memory. `benches/order` writes their names, which depend on the
//!   compiler and on all crates; those that a build does not have are passed over, and a build that has
//!   others says so.
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
/// What the names depend on, and the compiler.
const LOCK: &str = "Cargo.lock";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={ORDER}");
    println!("cargo::rerun-if-changed={LOCK}");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|it| it == value);
    if !is("PROFILE", "release") || !is("CARGO_CFG_TARGET_OS", "linux") {
        return;
    }
    if env::var("HOST").ok() != env::var("TARGET").ok() {
        return;
    }
    if is_of_another_build().unwrap_or(false) {
        println!(
            "cargo::warning={ORDER} is of another compiler or {LOCK}: the program will take half as much \
             memory again; benches/order renews it"
        );
    }
    for arguments in wanted() {
        if starts_with(&arguments).unwrap_or(false) {
            for argument in arguments {
                println!("cargo::rustc-link-arg-bins={argument}");
            }
        }
    }
}

/// Whether the names are those of other crates, or of another compiler: the first line says of which.
fn is_of_another_build() -> io::Result<bool> {
    let order = fs::read_to_string(ORDER)?;
    let compiler =
        Command::new(env::var_os("RUSTC").ok_or(io::ErrorKind::NotFound)?).arg("-V").output()?;
    let compiler = String::from_utf8_lossy(&compiler.stdout);
    let build = format!("# {}, {LOCK} {:08x}", compiler.trim(), checksum(&fs::read(LOCK)?));
    Ok(order.lines().next() != Some(&build))
}

/// The CRC-32 of bytes, which other programs know as well.
fn checksum(bytes: &[u8]) -> u32 {
    let shifted = |rest: u32| (rest >> 1) ^ (0xEDB8_8320 & (rest & 1).wrapping_neg());
    let byte = |rest: u32, byte: &u8| (0..8).fold(rest ^ u32::from(*byte), |rest, _| shifted(rest));
    !bytes.iter().fold(u32::MAX, byte)
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
