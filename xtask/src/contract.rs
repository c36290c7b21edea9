//! `cargo xtask contract`: checks the contract and the sandbox with third-party tools.
//!
//! Redocly's linter and openapi-spec-validator check the contract; schemathesis tests the sandbox against the
//! contract. They are installed from npm and `PyPI` into `target/contract`, where Redocly writes the page of the API,
//! `api.html`, as well.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::Context;

use crate::command::{Server, build, succeed};

const REDOCLY: &str = "@redocly/cli@2.77.0";
const PYTHON_TOOLS: &str = "schemathesis==4.32.5 openapi-spec-validator==0.9.0";

/// Runs the tools, and fails with the first that finds something.
pub(crate) fn run(root: &Path) -> anyhow::Result<()> {
    let tools = root.join("target/contract");
    install(&tools)?;
    let contract = root.join("openapi.yaml");

    let redocly = |args: &[&str]| {
        heading(&format!("redocly {}", args[0]));
        let mut redocly = Command::new(tools.join("node_modules/.bin/redocly"));
        // Redocly reads a configuration in the current folder.
        redocly.env("REDOCLY_TELEMETRY", "off").current_dir(&tools).args(args);
        succeed(redocly.arg(&contract))
    };
    redocly(&["lint", "--max-problems=100"])?;
    redocly(&["build-docs", "--output=api.html"])?;

    heading("openapi-spec-validator");
    succeed(Command::new(tools.join("venv/bin/openapi-spec-validator")).arg(&contract))?;

    heading("schemathesis against the sandbox");
    let program = build(root, "bird-sms", &["-p", "bird-sms-cli"])?;
    let mut sandbox = Command::new(program);
    let sandbox = Server::start(sandbox.args(["sandbox", "--provisioning-delay", "0s"]), 3)?;
    let exports = sandbox.lines.iter().map(|line| {
        let export = line.strip_prefix("export ").and_then(|line| line.split_once('='));
        export.with_context(|| format!("not an export: {line}"))
    });
    let exports = exports.collect::<anyhow::Result<BTreeMap<_, _>>>()?;
    let url = exports.get("BIRD_API_URL").context("the sandbox does not export its URL")?;
    let mut test = Command::new(tools.join("venv/bin/schemathesis"));
    test.arg("--config-file")
        .arg(root.join("contract/schemathesis.toml"))
        .arg("run")
        .arg(&contract);
    test.args(["--url", url, "--phases", "examples,coverage,fuzzing,stateful"]);
    // schemathesis writes folders for examples and reports.
    succeed(test.envs(exports).current_dir(&tools))
}

fn install(tools: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(tools)?;
    let script = format!(
        "npm install --no-audit --no-fund --prefix . {REDOCLY} && \
         python3 -m venv venv && venv/bin/pip install --quiet {PYTHON_TOOLS}"
    );
    let stamp = tools.join("installed");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == script) {
        return Ok(());
    }
    heading(&format!("installing the tools into {}", tools.display()));
    succeed(Command::new("sh").current_dir(tools).args(["-c", &script]))?;
    Ok(std::fs::write(stamp, script)?)
}

fn heading(text: &str) {
    println!("\n-- {text}");
}
