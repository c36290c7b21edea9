//! The arguments of the command.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bird_sandbox::{Delay, Fault};
use bird_sms::{ConnectorId, ParseIdError, PhoneNumberId, RetryCreate};
use clap::{Parser, Subcommand};

use crate::exit::Code;

/// The arguments of `bird-sms`.
#[derive(Debug, Parser)]
#[command(name = "bird-sms", version, about = ABOUT, after_help = exit_codes())]
pub struct Args {
    /// The subcommand.
    #[command(subcommand)]
    pub command: Command,
    /// The options of every subcommand.
    #[command(flatten)]
    pub shared: SharedArgs,
}

const ABOUT: &str =
    "Install SMS channels in Bird (formerly MessageBird) workspaces, and never lose a connector";

fn exit_codes() -> String {
    let mut text = "Exit codes:\n".to_owned();
    for code in Code::ALL {
        let _ = writeln!(text, "  {:<4} {}", code as u8, code.meaning());
    }
    text.push_str(
        "\nThe access key is read from BIRD_ACCESS_KEY or --access-key-file, and never from an argument,\n\
         because process lists show arguments.",
    );
    text
}

/// The options of every subcommand.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Shared options")]
pub struct SharedArgs {
    /// Set the id of the workspace, a UUID
    #[arg(
        long,
        global = true,
        value_name = "UUID",
        env = "BIRD_WORKSPACE_ID",
        hide_env_values = true
    )]
    pub workspace_id: Option<String>,

    /// Set the base URL of the API [default: `https://api.bird.com`]
    #[arg(long, global = true, value_name = "URL", env = "BIRD_API_URL", hide_env_values = true)]
    pub api_url: Option<String>,

    /// Read the access key from this file instead of `BIRD_ACCESS_KEY`
    #[arg(long, global = true, value_name = "FILE")]
    pub access_key_file: Option<PathBuf>,

    /// Set how long an install, a wait or a read may take, such as 90s or 2m; at least 1s
    #[arg(long, global = true, value_name = "DURATION", default_value = "2m", value_parser = timeout)]
    pub timeout: Duration,

    /// Set what a poll is worth, in time that a channel is ready and not reported yet: less polls more often
    #[arg(long, global = true, value_name = "DURATION", default_value = "45ms", value_parser = duration)]
    pub poll_price: Duration,

    /// Poll at this interval, whatever is known about provisioning, such as 1s
    #[arg(long, global = true, value_name = "DURATION", value_parser = duration)]
    pub poll_interval: Option<Duration>,

    /// Set the server errors after which a creation is sent again. A server error does not say whether a connector was
    /// created, so another attempt may create a second connector
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t = RetryCreateArg::Vendor)]
    pub retry_create: RetryCreateArg,

    /// Print the result or the error as one JSON object
    #[arg(long, global = true)]
    pub json: bool,

    /// Print a log to stderr; give the option twice for every detail. Without the option, `RUST_LOG` applies
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,

    /// Run against an embedded sandbox, without an account and without the network
    #[arg(long, global = true)]
    pub sandbox: bool,
}

/// The values of `--retry-create`.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum RetryCreateArg {
    /// After no server error
    Never,
    /// After 500 and 503, which the vendor calls safe to retry
    Vendor,
    /// Also after 502, 504 and 520 to 530, with which a gateway may respond after it forwarded the creation
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

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Install an SMS channel and print its id
    Install(InstallArgs),
    /// Wait for the channel of a connector that exists, and print the id of the channel
    Wait(ConnectorArgs),
    /// Install many SMS channels from a file, as fast as the rate limits allow
    Batch(BatchArgs),
    /// Print a connector
    Connector(ConnectorArgs),
    /// Serve a local sandbox of the API
    Sandbox(SandboxArgs),
    /// Print the completion script of a shell
    Completions(CompletionsArgs),
}

/// The arguments of `bird-sms install`.
#[derive(Debug, clap::Args)]
pub struct InstallArgs {
    /// Set the name of the connector
    #[arg(long)]
    pub name: String,

    /// Set the id of the phone number, a UUID
    #[arg(long, value_name = "UUID")]
    pub phone_number_id: String,

    /// Set the id of the use case of the number, a UUID. US 10DLC and toll-free numbers require a use case
    #[arg(long, value_name = "UUID")]
    pub use_case_id: Option<String>,

    /// Set the type of the messages, such as `promotional` [default: none]
    #[arg(long, value_name = "TYPE")]
    pub channel_message_type: Option<String>,

    /// Set whether an incoming message opens a conversation in the inbox [default: the vendor's]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub conversational: Option<bool>,
}

/// The arguments of `bird-sms wait` and `bird-sms connector`.
#[derive(Debug, clap::Args)]
pub struct ConnectorArgs {
    /// Set the id of the connector, a UUID
    pub connector_id: String,
}

/// The arguments of `bird-sms batch`.
#[derive(Debug, clap::Args)]
#[command(after_help = BATCH_HELP)]
pub struct BatchArgs {
    /// Read the rows from this file: CSV with a header, separated by `,`, `;` or tab, or JSON Lines. `-` reads standard
    /// input
    #[arg(value_name = "FILE")]
    pub input: PathBuf,

    /// Write each step to this file before the next step is taken. The same command with the same journal resumes
    #[arg(long, value_name = "FILE")]
    pub journal: PathBuf,

    /// Write the outcome of each row to this file: CSV, or JSON Lines for *.jsonl and *.ndjson. `-` writes to standard
    /// output
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// Check the rows and the journal, print what would be done, and send nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Retry the rows whose outcome is unknown. Each retry may create a second connector
    #[arg(long)]
    pub retry_unknown: bool,

    /// Set the connector of a row whose outcome is unknown, with the id that the dashboard shows. May be given more
    /// than once
    #[arg(long, value_name = "PHONE_NUMBER_ID=CONNECTOR_ID", value_parser = parse_adoption)]
    pub adopt: Vec<Adoption>,

    /// Set the number of POSTs per second
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    pub posts_per_second: u32,

    /// Set the number of GETs per second
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub gets_per_second: u32,

    /// Set the number of installs in progress at a time [default: 20 for each GET per second, at most 10000]
    #[arg(long, value_name = "N")]
    pub concurrency: Option<usize>,
}

const BATCH_HELP: &str = "\
The columns are name, phone_number_id and, if they are needed, use_case_id, channel_message_type and
conversational (true or false). A JSON line has fields of these names. All rows are checked before anything
is sent.

The journal is JSON Lines. After an interruption, a crash or a failure, run the same command again. Rows that
are ready are skipped, connectors that exist are waited for, and refused rows are sent again. Rows whose
outcome is unknown are reported and left alone, because a second request may create a second connector.";

/// A connector that an operator names for a phone number.
#[derive(Clone, Copy, Debug)]
pub struct Adoption {
    /// The phone number of the row.
    pub phone_number_id: PhoneNumberId,
    /// The connector, as the dashboard shows it.
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
    /// Set the loopback address to listen at. Port 0 takes a free port
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,

    /// Set the time from a creation to the channel: 2s, 1s..5s (uniform) or ~2s (a long tail)
    #[arg(long, value_name = "DELAY", default_value = "2s")]
    pub provisioning_delay: Delay,

    /// Set the number of GETs per second above which the response is 429
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub get_limit: u32,

    /// Set the number of POSTs per second above which the response is 429
    #[arg(long, value_name = "N", default_value_t = 500)]
    pub post_limit: u32,

    /// Inject a fault, such as `post:503x2` or `get:reset`. May be given more than once
    #[arg(long = "fault", value_name = "FAULT")]
    pub faults: Vec<Fault>,
}

/// The arguments of `bird-sms completions`.
#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    /// Set the shell
    pub shell: clap_complete::Shell,
}

/// Parses a timeout of at least a second. With less, requests would be sent without waiting for their responses.
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
