//! The binary `bird-sms`, whose code is in the library `bird_sms_cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    // The HTTP client takes its cryptography from here. Fails only if a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    bird_sms_cli::main().into()
}
