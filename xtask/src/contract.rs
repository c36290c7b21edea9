//! `cargo xtask contract`: the contract and the sandbox under independent eyes.
//!
//! Redocly's linter and openapi-spec-validator read the contract; schemathesis holds the sandbox against
//! it. They are installed into `target/contract`, from npm and `PyPI`, in the versions below.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::Context;

use crate::command::{cargo, succeed};

const REDOCLY: &str = "@redocly/cli@2.77.0";
const PYTHON_TOOLS: [&str; 2] = ["schemathesis==4.32.5", "openapi-spec-validator==0.9.0"];

/// Runs all three; fails with the first that finds something.
pub(crate) fn run(root: &Path) -> anyhow::Result<()> {
    let tools = root.join("target/contract");
    install(&tools)?;
    let contract = root.join("openapi.yaml");

    heading("redocly lint");
    let mut lint = Command::new(tools.join("node_modules/.bin/redocly"));
    // In the folder of the tools: the linter would take a configuration from the current one.
    lint.env("REDOCLY_TELEMETRY", "off").current_dir(&tools).args(["lint", "--max-problems=100"]);
    succeed(lint.arg(&contract))?;

    heading("openapi-spec-validator");
    succeed(Command::new(tools.join("venv/bin/openapi-spec-validator")).arg(&contract))?;

    heading("schemathesis against the sandbox");
    let sandbox = Sandbox::start(root)?;
    let mut test = Command::new(tools.join("venv/bin/schemathesis"));
    test.arg("--config-file")
        .arg(root.join("contract/schemathesis.toml"))
        .arg("run")
        .arg(&contract);
    test.args(["--url", &sandbox.url, "--phases", "examples,coverage,fuzzing,stateful"]);
    test.envs(sandbox.exports.iter().map(|(name, value)| (name, value)));
    // Its own folders for examples and reports.
    succeed(test.current_dir(&tools))
}

fn install(tools: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(tools)?;
    let wanted = format!("{REDOCLY} {}", PYTHON_TOOLS.join(" "));
    let stamp = tools.join("installed");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    heading(&format!("installing {wanted} into {}", tools.display()));
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--prefix"]).arg(tools).arg(REDOCLY);
    succeed(&mut npm)?;
    let venv = tools.join("venv");
    succeed(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    let mut pip = Command::new(venv.join("bin/pip"));
    succeed(pip.args(["install", "--quiet"]).args(PYTHON_TOOLS))?;
    Ok(std::fs::write(stamp, wanted)?)
}

/// `bird-sms sandbox` in a process of its own, until it is dropped.
struct Sandbox {
    process: Child,
    url: String,
    exports: Vec<(String, String)>,
}

impl Sandbox {
    fn start(root: &Path) -> anyhow::Result<Self> {
        succeed(cargo().current_dir(root).args(["build", "--locked", "-p", "bird-sms-cli"]))?;
        let process = Command::new(root.join("target/debug/bird-sms"))
            .args(["sandbox", "--provisioning-delay", "0s"])
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the sandbox")?;
        let mut sandbox = Self { process, url: String::new(), exports: Vec::new() };
        let stdout = sandbox.process.stdout.take().context("the sandbox has no stdout")?;
        for line in BufReader::new(stdout).lines().take(3) {
            let line = line?;
            let export = line.strip_prefix("export ").and_then(|line| line.split_once('='));
            let (name, value) = export.with_context(|| format!("not an export: {line}"))?;
            if name == "BIRD_API_URL" {
                value.clone_into(&mut sandbox.url);
            }
            sandbox.exports.push((name.to_owned(), value.to_owned()));
        }
        Ok(sandbox)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn heading(text: &str) {
    println!("\n-- {text}");
}
