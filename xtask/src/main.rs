//! Maintainers' tasks: `cargo xtask --help`.

mod bench;
mod codegen;
mod command;
mod contract;
mod crash;
mod derived;
mod diff;
#[cfg(test)]
mod documents;
mod drift;
mod redact;
mod schema;
#[cfg(test)]
mod vendor_docs;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Maintainers' tasks of bird-sms
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Rewrite what is derived from openapi.yaml, from the command and from the examples
    Codegen {
        /// Change nothing: show what is stale, and fail when something is
        #[arg(long)]
        check: bool,
    },
    /// Measure how fast it is, next to what one would use instead; takes minutes
    Bench {
        /// Only compare the instructions of an install with the baseline, and fail when they are more
        #[arg(long)]
        check: bool,
        /// Make the instructions of an install the baseline
        #[arg(long, conflicts_with = "check")]
        save_baseline: bool,
    },
    /// Kill batches of 1,000 rows at 100 random moments each, and look at what is left
    Crash,
    /// Tell what changed in openapi.yaml, and fail when it breaks those who use bird-sms
    Diff {
        /// What to compare with: a git revision or a file [default: the last release tag, else HEAD]
        #[arg(long, value_name = "REV|FILE")]
        base: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Tell what real answers have that openapi.yaml does not say, and fail when there is something
    Drift {
        /// A recorded answer, or a folder of them (*.json)
        #[arg(long, value_name = "FILE|FOLDER", required_unless_present = "live")]
        answer: Option<PathBuf>,
        /// Ask the API for this connector: one GET, with `BIRD_ACCESS_KEY` and `BIRD_WORKSPACE_ID`
        #[arg(long, value_name = "CONNECTOR_ID", conflicts_with = "answer")]
        live: Option<String>,
        /// Which operation they answer
        #[arg(long, value_name = "ID", default_value = "getConnector")]
        operation: String,
        /// Keep the answers here, for the tests to decode (contract/responses)
        #[arg(long, value_name = "FOLDER")]
        record: Option<PathBuf>,
        /// Whether ids, phone numbers and names are taken out of what is kept
        #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set)]
        redact: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Lint openapi.yaml, and test the sandbox against it; needs npm and python3
    Contract,
}

fn main() -> ExitCode {
    run(Args::parse().task).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        // 1 is for what a task found.
        ExitCode::from(2)
    })
}

fn run(task: Task) -> anyhow::Result<ExitCode> {
    match task {
        Task::Codegen { check: true } => {
            let report = codegen::check(&root())?;
            print!("{report}");
            Ok(if report.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Task::Codegen { check: false } => {
            let written = codegen::write(&root())?;
            for path in written.paths {
                println!("wrote {path}");
            }
            for problem in &written.problems {
                eprintln!("error: {problem}");
            }
            Ok(if written.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(2) })
        }
        Task::Diff { base, json } => {
            let breaking = diff::run(&root(), base.as_deref(), json)?;
            Ok(if breaking { ExitCode::FAILURE } else { ExitCode::SUCCESS })
        }
        Task::Drift { answer, live, operation, record, redact, json } => {
            let source = match (answer, live) {
                (_, Some(id)) => drift::Source::Live(id),
                (Some(path), None) => drift::Source::Recorded(path),
                (None, None) => unreachable!("clap asks for one of them"),
            };
            let found = drift::run(&root(), &operation, &source, record.as_deref(), redact, json)?;
            Ok(if found { ExitCode::FAILURE } else { ExitCode::SUCCESS })
        }
        Task::Bench { check: false, save_baseline: false } => {
            bench::run(&root())?;
            Ok(ExitCode::SUCCESS)
        }
        Task::Bench { save_baseline, .. } => {
            let good = bench::instructions(&root(), save_baseline)?;
            Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Task::Crash => {
            crash::run(&root())?;
            Ok(ExitCode::SUCCESS)
        }
        Task::Contract => {
            contract::run(&root())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn root() -> PathBuf {
    // `parent` has nothing to say only for the root of a file system.
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned()
}
