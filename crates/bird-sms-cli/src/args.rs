//! What can be said on the command line.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bird_sandbox::{Delay, Fault};
use bird_sms::{ConnectorId, ParseIdError, PhoneNumberId, RetryCreate};
use clap::{Parser, Subcommand};

use crate::exit::Code;

/// Installs SMS channels in Bird (formerly `MessageBird`) workspaces, and never loses a connector.
#[derive(Debug, Parser)]
#[command(name = "bird-sms", version, about = ABOUT, after_help = exit_codes())]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// What holds for every command.
    #[command(flatten)]
    pub shared: SharedArgs,
}

/// Without the marks that rustdoc wants.
const ABOUT: &str =
    "Installs SMS channels in Bird (formerly MessageBird) workspaces, and never loses a connector";

fn exit_codes() -> String {
    let mut text = "Exit codes:\n".to_owned();
    for code in Code::ALL {
        let _ = writeln!(text, "  {:<4} {}", code as u8, code.meaning());
    }
    text.push_str(
        "\nThe access key is read from BIRD_ACCESS_KEY or --access-key-file, never from an argument:\n\
         arguments show in process lists.",
    );
    text
}

/// What holds for every command.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Shared options")]
pub struct SharedArgs {
    /// The workspace: a UUID
    #[arg(
        long,
        global = true,
        value_name = "UUID",
        env = "BIRD_WORKSPACE_ID",
        hide_env_values = true
    )]
    pub workspace_id: Option<String>,

    /// Where the API is, if it is not Bird's own
    #[arg(long, global = true, value_name = "URL", env = "BIRD_API_URL", hide_env_values = true)]
    pub api_url: Option<String>,

    /// A file that holds the access key, instead of `BIRD_ACCESS_KEY`
    #[arg(long, global = true, value_name = "FILE")]
    pub access_key_file: Option<PathBuf>,

    /// How long an install or a wait may take in all, such as 90s or 2m
    #[arg(long, global = true, value_name = "DURATION", default_value = "2m", value_parser = timeout)]
    pub timeout: Duration,

    /// How long to wait before the first look at a connector; the waits grow from there to 5s
    #[arg(long, global = true, value_name = "DURATION", default_value = "500ms", value_parser = duration)]
    pub poll_interval: Duration,

    /// After which server errors to send a creation again: a server error does not say whether a connector was created
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t = RetryCreateArg::Vendor)]
    pub retry_create: RetryCreateArg,

    /// Print the result, and an error, as one JSON object
    #[arg(long, global = true)]
    pub json: bool,

    /// Trace what happens to stderr; twice for every detail (without it, `RUST_LOG` is obeyed)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,

    /// Run against an embedded sandbox: no account, no network
    #[arg(long, global = true)]
    pub sandbox: bool,
}

/// The values of `--retry-create`.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum RetryCreateArg {
    /// After none
    Never,
    /// After 500 and 503, which the vendor calls safe to retry
    Vendor,
    /// Also after 502, 504 and 520 to 530 of a gateway: each retry may create another connector
    Any,
}

impl From<RetryCreateArg> for RetryCreate {
    fn from(arg: RetryCreateArg) -> Self {
        match arg {
            RetryCreateArg::Never => Self::Never,
            RetryCreateArg::Vendor => Self::VendorErrors,
            RetryCreateArg::Any => Self::AnyServerError,
        }
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Install an SMS channel and print its id
    Install(InstallArgs),
    /// Go on waiting for the channel of a connector that exists, and print its id
    Wait(ConnectorArgs),
    /// Install many SMS channels, from a file, at the speed that the limits allow
    Batch(BatchArgs),
    /// Show a connector
    Connector(ConnectorArgs),
    /// Serve a local Bird to try things out with
    Sandbox(SandboxArgs),
    /// Print the completions for a shell
    Completions(CompletionsArgs),
}

/// The arguments of `bird-sms install`.
#[derive(Debug, clap::Args)]
pub struct InstallArgs {
    /// The name of the connector
    #[arg(long)]
    pub name: String,

    /// The phone number to install: a UUID
    #[arg(long, value_name = "UUID")]
    pub phone_number_id: String,

    /// The use case of the number: a UUID. US 10DLC and toll-free numbers need one
    #[arg(long, value_name = "UUID")]
    pub use_case_id: Option<String>,

    /// The kind of traffic, such as `promotional`
    #[arg(long, value_name = "TYPE")]
    pub channel_message_type: Option<String>,

    /// Whether an incoming message opens a conversation in the inbox
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub conversational: Option<bool>,
}

/// The arguments of `bird-sms wait` and `bird-sms connector`.
#[derive(Debug, clap::Args)]
pub struct ConnectorArgs {
    /// The connector: a UUID
    pub connector_id: String,
}

/// The arguments of `bird-sms batch`.
#[derive(Debug, clap::Args)]
#[command(after_help = BATCH_HELP)]
pub struct BatchArgs {
    /// The rows: CSV with a header, or JSON Lines; `-` reads standard input
    #[arg(value_name = "FILE")]
    pub input: PathBuf,

    /// Where each step is recorded before the next; the same command with the same journal goes on
    #[arg(long, value_name = "FILE")]
    pub journal: PathBuf,

    /// Where to write the outcome of each row: CSV, or JSON Lines for *.jsonl; `-` is standard output
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// Check the rows and the journal, say what would be done, and send nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Install rows again of which an earlier run does not know whether it created a connector
    #[arg(long)]
    pub retry_unknown: bool,

    /// The connector of a row whose outcome is unknown, as the dashboard shows it; may be given more
    /// than once
    #[arg(long, value_name = "PHONE_NUMBER_ID=CONNECTOR_ID", value_parser = parse_adoption)]
    pub adopt: Vec<Adoption>,

    /// How many creations a second the workspace takes
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    pub posts_per_second: u32,

    /// How many looks at a connector a second the workspace takes
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub gets_per_second: u32,

    /// How many installs are under way at a time [default: 20 for each look a second]
    #[arg(long, value_name = "N")]
    pub concurrency: Option<usize>,
}

const BATCH_HELP: &str = "\
The columns are name, phone_number_id and, where they are needed, use_case_id, channel_message_type and
conversational (true or false); a JSON line has fields of these names. All rows are checked before anything
is sent.

The journal is JSON Lines. After an interruption, a crash or a failure run the same command again: rows that
are ready are skipped, connectors that exist are waited for, what was refused is sent again, and a row of
which nobody knows whether a connector was created is reported and left alone.";

/// A connector that somebody looked up.
#[derive(Clone, Copy, Debug)]
pub struct Adoption {
    /// The phone number that it is for.
    pub phone_number_id: PhoneNumberId,
    /// Its id.
    pub connector_id: ConnectorId,
}

fn parse_adoption(text: &str) -> Result<Adoption, String> {
    let (number, connector) =
        text.split_once('=').ok_or("is not PHONE_NUMBER_ID=CONNECTOR_ID".to_owned())?;
    let problem = |error: ParseIdError| error.to_string();
    Ok(Adoption {
        phone_number_id: number.parse().map_err(problem)?,
        connector_id: connector.parse().map_err(problem)?,
    })
}

/// The arguments of `bird-sms sandbox`.
#[derive(Debug, clap::Args)]
pub struct SandboxArgs {
    /// Where to listen: a loopback address; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,

    /// How long after its creation a connector gets its channel: 2s, 1s..5s (evenly), ~2s (a long tail)
    #[arg(long, value_name = "DELAY", default_value = "2s")]
    pub provisioning_delay: Delay,

    /// How many GETs a second are answered before a 429
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub get_limit: u32,

    /// How many POSTs a second are answered before a 429
    #[arg(long, value_name = "N", default_value_t = 500)]
    pub post_limit: u32,

    /// What goes wrong, such as `post:503x2` or `get:reset`; may be given more than once
    #[arg(long = "fault", value_name = "FAULT")]
    pub faults: Vec<Fault>,
}

/// The arguments of `bird-sms completions`.
#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// Parses a timeout. Below a second, requests would be sent without waiting for their responses.
fn timeout(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        timeout if timeout < Duration::from_secs(1) => Err("is shorter than 1s".to_owned()),
        timeout => Ok(timeout),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let duration: jiff::SignedDuration =
        text.parse().map_err(|_| "is not a duration such as 90s or 2m".to_owned())?;
    Duration::try_from(duration).map_err(|_| "is negative".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        use clap::CommandFactory;
        Args::command().debug_assert();
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("2m"), Ok(Duration::from_mins(2)));
        assert_eq!(duration("1m 30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        for wrong in ["", "2", "-2s", "soon", "1e99s"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        // Fault 38.
        assert_eq!(timeout("1s"), Ok(Duration::from_secs(1)));
        assert!(timeout("999ms").is_err());
    }
}
