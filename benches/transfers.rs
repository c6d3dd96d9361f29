//! Exports and imports of large files beside `curl`, against the embedded simulator.
//!
//! `cargo bench --bench transfers` measures 4 GiB; `DADL_BENCH_GIB=10` measures more, and
//! `DADL_BENCH_DIRECTORY` says where. It needs `bash`, `curl` and `sha256sum`. Each figure is the best
//! of three runs, which alternate; `curl` hashes what it gets as well (`tee`). Memory is the most that
//! the process held (`VmHWM`).

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement for people"
)]

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use dadl_simulator::{SimulatorOptions, XenOrchestra};

const RUNS: usize = 3;
const GIB: u64 = 1024 * 1024 * 1024;

/// What one run took.
#[derive(Clone, Copy)]
struct Run {
    time: Duration,
    /// In KiB.
    memory: u64,
}

struct Bench {
    simulator: XenOrchestra,
    size: u64,
    directory: PathBuf,
}

impl Bench {
    fn run(&self, command: &mut Command) -> Run {
        command.env("CREDENTIAL_XEN_ORCHESTRA_TOKEN", self.simulator.token());
        let started = Instant::now();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let status = format!("/proc/{}/status", child.id());
        let mut memory = 0;
        let code = loop {
            memory = peak(Path::new(&status)).unwrap_or(memory).max(memory);
            if let Some(code) = child.try_wait().unwrap() {
                break code;
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        let time = started.elapsed();
        assert!(code.success(), "{command:?}");
        Run { time, memory }
    }

    fn curl(&self, arguments: &str) -> Run {
        let (url, token) = (self.simulator.url(), self.simulator.token());
        let script = format!(
            "set -o pipefail; cd '{}'; curl -sf -H 'Cookie: authenticationToken={token}' {}; wait",
            self.directory.display(),
            arguments.replace("URL", &url),
        );
        self.run(Command::new("bash").args(["-c", &script]))
    }

    fn dadl_mcp(&self, arguments: &[&str]) -> Run {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dadl-mcp"));
        command.arg("call").args(arguments).args(["--json", "--yes", "--access", "all"]);
        command.args(["--dadl", "xen-orchestra", "--url", &self.simulator.url(), "--files"]);
        command.arg(&self.directory).env("HOME", &self.directory);
        self.run(&mut command)
    }

    fn empty(&self) {
        let _ = std::fs::remove_dir_all(&self.directory);
        std::fs::create_dir_all(&self.directory).unwrap();
    }

    fn compare(&self, what: &str, mut theirs: impl FnMut() -> Run, mut ours: impl FnMut() -> Run) {
        let mut best: [Option<Run>; 2] = [None; 2];
        for _ in 0..RUNS {
            for (place, run) in best.iter_mut().zip([theirs(), ours()]) {
                *place = Some(match *place {
                    Some(best) if best.time < run.time => best,
                    _ => run,
                });
            }
        }
        let [theirs, ours] = best.map(Option::unwrap);
        let rate = |run: Run| self.size as f64 / run.time.as_secs_f64() / 1e6;
        println!(
            "{what}: curl {:.0} MB/s, dadl-mcp {:.0} MB/s ({:.0} %), at most {:.1} MiB of memory",
            rate(theirs),
            rate(ours),
            100.0 * rate(ours) / rate(theirs),
            ours.memory as f64 / 1024.0
        );
    }
}

/// Returns the most memory that a process held, in KiB.
fn peak(status: &Path) -> Option<u64> {
    let status = std::fs::read_to_string(status).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// Returns the identifier of the first object of a collection.
fn first(simulator: &XenOrchestra, collection: &str) -> String {
    let list = Command::new("curl")
        .args(["-sf", "-H", &format!("Cookie: authenticationToken={}", simulator.token())])
        .arg(format!("{}/{collection}?limit=1", simulator.url()))
        .output()
        .unwrap();
    let list: serde_json::Value = serde_json::from_slice(&list.stdout).unwrap();
    let href = list.get(0).and_then(|href| href.as_str()).unwrap();
    href.rsplit('/').next().unwrap().to_owned()
}

fn main() {
    let gib: u64 = std::env::var("DADL_BENCH_GIB").map_or(4, |text| text.parse().unwrap());
    let size = gib * GIB;
    let directory = std::env::var_os("DADL_BENCH_DIRECTORY").map_or_else(
        || std::env::temp_dir().join(format!("dadl-mcp-transfers-{}", std::process::id())),
        |base| PathBuf::from(base).join("transfers"),
    );
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let options = SimulatorOptions { export_size: size, ..SimulatorOptions::default() };
    let simulator = runtime.block_on(XenOrchestra::start(options)).unwrap();
    let (vdi, storage) = (first(&simulator, "vdis"), first(&simulator, "srs"));
    let bench = Bench { simulator, size, directory };
    bench.compare(
        "export",
        || {
            bench.empty();
            bench.curl(&format!("URL/vdis/{vdi}.raw | tee >(sha256sum > sum) > disk.raw"))
        },
        || {
            bench.empty();
            bench.dadl_mcp(&["export_vdi_raw", &format!("uuid={vdi}")])
        },
    );
    bench.empty();
    bench.curl(&format!("URL/vdis/{vdi}.raw -o disk.raw"));
    bench.compare(
        "import",
        || {
            bench.curl(&format!(
                "-X POST -H 'Content-Type: application/octet-stream' -T disk.raw \
                 'URL/srs/{storage}/vdis?name_label=x&raw=true'"
            ))
        },
        || {
            let arguments = [&format!("sr_uuid={storage}"), "name_label=x", "raw:=true"];
            bench.dadl_mcp(&[&["import_vdi_to_sr", "file=disk.raw"][..], &arguments[..]].concat())
        },
    );
    let _ = std::fs::remove_dir_all(&bench.directory);
}
