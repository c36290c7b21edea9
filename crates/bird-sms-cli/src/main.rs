//! The binary `bird-sms`, whose code is in the library `bird_sms_cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    match bird_sms_cli::parse() {
        Ok(args) => bird_sms_cli::run(&args),
        Err(error) => bird_sms_cli::refuse(&error),
    }
    .into()
}
