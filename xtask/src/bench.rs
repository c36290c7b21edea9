//! `cargo xtask bench`: counts the instructions of an install, and simulates batches.

use std::path::Path;
use std::process::Command;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::command::{Server, build, cargo, succeed};

const BASELINE: &str = "tests/bench/baseline.json";
/// The accepted ratio to the baseline.
const TOLERANCE: f64 = 1.03;

/// The instructions of an install with bird-sms, and with the client that a reader of the vendor's documentation would
/// write.
///
/// Another machine or compiler changes both. Therefore their ratio counts.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Instructions {
    bird_sms: u32,
    hand_written: u32,
}

impl Instructions {
    fn count(root: &Path) -> anyhow::Result<Self> {
        let args = ["--profile", "dependent", "-p", "bird-bench", "--bins"];
        let server = build(root, "bench-server", &args)?;
        let installs = server.with_file_name("bench-installs");
        let server = Server::start(&mut Command::new(server), 1)?;
        let count = |contender| per_install(&installs, contender, &server.lines[0]);
        Ok(Self { bird_sms: count("bird-sms")?, hand_written: count("hand-written")? })
    }

    fn ratio(&self) -> f64 {
        f64::from(self.bird_sms) / f64::from(self.hand_written)
    }
}

/// Returns the instructions of an install, without those of the start.
fn per_install(program: &Path, contender: &str, url: &str) -> anyhow::Result<u32> {
    const FEW: u32 = 200;
    const MANY: u32 = 1200;
    let count = |installs: u32| -> anyhow::Result<u64> {
        let mut valgrind = Command::new("valgrind");
        valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(program);
        let output = valgrind.args([contender, url, &installs.to_string()]).output();
        let output = output.context("valgrind is not installed")?;
        let report = String::from_utf8_lossy(&output.stderr);
        let count = report.split("Collected : ").nth(1).and_then(|rest| rest.lines().next());
        count.and_then(|count| count.trim().parse().ok()).context("callgrind counted nothing")
    };
    Ok(u32::try_from((count(MANY)? - count(FEW)?) / u64::from(MANY - FEW))?)
}

/// Prints the figures of simulated batches, and the instructions of an install.
pub(crate) fn run(root: &Path) -> anyhow::Result<()> {
    let args = "run --quiet --locked --profile dependent -p bird-bench --example simulated";
    succeed(cargo().current_dir(root).args(args.split(' ')))?;
    check(root).map(drop)
}

/// Compares the instructions of an install with the baseline, and returns whether the baseline holds.
pub(crate) fn check(root: &Path) -> anyhow::Result<bool> {
    let baseline: Instructions = serde_json::from_slice(&std::fs::read(root.join(BASELINE))?)?;
    let measured = Instructions::count(root)?;
    let holds = measured.ratio() <= baseline.ratio() * TOLERANCE;
    println!(
        "An install takes {} instructions, {:.3} of the {} of a hand-written client; {:.3} in the baseline: {}",
        measured.bird_sms,
        measured.ratio(),
        measured.hand_written,
        baseline.ratio(),
        if holds { "ok" } else { "worse by more than 3 %" }
    );
    Ok(holds)
}

/// Saves the instructions of an install as the baseline.
pub(crate) fn save_baseline(root: &Path) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(&Instructions::count(root)?)?;
    std::fs::write(root.join(BASELINE), format!("{text}\n"))?;
    println!("wrote {BASELINE}");
    Ok(())
}
