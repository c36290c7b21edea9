//! `cargo xtask bench`: how fast it is, next to what one would use instead, in one run.
//!
//! Ratios of one run are what counts: the same machine, the same server, one after the other. Instructions
//! and allocations are the figures to hold, for they repeat; times are reported.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use serde::{Deserialize, Serialize};
use wait4::Wait4;

use crate::command::{cargo, output, succeed};

/// The contenders that are built from `bench/`, and what they are.
const RUST: [(&str, &str); 4] = [
    ("raw", "raw TCP and a scan (the floor)"),
    ("hand-written", "hand-written reqwest and serde (**b**)"),
    ("generated", "the generated client alone"),
    ("bird-sms", "**bird-sms**"),
];
/// The one that ratios are to.
const B: &str = "hand-written";
const HTTPX: &str = "httpx==0.28.1";
/// How much worse than the baseline is too much.
const WORSE: f64 = 1.03;

/// What is measured of a contender in Rust.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Installs {
    cpu_micros_1: f64,
    cpu_micros_64: f64,
    per_second_1: f64,
    per_second_64: f64,
    instructions: Option<u64>,
    allocations: Option<u64>,
}

/// Instructions per install, as they were accepted.
#[derive(Debug, Serialize, Deserialize)]
struct Baseline {
    about: String,
    instructions: BTreeMap<String, u64>,
}

/// Runs all, and prints the tables; the figures go to `target/bench/results.json`.
pub(crate) fn run(root: &Path) -> anyhow::Result<()> {
    let bench = Bench::prepare(root)?;
    let mut report = String::new();
    let installs = bench.installs(&mut report)?;
    let builds = bench.builds(&mut report)?;
    // Neither is timed, and each leaves a core idle at times.
    let (command, simulation) = std::thread::scope(|scope| {
        let simulation = scope.spawn(|| bench.simulation());
        (bench.build_command(), simulation.join())
    });
    let processes = bench.processes(&mut report, &builds, &command?)?;
    bench.memory(&mut report)?;
    report += &simulation.map_err(|_| anyhow!("the simulation panicked"))??;
    println!("\n{report}");
    let results = serde_json::json!({
        "installs": installs,
        "processes": processes,
        "builds": builds,
        "tables": report,
    });
    let path = bench.folder.join("results.json");
    std::fs::write(&path, serde_json::to_string_pretty(&results)?)?;
    println!("The same as JSON: {}", path.display());
    Ok(())
}

/// Compares the instructions of an install with the baseline, or makes it the baseline.
pub(crate) fn instructions(root: &Path, save: bool) -> anyhow::Result<bool> {
    let bench = Bench::prepare(root)?;
    let path = root.join("bench/baseline.json");
    let mut measured = BTreeMap::new();
    for (name, _) in &RUST[1..] {
        let count = bench.instructions(name, 1)?.context("valgrind is not installed")?;
        measured.insert((*name).to_owned(), count);
    }
    if save {
        let about =
            "Instructions per install, one at a time: cargo xtask bench --save-baseline".into();
        let mut text = serde_json::to_string_pretty(&Baseline { about, instructions: measured })?;
        text.push('\n');
        std::fs::write(&path, text)?;
        println!("wrote {}", path.display());
        return Ok(true);
    }
    let baseline: Baseline = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
    let before = |name: &str| {
        baseline.instructions.get(name).copied().context("the baseline lacks a contender")
    };
    // Another machine or compiler changes all of them: what is held is how much less than b ours are.
    let mut good = true;
    for (name, count) in &measured {
        let (now, then) = (ratio(*count, measured[B]), ratio(before(name)?, before(B)?));
        let verdict = if now <= then * WORSE { "held" } else { "worse by more than 3 %" };
        good &= now <= then * WORSE;
        println!(
            "{name}: {count} instructions per install, {now:.3} of {B}; {then:.3} in the baseline: {verdict}"
        );
    }
    Ok(good)
}

fn ratio(count: u64, of: u64) -> f64 {
    let number = |count: u64| u32::try_from(count).map_or(f64::MAX, f64::from);
    number(count) / number(of)
}

/// What it is measured with.
struct Bench {
    root: PathBuf,
    /// For what is made on the way.
    folder: PathBuf,
    /// Where the programs of `bench/` are, built as a program that depends on bird-sms is.
    dependent: PathBuf,
    server: Server,
}

/// A server in a process of its own.
struct Server {
    process: Child,
    url: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a process took.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Usage {
    wall_seconds: f64,
    cpu_seconds: f64,
}

impl Bench {
    fn prepare(root: &Path) -> anyhow::Result<Self> {
        let folder = root.join("target/bench");
        std::fs::create_dir_all(&folder)?;
        let build = |args: &[&str]| {
            succeed(cargo().current_dir(root).args(["build", "--locked"]).args(args))
        };
        build(&["--profile", "dependent", "-p", "bird-bench"])?;
        let dependent = root.join("target/dependent");
        let mut process =
            Command::new(dependent.join("bench-server")).stdout(Stdio::piped()).spawn()?;
        let mut url = String::new();
        let stdout = process.stdout.take().context("the server has no stdout")?;
        BufReader::new(stdout).read_line(&mut url)?;
        let server = Server { process, url: url.trim().to_owned() };
        Ok(Self { root: root.to_owned(), folder, dependent, server })
    }

    /// A command that knows where the server is.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env("BIRD_API_URL", &self.server.url)
            .env("BIRD_ACCESS_KEY", "secret")
            .env("BIRD_WORKSPACE_ID", "a1405560-c8d3-4b1a-877d-3f449ad95352")
            .env("NUMBER", "2cffb55c-120e-91a8-8f10-ed9d1b412d29")
            .env("USE_CASE", "be123b02-dacf-31f9-b3e5-50b18260bc23");
        command
    }

    fn rust(&self, program: &str, name: &str, installs: usize, concurrency: usize) -> Command {
        let mut command = self.command(self.dependent.join(program));
        command.args([name, "--url", &self.server.url]);
        command.args([
            "--installs",
            &installs.to_string(),
            "--concurrency",
            &concurrency.to_string(),
        ]);
        command
    }

    /// The commands of those that are not Rust, or why they are not there.
    fn peers(&self) -> Vec<(&'static str, Result<Command, String>)> {
        let peers = self.root.join("bench/peers");
        let with_script = |program: &str, script: &str| {
            let mut command = self.command(program);
            command.arg(peers.join(script)).arg(&self.server.url);
            command
        };
        let there = |program: &str| {
            let found = Command::new(program).arg("--version").stdout(Stdio::null()).status();
            found.map_err(|_| format!("{program} is not installed")).map(drop)
        };
        let httpx = || {
            there("python3")?;
            let venv = self.folder.join("venv");
            let python = venv.join("bin/python");
            if !venv.join("bin/httpx-installed").exists() {
                let failed = |error: anyhow::Error| format!("httpx cannot be installed: {error}");
                succeed(Command::new("python3").args(["-m", "venv"]).arg(&venv)).map_err(failed)?;
                succeed(Command::new(&python).args(["-m", "pip", "install", "-q", HTTPX]))
                    .map_err(failed)?;
                std::fs::write(venv.join("bin/httpx-installed"), HTTPX)
                    .map_err(|error| error.to_string())?;
            }
            Ok(with_script(&python.to_string_lossy(), "httpx_install.py"))
        };
        vec![
            ("Node, fetch", there("node").map(|()| with_script("node", "fetch_install.mjs"))),
            ("Python, httpx", httpx()),
            (
                "two curls and jq",
                there("curl").and(there("jq")).map(|()| with_script("bash", "curl_install.sh")),
            ),
        ]
    }

    fn installs(&self, report: &mut String) -> anyhow::Result<BTreeMap<String, Installs>> {
        let mut all = BTreeMap::new();
        for (name, _) in RUST {
            eprintln!("counting {name}");
            let counted = output(&mut self.rust("bench-allocations", name, 500, 64))?;
            let installs = Installs {
                instructions: self.instructions(name, 64)?,
                allocations: str::from_utf8(&counted)?.trim().parse().ok(),
                ..Installs::default()
            };
            all.insert(name.to_owned(), installs);
        }
        for (concurrency, count) in [(1, 5_000), (64, 20_000)] {
            eprintln!("measuring {concurrency} at a time");
            // In turn, so that what else the machine does falls on all alike.
            let mut runs: BTreeMap<&str, Vec<Usage>> = BTreeMap::new();
            for _ in 0..5 {
                for (name, _) in RUST {
                    let mut command = self.rust("bench-installs", name, count, concurrency);
                    runs.entry(name).or_default().push(usage(&mut command)?);
                }
            }
            for (name, installs) in &mut all {
                let count = f64::from(u32::try_from(count)?);
                let cpu = median(runs[name.as_str()].iter().map(|usage| usage.cpu_seconds));
                let wall = median(runs[name.as_str()].iter().map(|usage| usage.wall_seconds));
                let (cpu_micros, per_second) = (cpu / count * 1e6, count / wall);
                if concurrency == 1 {
                    (installs.cpu_micros_1, installs.per_second_1) = (cpu_micros, per_second);
                } else {
                    (installs.cpu_micros_64, installs.per_second_64) = (cpu_micros, per_second);
                }
            }
        }
        let b = all[B].clone();
        writeln!(
            report,
            "## An install\n\n| | CPU µs, one at a time | CPU µs, 64 at a time | to b | installs/s, 1 | \
             installs/s, 64 | instructions | to b | allocations | to b |\n|---|---|---|---|---|---|---|---|---|---|"
        )?;
        for (name, what) in RUST {
            let one = &all[name];
            let to_b = |count: Option<u64>, b: Option<u64>| match (count, b) {
                (Some(count), Some(b)) => (count.to_string(), format!("{:.2}", ratio(count, b))),
                _ => ("valgrind is not installed".to_owned(), "-".to_owned()),
            };
            let (instructions, i) = to_b(one.instructions, b.instructions);
            let (allocations, a) = to_b(one.allocations, b.allocations);
            writeln!(
                report,
                "| {what} | {:.1} | {:.1} | {:.2} | {:.0} | {:.0} | {instructions} | {i} | \
                 {allocations} | {a} |",
                one.cpu_micros_1,
                one.cpu_micros_64,
                one.cpu_micros_64 / b.cpu_micros_64,
                one.per_second_1,
                one.per_second_64,
            )?;
        }
        for (name, peer) in self.peers() {
            match peer {
                Ok(mut command) => {
                    let count: u32 = if name.contains("curl") { 50 } else { 2000 };
                    command.args([count.to_string(), "64".to_owned()]).stdout(Stdio::null());
                    let usage = usage(&mut command)?;
                    let cpu = usage.cpu_seconds / f64::from(count) * 1e6;
                    let rate = f64::from(count) / usage.wall_seconds;
                    let to_b = cpu / b.cpu_micros_64;
                    writeln!(
                        report,
                        "| {name} | - | {cpu:.0} | {to_b:.0} | - | {rate:.0} | - | - | - | - |"
                    )?;
                }
                Err(why) => writeln!(report, "| {name} | skipped: {why} | | | | | | | | |")?,
            }
        }
        writeln!(report)?;
        Ok(all)
    }

    /// Instructions of an install, without those of the start.
    fn instructions(&self, name: &str, concurrency: usize) -> anyhow::Result<Option<u64>> {
        const FEW: usize = 200;
        const MANY: usize = 1200;
        if Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_err() {
            return Ok(None);
        }
        let count = |installs: usize| -> anyhow::Result<u64> {
            let command = self.rust("bench-installs", name, installs, concurrency);
            let mut valgrind = Command::new("valgrind");
            valgrind
                .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
                .arg(command.get_program())
                .args(command.get_args());
            let output = valgrind.output()?;
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            let count = told.split("Collected : ").nth(1).and_then(|rest| rest.lines().next());
            count.and_then(|count| count.trim().parse().ok()).context("callgrind counted nothing")
        };
        Ok(Some((count(MANY)? - count(FEW)?) / (MANY - FEW) as u64))
    }

    /// Builds bird-sms as `cargo install` does.
    fn build_command(&self) -> anyhow::Result<PathBuf> {
        eprintln!("building the command, and simulating batches");
        let mut build = cargo();
        build.current_dir(&self.root).args(["build", "--quiet", "--release", "--locked"]);
        succeed(build.args(["-p", "bird-sms-cli"]))?;
        Ok(self.root.join("target/release/bird-sms"))
    }

    fn processes(
        &self,
        report: &mut String,
        builds: &BTreeMap<String, Built>,
        command: &Path,
    ) -> anyhow::Result<BTreeMap<String, Usage>> {
        let mut install = self.command(command);
        install.args(["install", "--name", "My SMS channel", "--poll-interval", "1us"]);
        install.args(["--phone-number-id", "2cffb55c-120e-91a8-8f10-ed9d1b412d29"]);
        install.args(["--use-case-id", "be123b02-dacf-31f9-b3e5-50b18260bc23"]);
        let mut programs = vec![
            ("hand-written, in Rust", Ok(self.command(&builds[CONSUMERS[0].name].program))),
            ("bird-sms install", Ok(install)),
        ];
        for (name, peer) in self.peers() {
            let once = |mut command: Command| {
                command.args(["1", "1"]);
                command
            };
            programs.push((name, peer.map(once)));
        }
        writeln!(report, "## A process, from its start to one install\n")?;
        writeln!(
            report,
            "| | wall ms | to hand-written | CPU ms | peak MiB |\n|---|---|---|---|---|"
        )?;
        let mut all = BTreeMap::new();
        for (name, program) in programs {
            let mut command = match program {
                Ok(command) => command,
                Err(why) => {
                    writeln!(report, "| {name} | skipped: {why} | | | |")?;
                    continue;
                }
            };
            command.stdout(Stdio::null()).stderr(Stdio::null());
            let runs = (0..21).map(|_| usage(&mut command)).collect::<anyhow::Result<Vec<_>>>()?;
            let usage = Usage {
                wall_seconds: median(runs.iter().map(|usage| usage.wall_seconds)),
                cpu_seconds: median(runs.iter().map(|usage| usage.cpu_seconds)),
            };
            let peaks = (0..5).map(|_| peak(&mut command)).collect::<anyhow::Result<Vec<_>>>()?;
            let peak = peaks.into_iter().fold(0.0, f64::max);
            all.insert(name.to_owned(), usage);
            writeln!(
                report,
                "| {name} | {:.1} | {:.2} | {:.1} | {peak:.1} |",
                usage.wall_seconds * 1e3,
                usage.wall_seconds / all["hand-written, in Rust"].wall_seconds,
                usage.cpu_seconds * 1e3,
            )?;
        }
        let size = std::fs::metadata(command)?.len();
        writeln!(report, "\nThe stripped binary bird-sms has {size} bytes.\n")?;
        Ok(all)
    }

    /// What an install costs while it waits.
    fn memory(&self, report: &mut String) -> anyhow::Result<()> {
        let mut memory = Command::new(self.dependent.join("bench-memory"));
        let told = output(memory.args(["--url", &self.server.url]))?;
        writeln!(report, "## Installs that wait\n\n{}\n", str::from_utf8(&told)?.trim())?;
        Ok(())
    }

    /// The table that the simulation of batches prints.
    fn simulation(&self) -> anyhow::Result<String> {
        let mut test = cargo();
        test.current_dir(&self.root).args(["test", "--quiet", "--locked", "-p", "bird-sms"]);
        test.args(["--no-default-features", "--features", "ring", "--test", "batch_speed", "--"]);
        test.args(["--ignored", "--nocapture", "figures_of_a_thousand_installs"]);
        let told = String::from_utf8(output(&mut test)?)?;
        let table: Vec<_> = told.lines().filter(|line| line.starts_with('|')).collect();
        if table.is_empty() {
            bail!("the simulation printed no table");
        }
        Ok(format!("## A thousand installs, in simulated time\n\n{}\n", table.join("\n")))
    }

    fn builds(&self, report: &mut String) -> anyhow::Result<BTreeMap<String, Built>> {
        writeln!(report, "## A program that depends on it, built cold in release\n")?;
        writeln!(
            report,
            "| | seconds | to hand-written | crates | bytes |\n|---|---|---|---|---|"
        )?;
        let mut all = BTreeMap::new();
        for consumer in &CONSUMERS {
            let _ = std::fs::remove_dir_all(self.consumer_folder(consumer).join("target"));
            eprintln!("building {} cold", consumer.name);
            let built = self.build(consumer)?;
            all.insert(consumer.name.to_owned(), built);
            let built = &all[consumer.name];
            writeln!(
                report,
                "| {} | {:.1} | {:.2} | {} | {} |",
                consumer.name,
                built.seconds,
                built.seconds / all[CONSUMERS[0].name].seconds,
                built.crates,
                built.bytes
            )?;
        }
        writeln!(report)?;
        Ok(all)
    }

    fn consumer_folder(&self, consumer: &Consumer) -> PathBuf {
        self.folder.join(consumer.name.replace([' ', ','], "-"))
    }

    /// Writes the package of a consumer, outside of the workspace, and builds it with the versions of the
    /// workspace.
    fn build(&self, consumer: &Consumer) -> anyhow::Result<Built> {
        let folder = self.consumer_folder(consumer);
        std::fs::create_dir_all(folder.join("src"))?;
        let path = |below: &str| self.root.join(below).display().to_string();
        let manifest = format!(
            "[package]\nname = \"consumer\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[dependencies]\n\
             anyhow = \"1\"\ntokio = {{ version = \"1\", features = [\"macros\", \"rt\", \"time\"] }}\n{}\n\n\
             [workspace]\n\n[profile.release]\nstrip = true\n",
            consumer.dependencies.replace("BIRD_SMS", &path("crates/bird-sms"))
        );
        std::fs::write(folder.join("Cargo.toml"), manifest)?;
        let main = std::fs::read_to_string(self.root.join("bench/peers").join(consumer.main))?;
        let hand_written = path("bench/src/contenders/hand_written.rs");
        std::fs::write(folder.join("src/main.rs"), main.replace("HAND_WRITTEN", &hand_written))?;
        if !folder.join("Cargo.lock").exists() {
            std::fs::copy(self.root.join("Cargo.lock"), folder.join("Cargo.lock"))?;
            succeed(cargo().current_dir(&folder).args(["fetch", "--quiet"]))?;
        }
        let began = Instant::now();
        let build = cargo()
            .current_dir(&folder)
            .args(["build", "--release", "--target-dir", "target"])
            .stderr(Stdio::piped())
            .output()?;
        let seconds = began.elapsed().as_secs_f64();
        let told = String::from_utf8_lossy(&build.stderr);
        if !build.status.success() {
            bail!("{} does not build:\n{told}", consumer.name);
        }
        let program = folder.join("target/release/consumer");
        let bytes = std::fs::metadata(&program)?.len();
        let crates = told.lines().filter(|line| line.contains("Compiling ")).count();
        Ok(Built { seconds, crates, bytes, program })
    }
}

/// A program that depends on something.
struct Consumer {
    name: &'static str,
    main: &'static str,
    dependencies: &'static str,
}

const CONSUMERS: [Consumer; 3] = [
    Consumer {
        name: "hand-written",
        main: "consumer.rs",
        dependencies: "reqwest = { version = \"0.13\", features = [\"json\"] }\n\
                       serde = { version = \"1\", features = [\"derive\"] }\nserde_json = \"1\"",
    },
    Consumer {
        name: "bird-sms, prebuilt copy",
        main: "consumer_of_bird_sms.rs",
        dependencies: "bird-sms = { path = \"BIRD_SMS\", default-features = false, features = [\"ring\"] }",
    },
    Consumer {
        name: "bird-sms, generating",
        main: "consumer_of_bird_sms.rs",
        dependencies: "bird-sms = { path = \"BIRD_SMS\" }",
    },
];

#[derive(Debug, Serialize)]
struct Built {
    seconds: f64,
    crates: usize,
    bytes: u64,
    #[serde(skip)]
    program: PathBuf,
}

/// Runs a process to its end.
fn usage(command: &mut Command) -> anyhow::Result<Usage> {
    let name = command.get_program().to_string_lossy().into_owned();
    let began = Instant::now();
    let mut process = command.stdout(Stdio::piped()).spawn().with_context(|| name.clone())?;
    let mut told = String::new();
    if let Some(stdout) = &mut process.stdout {
        stdout.read_to_string(&mut told)?;
    }
    let used = process.wait4()?;
    let wall_seconds = began.elapsed().as_secs_f64();
    if !used.status.success() {
        bail!("{name} failed: {} {told}", used.status);
    }
    let cpu: Duration = used.rusage.utime + used.rusage.stime;
    Ok(Usage { wall_seconds, cpu_seconds: cpu.as_secs_f64() })
}

/// The largest resident set of a process in MiB, as far as it can be seen from outside while it runs. What
/// the kernel tells at its end has that of this process, which it was forked from.
fn peak(command: &mut Command) -> anyhow::Result<f64> {
    let mut process = command.spawn()?;
    let status = PathBuf::from(format!("/proc/{}/status", process.id()));
    let mut peak = 0.0_f64;
    while process.try_wait()?.is_none() {
        let told = std::fs::read_to_string(&status).unwrap_or_default();
        // Until it executes its own program it is a copy of this process.
        if !told.starts_with("Name:\txtask") {
            let line = told.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u32>().ok());
            peak = peak.max(f64::from(kib.unwrap_or_default()) / 1024.0);
        }
    }
    Ok(peak)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
