//! The subcommands except `batch`: each parses its arguments, calls the library and prints the result.

use std::convert::identity;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use bird_sms::{Access, ConnectorId, ConnectorState, Error, Event, PhoneNumberId};
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use serde_json::json;
use tokio::sync::Notify;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::args::{Args, BatchArgs, CheckArgs, Command, ConnectorArgs, InstallArgs, WaitArgs};
use crate::batch::BatchEnd;
use crate::display::use_colors;
use crate::error::{Aborted, CliError};
use crate::exit::Code;
use crate::json::to_json;
use crate::output::{
    print, print_channel, print_connector, print_line, print_message, print_pending,
};
use crate::progress::Progress;
use crate::signal::{aborted, aborted_install, ignore_file_size_signal, interrupted};
use crate::workspace::build_workspace;
use crate::{help, numbers, sandbox, secret};

/// Runs the command with the arguments of the process, and returns its exit code.
#[must_use]
pub fn main() -> Code {
    match parse() {
        Ok(args) => run(&args),
        Err(error) => refuse(&error),
    }
}

/// Parses the arguments. Returns an error if they cannot be used or contain the access key. As in clap, help and the
/// version are errors.
fn parse() -> Result<Args, clap::Error> {
    let args = Args::try_parse();
    if let Ok(Args { command: Command::Batch(batch), .. }) = &args
        && batch.input == Path::new("-")
        && batch.shared.access_key_file.as_deref() == Some(Path::new("-"))
    {
        let problem = "standard input cannot be both the access key and the rows";
        return Err(Args::command().error(ErrorKind::ArgumentConflict, problem));
    }
    secret::read_file(args.as_ref().ok());
    if let Some(position) = secret::argument_with_key() {
        let problem = format!(
            "argument {position} contains the access key; remove it, because other processes can see arguments"
        );
        return Err(Args::command().error(ErrorKind::ValueValidation, problem));
    }
    args
}

/// Prints an argument error, as JSON if the arguments contain `--json`. Also prints help and the version, which are not
/// failures.
fn refuse(error: &clap::Error) -> Code {
    let json = std::env::args_os().take_while(|arg| arg != "--").any(|arg| arg == "--json");
    if !json || !error.use_stderr() {
        // Ignore the error: if the stream is closed, nothing can be printed.
        let _ = error.print();
        return if error.use_stderr() { Code::Usage } else { Code::Done };
    }
    // Keep the first paragraph, which has the problem, and leave out the usage after it.
    let text = error.render().to_string();
    let problem: Vec<_> = text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
    let problem = problem.join(" ");
    let error = CliError::Usage(problem.trim_start_matches("error: ").to_owned());
    error.print(true, None);
    error.code()
}

fn run(args: &Args) -> Code {
    match args.global.color {
        clap::ColorChoice::Auto => anstream::ColorChoice::Auto,
        clap::ColorChoice::Always => anstream::ColorChoice::Always,
        clap::ColorChoice::Never => anstream::ColorChoice::Never,
    }
    .write_global();
    start_tracing(args.global.verbose);
    match block_on(Box::pin(execute(args))) {
        Ok(code) => code,
        Err(error) => {
            let shared = args.command.shared();
            error.print(shared.is_some_and(|shared| shared.json), shared);
            error.code()
        }
    }
}

/// Runs a future on its own runtime. The future is boxed because each type of future would add kilobytes to the binary.
pub(crate) fn block_on(
    future: Pin<Box<dyn Future<Output = Result<Code, CliError>> + '_>>,
) -> Result<Code, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| CliError::Unexpected(error.to_string()))?.block_on(future)
}

fn start_tracing(verbose: u8) {
    let filter = match (verbose, std::env::var("RUST_LOG")) {
        (0, Ok(directives)) => directives.parse().unwrap_or_default(),
        (0, Err(_)) => return,
        (1, _) => Targets::new().with_target("bird_sms", LevelFilter::DEBUG),
        _ => Targets::new().with_default(LevelFilter::TRACE),
    };
    let layer = tracing_subscriber::fmt::layer().with_ansi(use_colors()).with_writer(io::stderr);
    tracing_subscriber::registry().with(layer).with(filter).init();
}

async fn execute(args: &Args) -> Result<Code, CliError> {
    ignore_file_size_signal();
    match &args.command {
        Command::Check(args) => return check(args).await,
        Command::Install(args) => install(args).await,
        Command::Wait(args) => wait(args).await,
        Command::Connector(args) => show_connector(args).await,
        Command::Batch(args) => return batch(args).await,
        Command::Numbers(args) => numbers::list(args).await,
        Command::UseCases(args) => numbers::use_cases(args).await,
        Command::Sandbox(args) => sandbox::serve(args).await,
        Command::Completions(args) => {
            let mut script = Vec::new();
            let mut command = Args::command();
            clap_complete::generate(args.shell, &mut command, "bird-sms", &mut script);
            print(&String::from_utf8_lossy(&script))
        }
        Command::Environment => print_line(help::ENVIRONMENT),
        Command::Scenarios => print(help::SCENARIOS),
    }
    .map(|()| Code::Done)
}

async fn batch(args: &BatchArgs) -> Result<Code, CliError> {
    let BatchEnd { summary, mut code, state, error } = crate::batch::run(args).await?;
    let shared = &args.shared;
    if args.out.as_deref() == Some(Path::new("-")) {
        // The outcomes were written to stdout.
        print_message(&summary);
    } else if let Err(error) = print_line(&summary) {
        print_message(&summary);
        // The code of the worst outcome is more useful than a failure to write the summary.
        code = if code == Code::Done { Code::Unexpected } else { code };
        let hint =
            Some("The journal has what was done; run the same command to continue.".to_owned());
        let message = error.message();
        CliError::Aborted(Aborted { code, message, state, hint }).print(shared.json, Some(shared));
    }
    if let Some(error) = &error {
        error.print(shared.json, Some(shared));
    }
    Ok(code)
}

async fn check(args: &CheckArgs) -> Result<Code, CliError> {
    let number_id = args.phone_number_id.as_deref().map(str::parse::<PhoneNumberId>).transpose()?;
    let connected = build_workspace(&args.shared, identity).await?;
    let workspace = &connected.workspace;
    let access = tokio::select! {
        result = workspace.check() => result.map_err(CliError::Check)?,
        code = interrupted() => return Err(aborted(code, ConnectorState::NotCreated)),
    };
    let number_id = match &args.phone_number {
        Some(number) => Some(numbers::find(workspace, number).await?),
        None => number_id,
    };
    let number = match number_id {
        Some(id) => Some(numbers::Report::read(workspace, id).await?),
        None => None,
    };
    let code = match &number {
        Some(number) if !number.missing.is_empty() => Code::Refused,
        Some(number) if !number.is_read => Code::ReadFailed,
        _ => Code::Done,
    };
    let workspace_id = workspace.id();
    let api_url = workspace.client().base_url();
    if args.shared.json {
        let mut result = json!({
            "workspaceId": workspace_id,
            "apiUrl": api_url,
            "access": access,
            "mayView": (access == Access::Confirmed).then_some(true),
            // Only a POST would show this.
            "mayCreate": null,
        });
        if let Some(number) = number {
            result["number"] = json!(number);
        }
        return print_line(&to_json(&result)).map(|()| code);
    }
    let seen = match access {
        Access::Confirmed => "OK: the key works, and it may view connectors in this workspace.",
        _ => {
            "Not confirmed: the workspace id and, unless the URL is Bird's, the access key. The response is a 404 that \
             doesn't show what was not found."
        }
    };
    print_line(&format!(
        "Workspace {workspace_id} at {api_url}\n{seen}\n\
         Not checked: whether the key may create connectors. Only an install shows that.{}",
        number.map(|number| format!("\n{}", number.text())).unwrap_or_default()
    ))
    .map(|()| code)
}

async fn install(args: &InstallArgs) -> Result<(), CliError> {
    let shared = &args.shared;
    let phone_number_id =
        args.phone_number_id.as_deref().map(str::parse::<PhoneNumberId>).transpose()?;
    let defaults = args.create.defaults()?;
    let configure = |client| args.poll.configure(args.create.configure(client));
    let connected = build_workspace(shared, configure).await?;
    let workspace = &connected.workspace;
    let number = match (phone_number_id, &args.phone_number) {
        (Some(id), _) => id,
        (None, number) => numbers::find(workspace, number.as_deref().unwrap_or_default()).await?,
    };
    let request = defaults.request(&args.name, number);
    let progress = Progress::new(shared.json, args.poll.quiet).waits(!args.no_wait);
    let observer = progress.clone();
    let created = Arc::new(Notify::new());
    let notify = created.clone();
    let batch = workspace.install_sms_channels([request]).observe(move |_, event| {
        observer.observe(event);
        if matches!(event, Event::Created { .. }) {
            notify.notify_one();
        }
    });
    let mut outcomes = batch.start();
    let mut signal = None;
    // After the first signal, wait for a POST in flight. The second signal ends the command.
    let outcome = loop {
        tokio::select! {
            outcome = outcomes.next() => break outcome,
            () = created.notified(), if args.no_wait => outcomes.shut_down(),
            code = interrupted() => {
                if signal.replace(code).is_some() {
                    break outcomes.abandon().pop();
                }
                outcomes.shut_down();
                progress.print_stopping();
            }
        }
    };
    progress.finish();
    match (outcome.map(|outcome| outcome.result), signal) {
        (Some(Ok(channel)), _) if args.no_wait => {
            print_pending(channel.connector_id, channel.warning, shared.json)
        }
        (Some(Ok(channel)), _) => print_channel(&channel, shared.json),
        (Some(Err(Error::NotReady(id, _, failure))), None) if args.no_wait => {
            print_pending(id, failure.warning, shared.json)
        }
        (Some(Err(error)), None) => Err(CliError::Install(error, number)),
        (Some(Err(error)), Some(code)) => {
            let state = error.connector_state();
            Err(aborted_install(code, state, number, &shared.to_options()))
        }
        (None, code) => Err(aborted(code.unwrap_or(Code::Unexpected), ConnectorState::NotCreated)),
    }
}

async fn wait(args: &WaitArgs) -> Result<(), CliError> {
    let shared = &args.shared;
    let id: ConnectorId = args.connector_id.parse()?;
    let connected = build_workspace(shared, |client| args.poll.configure(client)).await?;
    let progress = Progress::new(shared.json, args.poll.quiet).of_connector(id);
    let observer = progress.clone();
    let pending =
        connected.workspace.pending_channel(id).observe(move |event| observer.observe(event));
    let result = tokio::select! {
        result = pending.wait() => result.map_err(|error| CliError::Read(error, progress.is_seen())),
        code = interrupted() => Err(if progress.is_seen() {
            aborted(code, ConnectorState::Exists(id))
        } else {
            CliError::Unread(code, id)
        }),
    };
    progress.finish();
    print_channel(&result?, shared.json)
}

async fn show_connector(args: &ConnectorArgs) -> Result<(), CliError> {
    let id = args.connector_id.parse()?;
    let connected = build_workspace(&args.shared, identity).await?;
    let connector = tokio::select! {
        result = connected.workspace.connector(id) => result.map_err(|error| CliError::Read(error, false))?,
        code = interrupted() => return Err(aborted(code, ConnectorState::NotCreated)),
    };
    print_connector(&connector, args.shared.json)
}
