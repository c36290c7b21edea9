//! The binary `bird-sms`, whose code is in the library `bird_sms_cli`.

use std::process::ExitCode;

use bird_sms_cli::args::Args;
use clap::Parser;

fn main() -> ExitCode {
    match Args::try_parse() {
        Ok(args) => bird_sms_cli::run(&args),
        Err(error) => bird_sms_cli::refuse(&error),
    }
    .into()
}
