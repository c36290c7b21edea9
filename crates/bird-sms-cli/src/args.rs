//! The arguments of the command. clap prints their doc comments as the help.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bird_sandbox::{Delay, Fault};
use bird_sms::{
    ChannelMessageType, ConnectorId, ParseIdError, PhoneNumberId, RetryCreate, SmsConnectorRequest,
    UseCaseId,
};
use clap::{Parser, Subcommand};

use crate::help;

#[derive(Debug, Parser)]
#[command(
    name = "bird-sms",
    version = env!("BIRD_SMS_VERSION"),
    about = help::ABOUT,
    after_help = help::EXAMPLES,
    after_long_help = help::long(),
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = OUTPUT)]
pub(crate) struct GlobalArgs {
    /// Log to stderr; give it twice for more detail [default: the filter in `RUST_LOG`]
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,

    /// When to use colors: auto, always or never
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_possible_values = true
    )]
    pub(crate) color: clap::ColorChoice,
}

/// The options of the subcommands that send requests to Bird.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Connection options")]
pub(crate) struct ConnectionArgs {
    /// ID of the workspace (UUID)
    ///
    /// It follows /workspaces/ in the address of the Bird dashboard. It isn't the identifier that begins with `ws_`.
    #[arg(long, value_name = "UUID", env = "BIRD_WORKSPACE_ID", hide_env_values = true)]
    pub(crate) workspace_id: Option<String>,

    #[arg(
        long,
        value_name = "URL",
        env = "BIRD_API_URL",
        hide_env_values = true,
        help = format!("Base URL of the API [default: {}]", bird_sms::Client::DEFAULT_BASE_URL)
    )]
    pub(crate) api_url: Option<String>,

    /// File or pipe that contains the access key, or `-` for standard input [default: the key in `BIRD_ACCESS_KEY`]
    #[arg(long, value_name = "FILE")]
    pub(crate) access_key_file: Option<PathBuf>,

    /// Time limit for an install, a wait or a read, such as 90s or 2m; at least 1s
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = timeout)]
    pub(crate) timeout: Duration,

    /// Use an embedded sandbox, which needs no account and no network
    #[arg(long)]
    pub(crate) sandbox: bool,

    /// Print the result or the error as JSON
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) json: bool,
}

impl ConnectionArgs {
    /// Returns the options that another command needs to reach the same workspace in the same environment.
    pub(crate) fn to_options(&self) -> String {
        if self.sandbox {
            return " --sandbox".to_owned();
        }
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

/// Quotes an argument for a POSIX shell if it needs quotes.
pub(crate) fn quote(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_./:-".contains(&byte)) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("'{}'", text.replace('\'', r"'\''")))
}

const OUTPUT: &str = "Output options";

/// The options of the subcommands that wait for a channel.
#[derive(Debug, clap::Args)]
pub(crate) struct PollArgs {
    /// Time between polls of a connector, such as 1s [default: 200ms, growing to 1.5s]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) poll_interval: Option<Duration>,

    /// Don't print progress, only new connectors, warnings and errors
    #[arg(short, long, help_heading = OUTPUT)]
    pub(crate) quiet: bool,
}

/// The options of the subcommands that create connectors.
#[derive(Debug, clap::Args)]
pub(crate) struct CreateArgs {
    /// ID of the use case (UUID) [default: none]
    ///
    /// A US 10DLC or toll-free number needs the use case that it is registered for. Other senders may need a generic
    /// use case.
    #[arg(long, value_name = "UUID")]
    use_case_id: Option<String>,

    /// Type of the messages, such as `promotional` [default: none]
    #[arg(long, value_name = "TYPE")]
    channel_message_type: Option<String>,

    /// Whether incoming messages open conversations in the inbox [default: Bird decides]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    conversational: Option<bool>,

    /// When to send a creation again after a server error
    ///
    /// A server error doesn't show whether a connector was created. Sending the creation again may create a second one.
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = RetryCreateArg::Default)]
    pub(crate) retry_create: RetryCreateArg,

    /// Don't look up a connector by its phone number if the outcome of its creation is unknown
    #[arg(long)]
    pub(crate) no_look_up: bool,
}

impl CreateArgs {
    /// Returns the options as given, for a command that sends the same requests.
    pub(crate) fn to_options(&self) -> String {
        let mut options = String::new();
        let conversational = self.conversational.map(|value| value.to_string());
        for (option, value) in [
            (" --use-case-id ", &self.use_case_id),
            (" --channel-message-type ", &self.channel_message_type),
            (" --conversational ", &conversational),
        ] {
            if let Some(value) = value {
                options.extend([option, &quote(value)]);
            }
        }
        if matches!(self.retry_create, RetryCreateArg::Never) {
            options.push_str(" --retry-create never");
        }
        if self.no_look_up {
            options.push_str(" --no-look-up");
        }
        options
    }

    /// Returns the values for rows and requests that set none themselves.
    pub(crate) fn defaults(&self) -> Result<Defaults, ParseIdError> {
        Ok(Defaults {
            use_case_id: self.use_case_id.as_deref().map(str::parse).transpose()?,
            channel_message_type: self.channel_message_type.as_deref().map(Into::into),
            conversational: self.conversational,
        })
    }
}

/// The values for rows and requests that set none themselves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Defaults {
    pub(crate) use_case_id: Option<UseCaseId>,
    pub(crate) channel_message_type: Option<ChannelMessageType>,
    pub(crate) conversational: Option<bool>,
}

impl Defaults {
    pub(crate) fn request(&self, name: &str, number: PhoneNumberId) -> SmsConnectorRequest {
        SmsConnectorRequest::new(name, number)
            .with_use_case_id(self.use_case_id)
            .with_channel_message_type(self.channel_message_type.clone())
            .with_conversational(self.conversational)
    }
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum RetryCreateArg {
    /// Don't send it again
    Never,
    /// Send it again after 500 and 503, which Bird calls safe to retry
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

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check the access key, the workspace and the connection, without creating anything
    #[command(long_about = help::CHECK, after_help = help::CHECK_EXAMPLES)]
    Check(CheckArgs),
    /// Install an SMS channel and print its ID
    #[command(long_about = help::INSTALL, after_help = help::INSTALL_EXAMPLES)]
    Install(InstallArgs),
    /// Wait until the channel of a connector is ready, and print the channel ID
    #[command(after_help = help::WAIT_EXAMPLES, mut_arg("sandbox", not_offered))]
    Wait(WaitArgs),
    /// Install many SMS channels from a file, as fast as the rate limits allow
    #[command(long_about = help::BATCH, after_help = help::BATCH_EXAMPLES)]
    Batch(BatchArgs),
    /// Print a connector
    #[command(after_help = help::CONNECTOR_EXAMPLES, mut_arg("sandbox", not_offered))]
    Connector(ConnectorArgs),
    /// List the numbers of the workspace, with their IDs and connectors
    #[command(long_about = help::NUMBERS, after_help = help::NUMBERS_EXAMPLES)]
    Numbers(NumbersArgs),
    /// List the use cases of the workspace, with their IDs
    #[command(after_help = help::USE_CASES_EXAMPLES)]
    UseCases(UseCasesArgs),
    /// Serve a local sandbox of the Bird API
    #[command(after_help = help::SANDBOX_EXAMPLES)]
    Sandbox(SandboxArgs),
    /// Print a completion script for a shell
    #[command(after_help = help::COMPLETIONS_EXAMPLES)]
    Completions(CompletionsArgs),
    /// Describe the environment variables
    #[command(hide = true, long_about = help::ENVIRONMENT, help_template = "{about}\n")]
    Environment,
    /// Describe what each sender needs, and where the IDs come from
    #[command(hide = true, long_about = help::SCENARIOS, help_template = "{about}\n")]
    Scenarios,
}

/// Hides and rejects `--sandbox` in commands that take a connector ID, because a new sandbox has no connectors.
fn not_offered(sandbox: clap::Arg) -> clap::Arg {
    sandbox.hide(true).conflicts_with("connector_id")
}

impl Command {
    /// Returns the connection options, or `None` for a subcommand that sends nothing to Bird.
    pub(crate) fn shared(&self) -> Option<&ConnectionArgs> {
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

#[derive(Debug, clap::Args)]
pub(crate) struct CheckArgs {
    /// ID of a phone number to check as well (UUID)
    #[arg(long, value_name = "UUID")]
    pub(crate) phone_number_id: Option<String>,

    /// Phone number such as +31612345678, instead of --phone-number-id
    #[arg(long, value_name = "PHONE_NUMBER", value_parser = phone_number, conflicts_with = "phone_number_id")]
    pub(crate) phone_number: Option<String>,

    #[command(flatten)]
    pub(crate) shared: ConnectionArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct InstallArgs {
    /// Name of the connector
    #[arg(long)]
    pub(crate) name: String,

    /// ID of the phone number (UUID)
    #[arg(long, value_name = "UUID", required_unless_present = "phone_number")]
    pub(crate) phone_number_id: Option<String>,

    /// Phone number such as +31612345678, instead of --phone-number-id
    #[arg(long, value_name = "PHONE_NUMBER", value_parser = phone_number, conflicts_with = "phone_number_id")]
    pub(crate) phone_number: Option<String>,

    /// Print the ID of the connector without waiting for its channel
    ///
    /// Run `bird-sms wait` later to wait for it. Carriers may take days to approve a number.
    #[arg(long)]
    pub(crate) no_wait: bool,

    #[command(flatten)]
    pub(crate) create: CreateArgs,

    #[command(flatten)]
    pub(crate) poll: PollArgs,

    #[command(flatten)]
    pub(crate) shared: ConnectionArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct WaitArgs {
    /// ID of the connector (UUID)
    pub(crate) connector_id: String,

    #[command(flatten)]
    pub(crate) poll: PollArgs,

    #[command(flatten)]
    pub(crate) shared: ConnectionArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ConnectorArgs {
    /// ID of the connector (UUID)
    pub(crate) connector_id: String,

    #[command(flatten)]
    pub(crate) shared: ConnectionArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct NumbersArgs {
    /// Print the long code numbers that show no connector, as CSV for `bird-sms batch`
    #[arg(long, conflicts_with = "json")]
    pub(crate) rows: bool,

    #[command(flatten)]
    pub(crate) shared: ConnectionArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct UseCasesArgs {
    #[command(flatten)]
    pub(crate) shared: ConnectionArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct BatchArgs {
    /// File that contains the rows, or `-` for standard input
    ///
    /// JSON Lines, or CSV with a header. CSV fields may be separated by `,`, `;` or tab.
    #[arg(value_name = "FILE")]
    pub(crate) input: PathBuf,

    /// Journal file, in which each step is stored before the next one begins
    ///
    /// To resume, run the same command with the same journal.
    #[arg(long, value_name = "FILE")]
    pub(crate) journal: PathBuf,

    /// File for the outcome of each row, or `-` for standard output
    ///
    /// JSON Lines if the name ends in .jsonl or .ndjson, or for `-` with --json; CSV otherwise.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,

    /// Check the rows and the journal and print the plan, without creating anything
    ///
    /// Nothing is sent, except GETs for the IDs of phone numbers if rows have phone numbers instead.
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Phone number ID of a row to send again although its outcome is unknown [without an ID: all such rows]
    ///
    /// This may create a second connector. May be given more than once.
    #[arg(long, value_name = "PHONE_NUMBER_ID", num_args = 0..=1)]
    pub(crate) retry_unknown: Option<Vec<PhoneNumberId>>,

    /// Connector to use for a phone number whose connector is missing, unknown or deleted
    ///
    /// `bird-sms check` and the Bird dashboard show connector IDs. May be given more than once.
    #[arg(long, value_name = "PHONE_NUMBER_ID=CONNECTOR_ID", value_parser = parse_adoption)]
    pub(crate) adopt: Vec<Adoption>,

    /// Maximum number of POSTs per second
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) posts_per_second: u32,

    /// Maximum number of GETs per second
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) gets_per_second: u32,

    /// Maximum number of installs in progress [default: 12000]
    #[arg(long, value_name = "N", hide = true)]
    pub(crate) concurrency: Option<usize>,

    #[command(flatten)]
    pub(crate) create: CreateArgs,

    #[command(flatten)]
    pub(crate) poll: PollArgs,

    #[command(flatten)]
    pub(crate) shared: ConnectionArgs,
}

/// The connector that `--adopt` names for a phone number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Adoption {
    pub(crate) phone_number_id: PhoneNumberId,
    pub(crate) connector_id: ConnectorId,
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

#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArgs {
    /// Name of the shell
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, clap::Args)]
pub(crate) struct SandboxArgs {
    /// Address to listen on; port 0 picks a free port
    ///
    /// Other machines can reach the sandbox if the address isn't loopback, such as 0.0.0.0:8080 in a container. They
    /// need the access key, which is sent unencrypted.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,

    /// Shell to print the settings for
    #[arg(long, value_enum, default_value_t = ExportShell::Sh)]
    pub(crate) shell: ExportShell,

    /// Print the settings as one JSON object, and each request as a JSON line
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) json: bool,

    /// Time until a new connector has a channel: 2s, 1s..5s (uniform) or ~2s (with a long tail)
    #[arg(long, value_name = "DELAY", default_value = "2s")]
    pub(crate) provisioning_delay: Delay,

    /// Phone number ID that needs a use case; may be given more than once
    #[arg(long, value_name = "PHONE_NUMBER_ID")]
    pub(crate) use_case_required: Vec<PhoneNumberId>,

    /// Long code number of the workspace; may be given more than once [default: ten fictional numbers]
    #[arg(long = "number", value_name = "PHONE_NUMBER", value_parser = phone_number)]
    pub(crate) numbers: Vec<String>,

    /// Fault to inject: `METHOD:KIND[xTIMES][@AFTER][#PHONE_NUMBER_ID]` or `random:SEED:PERCENT`
    ///
    /// METHOD is get or post. KIND is an HTTP status from 300 to 599, reset, hang, lost, garbage or cut. With the last
    /// three, the request is processed: lost sends no response, garbage a body that isn't JSON, and cut half a body.
    ///
    /// `post:503x2` fails the first two POSTs. `get:reset@3` fails the fourth GET. `random:7:20` fails a fifth of all
    /// requests, and the same seed gives the same failures. With a phone number ID, only requests for its connector
    /// count. May be given more than once.
    #[arg(long = "fault", value_name = "FAULT")]
    pub(crate) faults: Vec<Fault>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum ExportShell {
    /// POSIX shell, such as bash or zsh
    Sh,
    Fish,
    #[value(name = "powershell")]
    PowerShell,
}

/// Parses a timeout. With less than 1s, there would be no time for a response.
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

/// Checks that text is a phone number in E.164: a plus and 2 to 15 digits.
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
    fn the_arguments_are_consistent() {
        use clap::CommandFactory;
        Args::command().debug_assert();
    }

    #[test]
    fn a_phone_number_is_a_plus_and_digits() {
        assert_eq!(phone_number("+31612345678").as_deref(), Ok("+31612345678"));
        for wrong in ["", "+", "31612345678", "+31 6", "+1234567890123456", "+٣١٦١٢"] {
            assert!(phone_number(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_duration_has_a_unit_and_a_timeout_is_at_least_1s() {
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("1m 30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        for wrong in ["", "2", "-2s", "soon", "1e99s"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        // Fault 38 in docs/reliability.md.
        assert_eq!(timeout("1s"), Ok(Duration::from_secs(1)));
        assert!(timeout("999ms").is_err());
    }
}
