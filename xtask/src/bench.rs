//! `cargo xtask bench`: measures bird-sms and its alternatives in one run.
//!
//! The ratios of a run are what counts: all contenders run on the same machine with the same server, one
//! after the other. Instructions and allocations are repeatable, and a baseline holds the instructions.

mod chart;
mod simulated;

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use wait4::Wait4;

use self::chart::Bars;
use self::simulated::Simulated;
use crate::command::{Server, build, cargo, output, succeed};

/// The contenders of `bench/`, and their names in the report.
const CONTENDERS: [(&str, &str); 4] = [
    ("raw", "raw TCP and a search (the lower bound)"),
    (HAND_WRITTEN, "hand-written reqwest and serde (the reference)"),
    ("generated", "the generated client alone"),
    ("bird-sms", "**bird-sms**"),
];
/// The reference: the contender that ratios refer to.
const HAND_WRITTEN: &str = "hand-written";
/// The programs of `bench/consumers`: names in the report, packages, and their features.
const CONSUMERS: [(&str, &str, &str); 4] = [
    (HAND_WRITTEN, HAND_WRITTEN, ""),
    ("bird-sms", "bird-sms", ""),
    ("bird-sms-http2", "bird-sms", "http2"),
    ("bird-sms-generating", "bird-sms-generating", ""),
];
const HTTPX: &str = "httpx==0.28.1";
const BASELINE: &str = "bench/baseline.json";
/// The accepted ratio to the baseline.
const TOLERANCE: f64 = 1.03;

/// Instructions per install, as they were accepted.
#[derive(Serialize, Deserialize)]
struct Baseline {
    about: String,
    instructions: BTreeMap<String, u32>,
}

/// Measures everything, and prints tables; `target/bench/results.json` has the tables of installs and processes.
pub(crate) fn run(root: &Path) -> anyhow::Result<()> {
    let bench = Bench::prepare(root)?;
    let installs = bench.installs()?;
    eprintln!("building the programs of processes, and simulating installs");
    let (hand_written, command, simulated, memory, distance) = std::thread::scope(|scope| {
        let programs = scope.spawn(|| {
            let hand_written = Consumer::build(root, &bench.folder, CONSUMERS[0])?.program;
            anyhow::Ok((
                hand_written,
                build(root, "bird-sms", &["--release", "-p", "bird-sms-cli"])?,
            ))
        });
        let args = ["--profile", "dependent", "-p", "bird-bench", "--features", "distance"];
        let args = [&args[..], &["--example", "simulated", "--bin", "bench-distance"]].concat();
        let distance = build(root, "bench-distance", &args)?;
        let simulated = distance.with_file_name("examples/simulated");
        let simulated = scope.spawn(move || Simulated::run(&simulated));
        let printed = |program: &mut Command| anyhow::Ok(String::from_utf8(output(program)?)?);
        let distance = scope.spawn(move || printed(&mut Command::new(distance)));
        let mut memory = Command::new(bench.programs.join("bench-memory"));
        let memory = printed(memory.arg(bench.url()))?;
        let panicked = "a thread panicked";
        let (simulated, distance, (hand_written, command)) = (
            simulated.join().expect(panicked)?,
            distance.join().expect(panicked)?,
            programs.join().expect(panicked)?,
        );
        anyhow::Ok((hand_written, command, simulated, memory, distance))
    })?;
    let processes = bench.processes(&hand_written, &command)?;
    let size = std::fs::metadata(command)?.len();
    println!(
        "\n{installs}\n{processes}\nThe stripped binary bird-sms has {size} bytes.\n\n\
         ## Installs that wait\n\n{memory}\n\
         ## A batch over TLS with 100 ms of round trip\n\n{distance}\n\
         {}",
        simulated.tables()?
    );
    println!("## Targets\n\n| | figure | target | |\n|---|---|---|---|");
    let ratio = |table: &Table, column| table.ratio(column, "bird-sms").unwrap_or(f64::NAN);
    let own = [
        (
            "instructions of an install, ratio to hand-written",
            ratio(&installs, "instructions"),
            0.75,
        ),
        ("allocations of an install, ratio to hand-written", ratio(&installs, "allocations"), 0.65),
        ("wall time of a process, ratio to hand-written", ratio(&processes, "wall ms"), 0.60),
        (
            "peak memory of a process, MiB",
            processes.value("peak MiB", "bird-sms").unwrap_or(f64::NAN),
            9.0,
        ),
    ];
    let own = own.map(|(what, figure, target)| (what.to_owned(), figure, target));
    for (what, figure, target) in own.into_iter().chain(simulated.targets()) {
        let verdict = if figure <= target { "holds" } else { "**missed**" };
        println!("| {what} | {figure:.3} | {target} | {verdict} |");
    }
    simulated.draw(&root.join("docs/charts"))?;
    resources(&installs, &processes, &root.join("docs/charts"))?;
    let path = bench.folder.join("results.json");
    let tables = [installs, processes];
    std::fs::write(&path, serde_json::to_string_pretty(&tables)?)?;
    println!("The tables as JSON: {}", path.display());
    Ok(())
}

/// Draws the instructions, allocations, time and memory of bird-sms beside the hand-written client.
fn resources(installs: &Table, processes: &Table, folder: &Path) -> std::io::Result<()> {
    let group = |table: &Table, column: &str, label: &str| {
        let bar = |name| {
            let value = table.value(column, name)?;
            Some((table.ratio(column, name)?, format!("{value:.0}")))
        };
        Some((label.to_owned(), vec![bar("bird-sms")?, bar(HAND_WRITTEN)?]))
    };
    let groups = [
        group(installs, "instructions", "instructions per install"),
        group(installs, "allocations", "allocations per install"),
        group(processes, "wall ms", "a process, ms"),
        group(processes, "peak MiB", "a process, MiB"),
    ];
    let bars = Bars {
        title: "An install beside a hand-written client",
        end: 1.2,
        mark: 1.0,
        names: vec!["bird-sms", "hand-written reqwest and serde"],
        groups: groups.into_iter().flatten().collect(),
    };
    std::fs::write(folder.join("resources.svg"), bars.to_string())
}

/// Compares the instructions of an install with the baseline, and returns whether the baseline holds.
///
/// Another machine or compiler changes the count of every contender. Therefore the ratio to the hand-written
/// contender counts.
pub(crate) fn check(root: &Path) -> anyhow::Result<bool> {
    let measured = Bench::prepare(root)?.all_instructions()?;
    let baseline: Baseline = serde_json::from_slice(&std::fs::read(root.join(BASELINE))?)?;
    let ratio = |counts: &BTreeMap<String, u32>, name| {
        let count = |name| counts.get(name).map(|count| f64::from(*count));
        count(name).zip(count(HAND_WRITTEN)).map(|(count, b)| count / b)
    };
    let mut holds = true;
    for (name, count) in &measured {
        let before = ratio(&baseline.instructions, name);
        let before =
            before.with_context(|| format!("the baseline has no {name} or no {HAND_WRITTEN}"))?;
        let now = ratio(&measured, name).unwrap_or(f64::NAN);
        let verdict = if now <= before * TOLERANCE { "ok" } else { "worse by more than 3 %" };
        holds &= verdict == "ok";
        println!(
            "{name}: {count} instructions per install, {now:.3} of {HAND_WRITTEN}; {before:.3} in the baseline: {verdict}"
        );
    }
    Ok(holds)
}

/// Saves the instructions of an install as the baseline.
pub(crate) fn save_baseline(root: &Path) -> anyhow::Result<()> {
    let instructions = Bench::prepare(root)?.all_instructions()?;
    let about = "Instructions per install, one at a time: cargo xtask bench --save-baseline".into();
    let text = serde_json::to_string_pretty(&Baseline { about, instructions })?;
    std::fs::write(root.join(BASELINE), format!("{text}\n"))?;
    println!("wrote {BASELINE}");
    Ok(())
}

/// A table of the report.
#[derive(Serialize)]
struct Table {
    title: &'static str,
    /// Names, and the digits after the decimal point.
    columns: Vec<(&'static str, usize)>,
    /// Names, and the values of the columns.
    rows: Vec<(String, Vec<Option<f64>>)>,
}

impl Table {
    fn value(&self, column: &str, name: &str) -> Option<f64> {
        let at = self.columns.iter().position(|(title, _)| *title == column)?;
        self.rows.iter().find(|(row, _)| row.trim_matches('*').starts_with(name))?.1[at]
    }

    /// Returns the ratio to the reference.
    fn ratio(&self, column: &str, name: &str) -> Option<f64> {
        Some(self.value(column, name)? / self.value(column, HAND_WRITTEN)?)
    }
}

impl Display for Table {
    /// Prints each value and, in parentheses, its ratio to the reference.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let b = self.rows.iter().find(|(name, _)| name.starts_with(HAND_WRITTEN));
        let names: Vec<_> = self.columns.iter().map(|column| column.0).collect();
        let rule = "---|".repeat(names.len());
        writeln!(f, "## {}\n\n| | {} |\n|---|{rule}", self.title, names.join(" | "))?;
        for (name, values) in &self.rows {
            write!(f, "| {name} |")?;
            for (index, (_, digits)) in self.columns.iter().enumerate() {
                match (values[index], b.and_then(|(_, values)| values[index])) {
                    (Some(value), Some(b)) => write!(f, " {value:.digits$} ({:.2}) |", value / b)?,
                    (Some(value), None) => write!(f, " {value:.digits$} |")?,
                    (None, _) => write!(f, " - |")?,
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// The time that a process takes, in seconds.
#[derive(Clone, Copy)]
struct Usage {
    wall: f64,
    cpu: f64,
}

/// The programs and the server that all measurements use.
struct Bench {
    root: PathBuf,
    /// The folder for results and tools.
    folder: PathBuf,
    /// The folder of the programs of `bench/`, which are built like a program that depends on bird-sms.
    programs: PathBuf,
    server: Server,
}

impl Bench {
    fn prepare(root: &Path) -> anyhow::Result<Self> {
        let folder = root.join("target/bench");
        std::fs::create_dir_all(&folder)?;
        let server = build(root, "bench-server", &["--profile", "dependent", "-p", "bird-bench"])?;
        let programs = server.parent().unwrap_or(root).to_owned();
        let server = Server::start(&mut Command::new(server), 1)?;
        Ok(Self { root: root.to_owned(), folder, programs, server })
    }

    fn url(&self) -> &str {
        &self.server.lines[0]
    }

    /// Returns a command with the environment that every client reads.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env("BIRD_API_URL", self.url())
            .env("BIRD_ACCESS_KEY", "secret")
            .env("BIRD_WORKSPACE_ID", "a1405560-c8d3-4b1a-877d-3f449ad95352")
            .env("NUMBER", "2cffb55c-120e-91a8-8f10-ed9d1b412d29")
            .env("USE_CASE", "be123b02-dacf-31f9-b3e5-50b18260bc23");
        command
    }

    /// Returns a command that runs installs of a contender in Rust.
    fn rust(&self, program: &str, name: &str, installs: u32, concurrency: u32) -> Command {
        let mut command = self.command(self.programs.join(program));
        command.args([name, self.url(), &installs.to_string(), &concurrency.to_string()]);
        command
    }

    /// Installs httpx, and returns the commands of the contenders in other languages that can run.
    fn peers(&self) -> Vec<(&'static str, Command)> {
        let venv = self.folder.join("venv").display().to_string();
        let python = format!("{venv}/bin/python");
        let install = format!("python3 -m venv {venv} && {python} -m pip install -q {HTTPX}");
        let peers = [
            ("Node, fetch", "node --version", "node", "fetch_install.mjs"),
            ("Python, httpx", &install, &python, "httpx_install.py"),
            ("two curls and jq", "curl --version && jq --version", "bash", "curl_install.sh"),
        ];
        let mut installed = Vec::new();
        for (name, prepare, program, script) in peers {
            let status = Command::new("sh").args(["-c", prepare]).stdout(Stdio::null()).status();
            if status.is_ok_and(|status| status.success()) {
                let mut command = self.command(program);
                command.arg(self.root.join("bench/peers").join(script)).arg(self.url());
                installed.push((name, command));
            } else {
                eprintln!("skipping {name}: not installed");
            }
        }
        installed
    }

    fn installs(&self) -> anyhow::Result<Table> {
        let mut rows = CONTENDERS.map(|(_, name)| (name.to_owned(), Vec::new()));
        for (concurrency, count) in [(1, 5_000), (64, 20_000)] {
            eprintln!("measuring {concurrency} at a time");
            // Alternately, so that other load of the machine affects all contenders alike.
            let mut runs = [const { Vec::new() }; CONTENDERS.len()];
            for _ in 0..5 {
                for ((name, _), runs) in CONTENDERS.iter().zip(&mut runs) {
                    runs.push(usage(&mut self.rust("bench-installs", name, count, concurrency))?);
                }
            }
            for ((_, values), runs) in rows.iter_mut().zip(&runs) {
                values.extend(median(runs).per_install(count));
            }
        }
        for ((name, _), (_, values)) in CONTENDERS.iter().zip(&mut rows) {
            eprintln!("counting {name}");
            let allocations = output(&mut self.rust("bench-allocations", name, 500, 64))?;
            values.push(self.instructions(name, 64)?.map(f64::from));
            values.push(Some(str::from_utf8(&allocations)?.trim().parse()?));
        }
        let mut rows = rows.to_vec();
        for (name, mut command) in self.peers() {
            let count: u32 = if name.contains("curl") { 50 } else { 2000 };
            let usage = usage(command.args([count.to_string(), "64".to_owned()]))?;
            let [cpu, rate] = usage.per_install(count);
            rows.push((name.to_owned(), vec![None, None, cpu, rate, None, None]));
        }
        let columns = vec![
            ("CPU µs, one at a time", 1),
            ("installs/s, one at a time", 0),
            ("CPU µs, 64 at a time", 1),
            ("installs/s, 64 at a time", 0),
            ("instructions", 0),
            ("allocations", 0),
        ];
        Ok(Table { title: "An install", columns, rows })
    }

    fn all_instructions(&self) -> anyhow::Result<BTreeMap<String, u32>> {
        let names = CONTENDERS.iter().filter(|(name, _)| *name != "raw");
        names
            .map(|(name, _)| {
                let count = self.instructions(name, 1)?.context("valgrind is not installed")?;
                Ok(((*name).to_owned(), count))
            })
            .collect()
    }

    /// Returns the instructions of an install, without those of the start; none without valgrind.
    fn instructions(&self, name: &str, concurrency: u32) -> anyhow::Result<Option<u32>> {
        const FEW: u32 = 200;
        const MANY: u32 = 1200;
        if Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_err() {
            return Ok(None);
        }
        let count = |installs: u32| -> anyhow::Result<u64> {
            let command = self.rust("bench-installs", name, installs, concurrency);
            let mut valgrind = Command::new("valgrind");
            valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
            let output = valgrind.arg(command.get_program()).args(command.get_args()).output()?;
            let report = String::from_utf8_lossy(&output.stderr);
            let count = report.split("Collected : ").nth(1).and_then(|rest| rest.lines().next());
            count.and_then(|count| count.trim().parse().ok()).context("callgrind counted nothing")
        };
        Ok(Some(u32::try_from((count(MANY)? - count(FEW)?) / u64::from(MANY - FEW))?))
    }

    fn processes(&self, hand_written: &Path, bird_sms: &Path) -> anyhow::Result<Table> {
        let mut install = self.command(bird_sms);
        install.args(["install", "--name", "My SMS channel", "--poll-interval", "1us"]);
        install.args(["--phone-number-id", "2cffb55c-120e-91a8-8f10-ed9d1b412d29"]);
        install.args(["--use-case-id", "be123b02-dacf-31f9-b3e5-50b18260bc23"]);
        let mut programs = vec![
            ("hand-written, in Rust", self.command(hand_written)),
            ("bird-sms install", install),
        ];
        programs.extend(self.peers().into_iter().map(|(name, mut command)| {
            command.args(["1", "1"]);
            (name, command)
        }));
        let mut rows = Vec::new();
        for (name, mut command) in programs {
            let runs = (0..21).map(|_| usage(command.stderr(Stdio::null())));
            let usage = median(&runs.collect::<anyhow::Result<Vec<_>>>()?);
            let mut highest = 0.0_f64;
            for _ in 0..5 {
                highest = highest.max(peak(command.stdout(Stdio::null()))?);
            }
            let values = [usage.wall * 1e3, usage.cpu * 1e3, highest];
            rows.push((name.to_owned(), values.map(Some).to_vec()));
        }
        let columns = vec![("wall ms", 1), ("CPU ms", 1), ("peak MiB", 1)];
        Ok(Table { title: "A process, from its start to one install", columns, rows })
    }
}

/// A program of `bench/consumers` that was built.
struct Consumer {
    program: PathBuf,
    /// The crates that were compiled.
    crates: u32,
}

impl Consumer {
    /// Builds the program with this name, package and features.
    fn build(
        root: &Path,
        folder: &Path,
        (name, package, features): (&str, &str, &str),
    ) -> anyhow::Result<Self> {
        let target = folder.join("consumers").join(name);
        let package = root.join("bench/consumers").join(package);
        // The versions of the workspace.
        std::fs::copy(root.join("Cargo.lock"), package.join("Cargo.lock"))?;
        let mut build = cargo();
        build.current_dir(&package).args(["build", "--release", "--features", features]);
        let build = build.arg("--target-dir").arg(&target).stderr(Stdio::piped()).output()?;
        let log = String::from_utf8_lossy(&build.stderr);
        ensure!(build.status.success(), "{name} does not build:\n{log}");
        let crates = log.lines().filter(|line| line.contains("Compiling ")).count();
        Ok(Self { program: target.join("release/consumer"), crates: u32::try_from(crates)? })
    }
}

/// Builds the consumers without a cache, and prints how long that takes.
pub(crate) fn builds(root: &Path) -> anyhow::Result<()> {
    let folder = root.join("target/bench");
    let mut rows = Vec::new();
    for consumer in CONSUMERS {
        let name = consumer.0;
        let _ = std::fs::remove_dir_all(folder.join("consumers").join(name));
        let package = root.join("bench/consumers").join(consumer.1);
        succeed(cargo().current_dir(package).args(["fetch", "--quiet"]))?;
        eprintln!("building {name} without a cache");
        let start = Instant::now();
        let built = Consumer::build(root, &folder, consumer)?;
        let seconds = start.elapsed().as_secs_f64();
        let bytes = u32::try_from(std::fs::metadata(built.program)?.len())?;
        let values = [seconds, built.crates.into(), bytes.into()];
        rows.push((name.to_owned(), values.map(Some).to_vec()));
    }
    let columns = vec![("seconds", 1), ("crates", 0), ("bytes", 0)];
    let title = "A program that depends on it, built cold in release";
    println!("{}", Table { title, columns, rows });
    Ok(())
}

impl Usage {
    /// Returns CPU microseconds per install, and installs per second.
    fn per_install(self, installs: u32) -> [Option<f64>; 2] {
        let installs = f64::from(installs);
        [Some(self.cpu / installs * 1e6), Some(installs / self.wall)]
    }
}

/// Runs a process to its end.
fn usage(command: &mut Command) -> anyhow::Result<Usage> {
    let name = command.get_program().to_string_lossy().into_owned();
    let start = Instant::now();
    let mut process = command.stdout(Stdio::piped()).spawn().with_context(|| name.clone())?;
    let mut printed = String::new();
    if let Some(stdout) = &mut process.stdout {
        stdout.read_to_string(&mut printed)?;
    }
    let used = process.wait4()?;
    let wall = start.elapsed().as_secs_f64();
    ensure!(used.status.success(), "{name} failed: {} {printed}", used.status);
    Ok(Usage { wall, cpu: (used.rusage.utime + used.rusage.stime).as_secs_f64() })
}

/// Returns the largest resident set of a process in MiB, as /proc shows it while the process runs.
///
/// The figure of `wait4` includes the memory of this process, because the child is forked from it.
fn peak(command: &mut Command) -> anyhow::Result<f64> {
    let mut process = command.spawn()?;
    let path = PathBuf::from(format!("/proc/{}/status", process.id()));
    let mut peak = 0.0_f64;
    while process.try_wait()?.is_none() {
        let status = std::fs::read_to_string(&path).unwrap_or_default();
        // Until it executes its own program it is a copy of this process.
        if !status.starts_with("Name:\txtask") {
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u32>().ok());
            peak = peak.max(f64::from(kib.unwrap_or_default()) / 1024.0);
        }
    }
    Ok(peak)
}

/// Returns the median of each figure.
fn median(runs: &[Usage]) -> Usage {
    let of = |figure: fn(&Usage) -> f64| {
        let mut values: Vec<_> = runs.iter().map(figure).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    };
    Usage { wall: of(|usage| usage.wall), cpu: of(|usage| usage.cpu) }
}
