//! `bird-sms sandbox`: prints the settings of a local sandbox, serves it, and prints a log of its requests.

use std::pin::pin;

use bird_sandbox::{ReceivedRequest, Sandbox};
use bird_sms::escape_controls;
use futures_util::future::poll_immediate;
use serde::Serialize;

use crate::args::{ExportShell, SandboxArgs};
use crate::error::CliError;
use crate::json::to_json;
use crate::output::{print_line, print_message};
use crate::signal::interrupted;

/// The settings of the sandbox, as printed with `--json`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonSettings<'a> {
    api_url: String,
    workspace_id: String,
    access_key: &'a str,
    inspector_url: String,
}

pub(crate) async fn serve(args: &SandboxArgs) -> Result<(), CliError> {
    let json = args.json;
    let mut builder = Sandbox::builder()
        .listen(args.listen)
        .provisioning_delay(args.provisioning_delay)
        .faults(args.faults.iter().cloned())
        .observe(move |request| log(request, json));
    for number in &args.use_case_required {
        builder = builder.require_use_case(*number.as_uuid());
    }
    for number in &args.numbers {
        builder = builder.number(number);
    }
    // The default address is loopback, so the user chose any other one explicitly.
    let sandbox = builder.allow_remote().start().await?;
    // Install the signal handlers first: a script may send a signal as soon as the settings are printed.
    let mut stop = pin!(interrupted());
    let _ = poll_immediate(&mut stop).await;
    print_line(&settings(&sandbox, (!json).then_some(args.shell)))?;
    if !json {
        print_message(format_args!("Inspector: {}", sandbox.inspector_url()));
    }
    stop.await;
    sandbox.shutdown().await;
    Ok(())
}

/// Returns the settings for a shell, or as one JSON object.
fn settings(sandbox: &Sandbox, shell: Option<ExportShell>) -> String {
    let api_url = sandbox.base_url();
    let workspace_id = sandbox.workspace_id().to_string();
    let access_key = sandbox.access_key();
    let Some(shell) = shell else {
        let inspector_url = sandbox.inspector_url();
        return to_json(&JsonSettings { api_url, workspace_id, access_key, inspector_url });
    };
    // No value contains a character that a shell would interpret, so quotes are not needed.
    let variables = [
        ("BIRD_API_URL", &*api_url),
        ("BIRD_WORKSPACE_ID", &workspace_id),
        ("BIRD_ACCESS_KEY", access_key),
    ];
    let lines = variables.map(|(name, value)| match shell {
        ExportShell::Sh => format!("export {name}={value}"),
        ExportShell::Fish => format!("set -gx {name} {value}"),
        ExportShell::PowerShell => format!("$env:{name} = '{value}'"),
    });
    lines.join("\n")
}

/// Prints a request to stderr, as a JSON line with `--json`.
fn log(request: &ReceivedRequest, json: bool) {
    print_message(if json { to_json(request) } else { describe(request) });
}

fn describe(request: &ReceivedRequest) -> String {
    let ReceivedRequest { time, method, path, status, fault, .. } = request;
    let status = status.map_or("no response".to_owned(), |status| status.to_string());
    let fault = fault.as_ref().map(|fault| format!(" (fault {fault})")).unwrap_or_default();
    escape_controls(&format!("{time:.3} {method} {path} {status}{fault}")).into_owned()
}
