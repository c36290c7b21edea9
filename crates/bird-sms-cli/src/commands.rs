use std::convert::identity;
use std::io::{self, Write};
use std::path::Path;

use bird_sms::{ConnectorId, SmsChannel};
use clap::CommandFactory;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::args::{self, Args, Command, Shared};
use crate::exit::Code;
use crate::interrupt::{failure, interrupted};
use crate::progress::Progress;
use crate::report::{self, Failure};
use crate::settings::connect;

/// Tells what is wrong with the arguments, as they ask for it. Help and versions are no errors.
#[must_use]
pub fn refuse(error: &clap::Error) -> Code {
    let json = std::env::args_os().take_while(|arg| arg != "--").any(|arg| arg == "--json");
    if !error.use_stderr() || !json {
        // There is nobody left to tell when this fails.
        let _ = error.print();
        return if error.use_stderr() { Code::Usage } else { Code::Done };
    }
    // What is wrong comes first; how it would be right is for people.
    let text = error.render().to_string();
    let problem: Vec<_> = text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
    let problem = problem.join(" ");
    let failure = Failure::Usage(problem.trim_start_matches("error: ").to_owned());
    failure.tell(true, None);
    failure.code()
}

/// Runs the command to its end.
#[must_use]
pub fn run(args: &Args) -> Code {
    trace(args.shared.verbose);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(execute(args)),
        Err(error) => Err(Failure::Unexpected(error.to_string())),
    };
    match result {
        Ok(code) => code,
        Err(failure) => {
            failure.tell(args.shared.json, args.shared.workspace_id.as_deref());
            failure.code()
        }
    }
}

fn trace(verbose: u8) {
    let filter = match (verbose, std::env::var("RUST_LOG")) {
        (0, Ok(directives)) => directives.parse().unwrap_or_default(),
        (0, Err(_)) => return,
        (1, _) => Targets::new().with_target("bird_sms", LevelFilter::DEBUG),
        _ => Targets::new().with_default(LevelFilter::TRACE),
    };
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    tracing_subscriber::registry().with(layer).with(filter).init();
}

async fn execute(args: &Args) -> Result<Code, Failure> {
    let shared = &args.shared;
    match &args.command {
        Command::Install(install) => self::install(install, shared).await,
        Command::Wait(connector) => wait(connector, shared).await,
        Command::Connector(connector) => show(connector, shared).await,
        Command::Batch(batch) => return self::batch(batch, shared).await,
        Command::Sandbox(sandbox) => serve(sandbox).await,
        Command::Completions(completions) => {
            let mut script = Vec::new();
            let mut command = Args::command();
            clap_complete::generate(completions.shell, &mut command, "bird-sms", &mut script);
            print(&String::from_utf8_lossy(&script))
        }
    }
    .map(|()| Code::Done)
}

async fn batch(batch: &args::Batch, shared: &Shared) -> Result<Code, Failure> {
    let (summary, code) = crate::batch::batch(batch, shared).await?;
    if batch.out.as_deref() == Some(Path::new("-")) {
        // stdout carries the rows.
        let _ = writeln!(io::stderr(), "{summary}");
    } else {
        print_line(&summary)?;
    }
    Ok(code)
}

async fn install(install: &args::Install, shared: &Shared) -> Result<(), Failure> {
    let phone_number_id = install.phone_number_id.parse()?;
    let use_case_id = install.use_case_id.as_deref().map(str::parse).transpose()?;
    let connected = connect(shared, identity).await?;
    let progress = Progress::new(shared.json);
    let observer = progress.clone();
    let mut installation = connected
        .workspace
        .install_sms_channel(&install.name, phone_number_id)
        .observe(move |event| observer.observe(event));
    if let Some(id) = use_case_id {
        installation = installation.use_case_id(id);
    }
    if let Some(kind) = install.channel_message_type.as_deref() {
        installation = installation.channel_message_type(kind.into());
    }
    if let Some(conversational) = install.conversational {
        installation = installation.conversational(conversational);
    }
    let result = tokio::select! {
        result = installation.into_future() => result.map_err(Failure::Install),
        code = interrupted() => Err(failure(code, &progress)),
    };
    progress.finish();
    print_channel(&result?, shared.json)
}

async fn wait(connector: &args::Connector, shared: &Shared) -> Result<(), Failure> {
    let id: ConnectorId = connector.connector_id.parse()?;
    let connected = connect(shared, identity).await?;
    let progress = Progress::new(shared.json).of_connector(id);
    let observer = progress.clone();
    let pending =
        connected.workspace.pending_channel(id).observe(move |event| observer.observe(event));
    let result = tokio::select! {
        result = pending.wait() => result.map_err(Failure::Install),
        code = interrupted() => Err(failure(code, &progress)),
    };
    progress.finish();
    print_channel(&result?, shared.json)
}

async fn show(connector: &args::Connector, shared: &Shared) -> Result<(), Failure> {
    let id = connector.connector_id.parse()?;
    let connected = connect(shared, identity).await?;
    let progress = Progress::new(true);
    let connector = tokio::select! {
        result = connected.workspace.connector(id) => result.map_err(Failure::Read)?,
        code = interrupted() => return Err(failure(code, &progress)),
    };
    print_line(&report::connector(&connector, shared.json))
}

async fn serve(sandbox: &args::Sandbox) -> Result<(), Failure> {
    let sandbox = bird_sandbox::Sandbox::builder()
        .listen(sandbox.listen)
        .provisioning_delay(sandbox.provisioning_delay)
        .get_limit(sandbox.get_limit)
        .post_limit(sandbox.post_limit)
        .faults(sandbox.faults.iter().cloned())
        .start()
        .await
        .map_err(|error| Failure::Usage(error.to_string()))?;
    print_line(&format!(
        "export BIRD_API_URL={}\nexport BIRD_WORKSPACE_ID={}\nexport BIRD_ACCESS_KEY={}",
        sandbox.base_url(),
        sandbox.workspace_id(),
        sandbox.access_key()
    ))?;
    interrupted().await;
    sandbox.shutdown().await;
    Ok(())
}

/// A channel that nobody is told of is one to be looked for.
fn print_channel(channel: &SmsChannel, json: bool) -> Result<(), Failure> {
    let SmsChannel { id, connector_id, .. } = channel;
    write(&format!("{}\n", report::channel(channel, json))).map_err(|error| Failure::Ended {
        code: Code::Unexpected,
        message: format!(
            "channel {id} of connector {connector_id} is ready, {}",
            unwritten(&error)
        ),
        connector_id: Some(connector_id.to_string()),
        connector_may_exist: true,
    })
}

fn print_line(text: &str) -> Result<(), Failure> {
    print(&format!("{text}\n"))
}

fn print(text: &str) -> Result<(), Failure> {
    write(text).map_err(|error| Failure::Unexpected(unwritten(&error)))
}

fn unwritten(error: &io::Error) -> String {
    format!("the result could not be written: {error}")
}

/// `println!` would panic when nobody reads.
fn write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}
