//! The arguments of the command.

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use bird_sms::{ConnectorId, ParseIdError, PhoneNumberId, RetryCreate};
use clap::{Parser, Subcommand};

use crate::help;

mod sandbox;

pub use sandbox::{ExportShell, SandboxArgs};

/// The arguments of `bird-sms`.
#[derive(Debug, Parser)]
#[command(
    name = "bird-sms",
    version = env!("BIRD_SMS_VERSION"),
    about = help::ABOUT,
    after_help = help::EXAMPLES,
    after_long_help = help::long(),
)]
pub struct Args {
    /// The subcommand.
    #[command(subcommand)]
    pub command: Command,
    /// The options of every subcommand.
    #[command(flatten)]
    pub global: GlobalArgs,
}

/// The options of every subcommand.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = OUTPUT)]
pub struct GlobalArgs {
    /// Print a log to stderr
    ///
    /// Give the option twice for every detail. Without the option, `RUST_LOG` applies.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,

    /// When to use colors: auto, always or never
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_possible_values = true
    )]
    pub color: clap::ColorChoice,
}

/// The options of the subcommands that send requests to Bird.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Connection options")]
pub struct ConnectionArgs {
    /// ID of the workspace (UUID)
    ///
    /// The dashboard shows it in its address after /workspaces/. The `ws_…` identifier is something else.
    #[arg(long, value_name = "UUID", env = "BIRD_WORKSPACE_ID", hide_env_values = true)]
    pub workspace_id: Option<String>,

    /// The base URL of the API.
    #[arg(
        long,
        value_name = "URL",
        env = "BIRD_API_URL",
        hide_env_values = true,
        help = format!("Base URL of the API [default: `{}`]", bird_sms::Client::DEFAULT_BASE_URL)
    )]
    pub api_url: Option<String>,

    /// File or pipe with the access key, or `-` for standard input [default: `BIRD_ACCESS_KEY`]
    #[arg(long, value_name = "FILE")]
    pub access_key_file: Option<PathBuf>,

    /// Longest time of an install, a wait or a read, such as 90s or 2m
    ///
    /// At least 1s, because a request needs time for its response.
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = timeout)]
    pub timeout: Duration,

    /// Run against an embedded sandbox, without an account and without the network
    #[arg(long)]
    pub sandbox: bool,

    /// Print the result or the error as one JSON object
    #[arg(long, help_heading = OUTPUT)]
    pub json: bool,
}

impl ConnectionArgs {
    /// Returns the options with which another command reaches the same workspace. The environment gives the rest.
    pub(crate) fn to_options(&self) -> String {
        let api_url = self.api_url.as_deref().filter(|url| {
            std::env::var_os("BIRD_API_URL").is_none_or(|set| set.as_os_str() != *url)
        });
        let key_file = self.access_key_file.as_deref().map(|path| path.display().to_string());
        [
            (" --workspace-id", self.workspace_id.as_deref()),
            (" --api-url", api_url),
            (" --access-key-file", key_file.as_deref()),
        ]
        .into_iter()
        .filter_map(|(option, value)| Some(format!("{option} {}", quote(value?))))
        .collect()
    }
}

/// Quotes a text for a POSIX shell, if that is necessary.
pub(crate) fn quote(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_./:-".contains(&byte)) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("'{}'", text.replace('\'', r"'\''")))
}

const OUTPUT: &str = "Output options";

/// The options of the subcommands that wait for a channel.
#[derive(Debug, clap::Args)]
pub struct PollArgs {
    /// Time between two polls of a connector, such as 1s [default: 0.2s, growing with its age to 1.5s]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub poll_interval: Option<Duration>,

    /// Print no progress
    ///
    /// The id of a new connector, warnings and errors are still printed to stderr.
    #[arg(short, long, help_heading = OUTPUT)]
    pub quiet: bool,
}

/// The options of the subcommands that create connectors.
#[derive(Debug, clap::Args)]
pub struct CreateArgs {
    /// Server errors after which a creation is sent again
    ///
    /// A server error does not say whether a connector was created, so another attempt may create a second connector.
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = RetryCreateArg::Default)]
    pub retry_create: RetryCreateArg,

    /// Don't read the phone number to find a connector whose creation got no response
    #[arg(long)]
    pub no_look_up: bool,
}

/// The values of `--retry-create`.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum RetryCreateArg {
    /// After no server error
    Never,
    /// After 500 and 503, which Bird calls safe to retry
    Default,
}

impl From<RetryCreateArg> for RetryCreate {
    fn from(arg: RetryCreateArg) -> Self {
        match arg {
            RetryCreateArg::Never => Self::Never,
            RetryCreateArg::Default => Self::ServerErrors,
        }
    }
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check the access key, the workspace and the connection, and create nothing
    #[command(long_about = help::CHECK, after_help = help::CHECK_EXAMPLES)]
    Check(CheckArgs),
    /// Install an SMS channel and print its id
    #[command(long_about = help::INSTALL, after_help = help::INSTALL_EXAMPLES)]
    Install(InstallArgs),
    /// Wait for the channel of a connector that exists, and print the id of the channel
    #[command(after_help = help::WAIT_EXAMPLES, mut_arg("sandbox", not_offered))]
    Wait(WaitArgs),
    /// Install many SMS channels from a file, as fast as the rate limits allow
    #[command(long_about = help::BATCH, after_help = help::BATCH_EXAMPLES)]
    Batch(BatchArgs),
    /// Print a connector
    #[command(after_help = help::CONNECTOR_EXAMPLES, mut_arg("sandbox", not_offered))]
    Connector(ConnectorArgs),
    /// List the numbers of the workspace, with their ids and connectors
    #[command(long_about = help::NUMBERS, after_help = help::NUMBERS_EXAMPLES)]
    Numbers(NumbersArgs),
    /// List the use cases of the workspace, with their ids
    #[command(after_help = help::USE_CASES_EXAMPLES)]
    UseCases(UseCasesArgs),
    /// Serve a local sandbox of the API
    #[command(after_help = help::SANDBOX_EXAMPLES)]
    Sandbox(SandboxArgs),
    /// Print the completion script of a shell
    #[command(after_help = help::COMPLETIONS_EXAMPLES)]
    Completions(CompletionsArgs),
    /// Describe the environment variables
    #[command(hide = true, long_about = help::ENVIRONMENT, help_template = "{about}\n")]
    Environment,
    /// Describe what each sender needs, and where the ids come from
    #[command(hide = true, long_about = help::SCENARIOS, help_template = "{about}\n")]
    Scenarios,
}

/// Hides and refuses `--sandbox` where a connector is given, because a new sandbox has none.
fn not_offered(sandbox: clap::Arg) -> clap::Arg {
    sandbox.hide(true).conflicts_with("connector_id")
}

impl Command {
    /// Returns the options of a subcommand that talks to Bird.
    #[must_use]
    pub fn shared(&self) -> Option<&ConnectionArgs> {
        match self {
            Self::Check(args) => Some(&args.shared),
            Self::Install(args) => Some(&args.shared),
            Self::Wait(args) => Some(&args.shared),
            Self::Batch(args) => Some(&args.shared),
            Self::Connector(args) => Some(&args.shared),
            Self::Numbers(args) => Some(&args.shared),
            Self::UseCases(args) => Some(&args.shared),
            Self::Sandbox(_) | Self::Completions(_) | Self::Environment | Self::Scenarios => None,
        }
    }
}

/// The arguments of `bird-sms check`.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// ID of a phone number (UUID), to check what it lacks
    #[arg(long, value_name = "UUID")]
    pub phone_number_id: Option<String>,

    /// Phone number instead of its ID, such as +31612345678
    #[arg(long, value_name = "PHONE_NUMBER", value_parser = phone_number, conflicts_with = "phone_number_id")]
    pub phone_number: Option<String>,

    /// The options that other subcommands have, too.
    #[command(flatten)]
    pub shared: ConnectionArgs,
}

/// The arguments of `bird-sms install`.
#[derive(Debug, clap::Args)]
pub struct InstallArgs {
    /// Name of the connector
    #[arg(long)]
    pub name: String,

    /// ID of the phone number (UUID)
    #[arg(long, value_name = "UUID", required_unless_present = "phone_number")]
    pub phone_number_id: Option<String>,

    /// Phone number instead of its ID, such as +31612345678
    ///
    /// Its ID is read first. `bird-sms numbers` lists the numbers.
    #[arg(long, value_name = "PHONE_NUMBER", value_parser = phone_number, conflicts_with = "phone_number_id")]
    pub phone_number: Option<String>,

    /// ID of the use case (UUID)
    ///
    /// US 10DLC and toll-free numbers need the one they are registered for. Other senders may need a generic one.
    #[arg(long, value_name = "UUID")]
    pub use_case_id: Option<String>,

    /// Type of the messages, such as `promotional` [default: none]
    #[arg(long, value_name = "TYPE")]
    pub channel_message_type: Option<String>,

    /// Whether an incoming message opens a conversation in the inbox [default: Bird decides]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub conversational: Option<bool>,

    /// Print the ID of the connector once it exists, without waiting for its channel
    ///
    /// `bird-sms wait` continues. Carriers may take days to approve a number.
    #[arg(long)]
    pub no_wait: bool,

    /// The options of every creation.
    #[command(flatten)]
    pub create: CreateArgs,

    /// The options of every wait.
    #[command(flatten)]
    pub poll: PollArgs,

    /// The options that other subcommands have, too.
    #[command(flatten)]
    pub shared: ConnectionArgs,
}

/// The arguments of `bird-sms wait`.
#[derive(Debug, clap::Args)]
pub struct WaitArgs {
    /// ID of the connector (UUID)
    pub connector_id: String,

    /// The options of every wait.
    #[command(flatten)]
    pub poll: PollArgs,

    /// The options that other subcommands have, too.
    #[command(flatten)]
    pub shared: ConnectionArgs,
}

/// The arguments of `bird-sms connector`.
#[derive(Debug, clap::Args)]
pub struct ConnectorArgs {
    /// ID of the connector (UUID)
    pub connector_id: String,

    /// The options that other subcommands have, too.
    #[command(flatten)]
    pub shared: ConnectionArgs,
}

/// The arguments of `bird-sms numbers`.
#[derive(Debug, clap::Args)]
pub struct NumbersArgs {
    /// Print rows for `bird-sms batch`: the long code numbers that show no connector
    #[arg(long, conflicts_with = "json")]
    pub rows: bool,

    /// The options that other subcommands have, too.
    #[command(flatten)]
    pub shared: ConnectionArgs,
}

/// The arguments of `bird-sms use-cases`.
#[derive(Debug, clap::Args)]
pub struct UseCasesArgs {
    /// The options that other subcommands have, too.
    #[command(flatten)]
    pub shared: ConnectionArgs,
}

/// The arguments of `bird-sms batch`.
#[derive(Debug, clap::Args)]
pub struct BatchArgs {
    /// File with the rows, or `-` for standard input
    ///
    /// CSV with a header, separated by `,`, `;` or tab, or JSON Lines.
    #[arg(value_name = "FILE")]
    pub input: PathBuf,

    /// File in which each step is stored before the next one is taken
    ///
    /// The same command with the same journal resumes.
    #[arg(long, value_name = "FILE")]
    pub journal: PathBuf,

    /// File for the outcome of each row, or `-` for standard output
    ///
    /// CSV, or JSON Lines for *.jsonl, *.ndjson, and for `-` with --json.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// Check the rows and the journal, print what would be done, and create nothing
    ///
    /// Nothing is sent, unless rows have phone numbers whose IDs have to be read.
    #[arg(long)]
    pub dry_run: bool,

    /// ID of the use case (UUID) of rows that have none
    #[arg(long, value_name = "UUID")]
    pub use_case_id: Option<String>,

    /// Type of the messages of rows that have none, such as `promotional`
    #[arg(long, value_name = "TYPE")]
    pub channel_message_type: Option<String>,

    /// Whether an incoming message opens a conversation in the inbox, for rows that do not say
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub conversational: Option<bool>,

    /// Phone number ID of a row to create although its outcome is unknown [default: all such rows]
    ///
    /// This may create a second connector. May be given more than once.
    #[arg(long, value_name = "PHONE_NUMBER_ID", num_args = 0..=1)]
    pub retry_unknown: Option<Vec<PhoneNumberId>>,

    /// Connector of a row whose own one is unknown or was deleted, or that was refused with a 409
    ///
    /// `bird-sms check` and the Bird dashboard show the ID. May be given more than once.
    #[arg(long, value_name = "PHONE_NUMBER_ID=CONNECTOR_ID", value_parser = parse_adoption)]
    pub adopt: Vec<Adoption>,

    /// Most POSTs per second
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    pub posts_per_second: u32,

    /// Most GETs per second
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub gets_per_second: u32,

    /// Most installs in progress at a time [default: 12000]
    #[arg(long, value_name = "N", hide = true)]
    pub concurrency: Option<usize>,

    /// The options of every creation.
    #[command(flatten)]
    pub create: CreateArgs,

    /// The options of every wait.
    #[command(flatten)]
    pub poll: PollArgs,

    /// The options that other subcommands have, too.
    #[command(flatten)]
    pub shared: ConnectionArgs,
}

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

/// The arguments of `bird-sms completions`.
#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    /// Shell that the script is for
    pub shell: clap_complete::Shell,
}

/// Parses a timeout of at least a second, so that requests have time for their responses.
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

/// Checks that a text is a phone number in E.164: a plus and 2 to 15 digits.
pub(crate) fn phone_number(text: &str) -> Result<String, &'static str> {
    match text.strip_prefix('+') {
        Some(digits)
            if (2..=15).contains(&digits.len())
                && digits.bytes().all(|digit| digit.is_ascii_digit()) =>
        {
            Ok(text.to_owned())
        }
        _ => Err("is not a phone number such as +31612345678"),
    }
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
    fn phone_numbers_are_those_of_e164() {
        assert_eq!(phone_number("+31612345678").as_deref(), Ok("+31612345678"));
        for wrong in ["", "+", "31612345678", "+31 6", "+1234567890123456", "+٣١٦١٢"] {
            assert!(phone_number(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
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
