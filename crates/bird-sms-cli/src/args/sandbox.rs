use std::net::SocketAddr;

use bird_sandbox::{Delay, Fault};
use bird_sms::PhoneNumberId;

use super::OUTPUT;

/// The arguments of `bird-sms sandbox`.
#[derive(Debug, clap::Args)]
pub struct SandboxArgs {
    /// Address to listen on, with port 0 for any free port
    ///
    /// Other machines can reach an address that is not loopback, such as 0.0.0.0:8080 in a container. They need the
    /// access key, which is sent unencrypted.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,

    /// Shell in whose syntax the settings are printed
    #[arg(long, value_enum, default_value_t = ExportShell::Sh)]
    pub shell: ExportShell,

    /// Print the settings as one JSON object, and each request as a JSON line
    #[arg(long, help_heading = OUTPUT)]
    pub json: bool,

    /// Time from a creation to its channel: 2s, 1s..5s (uniform) or ~2s (a long tail)
    #[arg(long, value_name = "DELAY", default_value = "2s")]
    pub provisioning_delay: Delay,

    /// Phone number that needs a use case, as US 10DLC numbers do. May be given more than once
    #[arg(long = "use-case-required", value_name = "PHONE_NUMBER_ID")]
    pub use_case_required: Vec<PhoneNumberId>,

    /// Long code number instead of the ten that the sandbox has, such as +31612345678. May be given more than once
    #[arg(long = "number", value_name = "PHONE_NUMBER", value_parser = super::phone_number)]
    pub numbers: Vec<String>,

    /// Requests that fail, and how: `METHOD:KIND[xTIMES][@AFTER][#PHONE_NUMBER_ID]` or `random:SEED:PERCENT`
    ///
    /// METHOD is get or post. KIND is a status from 300 to 599, reset, hang, lost (processed, without a response),
    /// garbage (processed, with a body that is not JSON) or cut (processed, with half of the body). `post:503x2` fails
    /// the first two POSTs, `get:reset@3` the fourth GET, and `random:7:20` a fifth of all requests, the same ones for the
    /// same seed. With a phone number id only the requests of its connector count. May be given more than once.
    #[arg(long = "fault", value_name = "FAULT")]
    pub faults: Vec<Fault>,
}

/// The shells whose syntax `bird-sms sandbox` knows.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum ExportShell {
    /// The POSIX shell, bash and zsh
    Sh,
    /// The fish shell
    Fish,
    /// `PowerShell`
    #[value(name = "powershell")]
    PowerShell,
}
