//! The binary `bird-sms`, whose code is in the library `bird_sms_cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    // The HTTP client uses this provider of cryptography. This fails only if one is already installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    bird_sms_cli::main().into()
}
