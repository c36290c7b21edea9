//! Counts the instructions of an install with callgrind. Exits with 1 if bird-sms exceeds its limit.

use std::process::{Command, ExitCode};

use bird_bench::server;

/// The maximum ratio to the hand-written client. Another machine or compiler changes both counts, but hardly the ratio.
const LIMIT: f64 = 0.78;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().collect();
    if let [_, contender, server, installs] = &args[..] {
        let server = server.parse().unwrap();
        let installs = 0..installs.parse().unwrap();
        match &**contender {
            "bird-sms" => installs.for_each(repeat(bird_bench::bird_sms(server))),
            _ => installs.for_each(repeat(bird_bench::hand_written(server))),
        }
        return ExitCode::SUCCESS;
    }
    let [bird_sms, hand_written] = ["bird-sms", "hand-written"].map(per_install);
    let (Some(bird_sms), Some(hand_written)) = (bird_sms, hand_written) else {
        println!("skipped: valgrind is not installed");
        return ExitCode::SUCCESS;
    };
    let ratio = bird_sms / hand_written;
    println!("| | instructions | |\n|---|---|---|\n| a hand-written client | {hand_written} | 1 |");
    println!("| bird-sms | {bird_sms} | {ratio:.3} |\nThe limit is {LIMIT}.");
    if ratio > LIMIT { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn repeat(mut install: impl FnMut()) -> impl FnMut(u32) {
    move |_| install()
}

/// Returns the number of instructions per install, without the program's start. Returns `None` without valgrind.
fn per_install(contender: &str) -> Option<f64> {
    const FEW: u32 = 200;
    const MANY: u32 = 1200;
    let server = server::start().to_string();
    let count = |installs: u32| -> Option<f64> {
        let mut valgrind = Command::new("valgrind");
        valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
        valgrind.arg(std::env::current_exe().unwrap());
        let output = valgrind.args([contender, &server, &installs.to_string()]).output().ok()?;
        let report = String::from_utf8_lossy(&output.stderr);
        let count = report.split("Collected : ").nth(1).and_then(|rest| rest.lines().next());
        Some(count.expect(&report).trim().parse().unwrap())
    };
    Some(((count(MANY)? - count(FEW)?) / f64::from(MANY - FEW)).round())
}
