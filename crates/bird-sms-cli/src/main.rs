//! See `bird_sms_cli`.

use std::process::ExitCode;

use bird_sms_cli::args::Args;
use clap::Parser;

fn main() -> ExitCode {
    bird_sms_cli::run(&Args::parse()).into()
}
