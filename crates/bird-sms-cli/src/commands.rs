//! The subcommands except `batch`: each parses its arguments, calls the library and prints the result.

use std::convert::identity;
use std::io::{self, IsTerminal, Write};
use std::path::Path;

use bird_sms::ConnectorId;
use clap::CommandFactory;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::args::{Args, BatchArgs, Command, ConnectorArgs, InstallArgs, SharedArgs};
use crate::batch::BatchEnd;
use crate::error::CliError;
use crate::exit::Code;
use crate::output::{print, print_channel, print_connector, print_line};
use crate::progress::Progress;
use crate::sandbox;
use crate::secret::Scrubber;
use crate::signal::{aborted, interrupted};
use crate::workspace::build_workspace;

/// Prints an error of the arguments, as JSON if they contain `--json`. Help and version are not errors.
#[must_use]
pub fn refuse(error: &clap::Error) -> Code {
    let json = std::env::args_os().take_while(|arg| arg != "--").any(|arg| arg == "--json");
    if !error.use_stderr() {
        // Nothing is left to do when the stream is closed.
        let _ = error.print();
        return Code::Done;
    }
    if !json {
        let text = error.render();
        let scrubber = Scrubber::of_process();
        let (plain, shown) = (text.to_string(), text.ansi().to_string());
        // Colours are left out of a text that has to be changed.
        let text = if io::stderr().is_terminal() && scrubber.scrub(&plain) == plain {
            shown
        } else {
            plain
        };
        let _ = write!(io::stderr(), "{}", scrubber.scrub(&text));
        return Code::Usage;
    }
    // The problem is the first paragraph. The usage after it is left out.
    let text = error.render().to_string();
    let problem: Vec<_> = text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
    let problem = problem.join(" ");
    let error = CliError::Usage(problem.trim_start_matches("error: ").to_owned());
    error.print(true, None);
    error.code()
}

/// Runs the command to its end.
#[must_use]
pub fn run(args: &Args) -> Code {
    start_tracing(args.shared.verbose);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(execute(args)),
        Err(error) => Err(CliError::Unexpected(error.to_string())),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            error.print(args.shared.json, args.shared.workspace_id.as_deref());
            error.code()
        }
    }
}

fn start_tracing(verbose: u8) {
    let filter = match (verbose, std::env::var("RUST_LOG")) {
        (0, Ok(directives)) => directives.parse().unwrap_or_default(),
        (0, Err(_)) => return,
        (1, _) => Targets::new().with_target("bird_sms", LevelFilter::DEBUG),
        _ => Targets::new().with_default(LevelFilter::TRACE),
    };
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    tracing_subscriber::registry().with(layer).with(filter).init();
}

async fn execute(args: &Args) -> Result<Code, CliError> {
    let shared = &args.shared;
    match &args.command {
        Command::Install(args) => install(args, shared).await,
        Command::Wait(args) => wait(args, shared).await,
        Command::Connector(args) => show_connector(args, shared).await,
        Command::Batch(args) => return batch(args, shared).await,
        Command::Sandbox(args) => sandbox::serve(args, shared.json).await,
        Command::Completions(args) => {
            let mut script = Vec::new();
            let mut command = Args::command();
            clap_complete::generate(args.shell, &mut command, "bird-sms", &mut script);
            print(&String::from_utf8_lossy(&script))
        }
    }
    .map(|()| Code::Done)
}

async fn batch(args: &BatchArgs, shared: &SharedArgs) -> Result<Code, CliError> {
    let BatchEnd { summary, mut code, error } = crate::batch::run(args, shared).await?;
    let workspace = shared.workspace_id.as_deref();
    if args.out.as_deref() == Some(Path::new("-")) {
        // stdout has the rows.
        let _ = writeln!(io::stderr(), "{summary}");
    } else if let Err(error) = print_line(&summary) {
        let _ = writeln!(io::stderr(), "{summary}");
        error.print(shared.json, workspace);
        // The code of the worst outcome says more than that the summary could not be written.
        code = if code == Code::Done { Code::Unexpected } else { code };
    }
    if let Some(error) = &error {
        error.print(shared.json, workspace);
    }
    Ok(code)
}

async fn install(args: &InstallArgs, shared: &SharedArgs) -> Result<(), CliError> {
    let phone_number_id = args.phone_number_id.parse()?;
    let use_case_id = args.use_case_id.as_deref().map(str::parse).transpose()?;
    let connected = build_workspace(shared, identity).await?;
    let progress = Progress::new(shared.json);
    let observer = progress.clone();
    let mut install = connected
        .workspace
        .install_sms_channel(&args.name, phone_number_id)
        .observe(move |event| observer.observe(event));
    if let Some(id) = use_case_id {
        install = install.use_case_id(id);
    }
    if let Some(kind) = args.channel_message_type.as_deref() {
        install = install.channel_message_type(kind.into());
    }
    if let Some(conversational) = args.conversational {
        install = install.conversational(conversational);
    }
    let result = tokio::select! {
        result = install.into_future() => result.map_err(CliError::Install),
        code = interrupted() => Err(aborted(code, progress.state())),
    };
    progress.finish();
    print_channel(&result?, shared.json)
}

async fn wait(args: &ConnectorArgs, shared: &SharedArgs) -> Result<(), CliError> {
    let id: ConnectorId = args.connector_id.parse()?;
    let connected = build_workspace(shared, identity).await?;
    let progress = Progress::new(shared.json).of_connector(id);
    let observer = progress.clone();
    let pending =
        connected.workspace.pending_channel(id).observe(move |event| observer.observe(event));
    let result = tokio::select! {
        result = pending.wait() => result.map_err(CliError::Read),
        code = interrupted() => Err(aborted(code, progress.state())),
    };
    progress.finish();
    print_channel(&result?, shared.json)
}

async fn show_connector(args: &ConnectorArgs, shared: &SharedArgs) -> Result<(), CliError> {
    let id = args.connector_id.parse()?;
    let connected = build_workspace(shared, identity).await?;
    let connector = tokio::select! {
        result = connected.workspace.connector(id) => result.map_err(CliError::Read)?,
        code = interrupted() => return Err(aborted(code, bird_sms::ConnectorState::NotCreated)),
    };
    print_connector(&connector, shared.json)
}
