//! `cargo xtask contract`: has independent programs judge the contract, the sandbox and the command.
//!
//! `contract/judges.yaml` describes the judges. They are installed from npm and `PyPI` into `target/contract`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, ensure};
use serde::Deserialize;
use yaml_serde::Value;

use crate::command::build;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Judges {
    functions: String,
    judges: Vec<Judge>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Judge {
    name: String,
    #[serde(default)]
    npm: Vec<String>,
    #[serde(default)]
    pip: Vec<String>,
    #[serde(default)]
    replace: BTreeMap<String, Value>,
    run: String,
}

#[derive(Debug, PartialEq)]
enum Verdict {
    /// The last line of the output.
    Passed(String),
    /// The output.
    Failed(String),
    NotInstalled(String),
}

/// Prints the verdict of each judge, and returns whether no judge that could be installed has found anything.
pub(crate) fn run(root: &Path) -> anyhow::Result<bool> {
    let Judges { functions, judges } = read(root)?;
    let program = build(root, "bird-sms", &["-p", "bird-sms-cli"])?;
    let (mut failed, mut missing) = (0, 0);
    for judge in &judges {
        let start = Instant::now();
        let verdict = judge.judge(root, &program, &functions)?;
        let seconds = start.elapsed().as_secs_f64();
        print!("{:28} {:8} {seconds:5.1} s  ", judge.name, judge.version());
        match verdict {
            Verdict::Passed(line) => println!("{line}"),
            Verdict::Failed(output) => {
                failed += 1;
                print!("FAILED\n{output}");
            }
            Verdict::NotInstalled(reason) => {
                missing += 1;
                println!("not installed: {reason}");
            }
        }
    }
    println!("{} judges, {failed} failed, {missing} not installed", judges.len());
    Ok(failed == 0)
}

fn read(root: &Path) -> anyhow::Result<Judges> {
    let table = fs::read_to_string(root.join("contract/judges.yaml"))?;
    yaml_serde::from_str(&table).context("contract/judges.yaml")
}

impl Judge {
    /// Returns the package that the judge is named after.
    fn package(&self) -> &str {
        self.npm.iter().chain(&self.pip).next().map_or("", String::as_str)
    }

    fn version(&self) -> &str {
        self.package().rsplit(['@', '=']).next().unwrap_or_default()
    }

    /// Runs the judge. `program` is bird-sms.
    fn judge(&self, root: &Path, program: &Path, functions: &str) -> anyhow::Result<Verdict> {
        let tools = root.join("target/contract").join(self.package().replace('/', "-"));
        if let Err(error) = self.install(&tools) {
            return Ok(Verdict::NotInstalled(format!("{error:#}")));
        }
        // Node looks for packages in the folders above a file.
        let scratch = tools.join("scratch");
        if scratch.exists() {
            fs::remove_dir_all(&scratch)?;
        }
        fs::create_dir(&scratch)?;
        let path = [tools.join("node_modules/.bin"), tools.join("venv/bin")];
        let program = program.parent().map(Path::to_owned);
        let inherited = std::env::var_os("PATH").unwrap_or_default();
        let path = path.into_iter().chain(program).chain(std::env::split_paths(&inherited));
        let output = Command::new("bash")
            .args(["-c", &format!("exec 2>&1\n{functions}\n{}", self.run)])
            .current_dir(&scratch)
            .env("PATH", std::env::join_paths(path)?)
            .env("HERE", root.join("contract"))
            .env("CONTRACT", self.contract(root, &tools)?)
            .output()
            .context("cannot run bash")?;
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(if output.status.success() {
            Verdict::Passed(text.lines().last().unwrap_or_default().trim().to_owned())
        } else {
            Verdict::Failed(text.into_owned())
        })
    }

    /// Installs the packages into a folder, unless they are there.
    fn install(&self, folder: &Path) -> anyhow::Result<()> {
        let stamp = folder.join("installed");
        let packages = format!("{:?} {:?}", self.npm, self.pip);
        if fs::read_to_string(&stamp).is_ok_and(|installed| installed == packages) {
            return Ok(());
        }
        fs::create_dir_all(folder)?;
        let install = |program: &str, args: &str, packages: &[String]| {
            let mut command = Command::new(program);
            let output = command.current_dir(folder).args(args.split(' ')).args(packages).output();
            let output = output.with_context(|| format!("cannot run {program}"))?;
            let errors = String::from_utf8_lossy(&output.stderr);
            let warning = |line: &str| line.starts_with("WARNING") || line.starts_with("npm warn");
            let reason = errors.lines().find(|line| !warning(line)).unwrap_or_default();
            ensure!(output.status.success(), "{program}: {reason}");
            Ok(())
        };
        if !self.npm.is_empty() {
            let npm = "install --prefix=. --no-audit --no-fund --ignore-scripts --fetch-retry-mintimeout=1000";
            install("npm", npm, &self.npm)?;
        }
        if !self.pip.is_empty() {
            install("python3", "-m venv venv", &[])?;
            install("venv/bin/pip", "install --quiet --quiet --retries 2", &self.pip)?;
        }
        Ok(fs::write(stamp, packages)?)
    }

    /// Returns the file with the contract that the judge gets.
    fn contract(&self, root: &Path, tools: &Path) -> anyhow::Result<PathBuf> {
        let contract = root.join("openapi.yaml");
        if self.replace.is_empty() {
            return Ok(contract);
        }
        // A mock serves the first example, so that the order of the parts has to stay.
        let mut replaced: Value = yaml_serde::from_str(&fs::read_to_string(contract)?)?;
        for (path, value) in &self.replace {
            let part = path.split('/').try_fold(&mut replaced, |part, name| part.get_mut(name));
            *part.with_context(|| format!("openapi.yaml has no {path}"))? = value.clone();
        }
        let path = tools.join("openapi.yaml");
        fs::write(&path, yaml_serde::to_string(&replaced)?)?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a judge of a contract, which needs bash alone.
    fn judge(table: &str) -> anyhow::Result<Verdict> {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("openapi.yaml"), "b: {c: 1, a: 2}\na: 3\n").unwrap();
        let judge: Judge = yaml_serde::from_str(table).unwrap();
        judge.judge(root.path(), &root.path().join("bin/bird-sms"), "set -e; say() { echo $1; }")
    }

    #[test]
    fn a_judge_passes_with_its_last_line_or_fails_with_its_output() {
        let passed = judge("{name: a, run: 'say 1; say 2; [[ ! -e x ]]'}").unwrap();
        assert_eq!(passed, Verdict::Passed("2".to_owned()));
        let failed = judge("{name: a, run: 'say 1; say 2 >&2; false; say 3'}").unwrap();
        assert_eq!(failed, Verdict::Failed("1\n2\n".to_owned()));
    }

    #[test]
    fn a_judge_that_cannot_be_installed_is_neither_passed_nor_failed() {
        let verdict = judge("{name: a, npm: ['file:missing'], run: 'true'}").unwrap();
        assert!(matches!(verdict, Verdict::NotInstalled(_)), "{verdict:?}");
    }

    #[test]
    fn parts_of_the_contract_are_replaced_and_the_order_stays() {
        let table =
            |path| format!("{{name: a, replace: {{{path}: 4}}, run: 'echo $(<$CONTRACT)'}}");
        let verdict = judge(&table("b/c")).unwrap();
        assert_eq!(verdict, Verdict::Passed("b: c: 4 a: 2 a: 3".to_owned()));
        assert!(judge(&table("b/d")).is_err());
    }

    #[test]
    fn every_judge_has_pinned_packages() {
        for judge in read(&crate::root().unwrap()).unwrap().judges {
            assert!(!judge.package().is_empty(), "{}", judge.name);
            let npm = judge.npm.iter().map(|package| package.rsplit_once('@'));
            let pip = judge.pip.iter().map(|package| package.rsplit_once("=="));
            for package in npm.chain(pip) {
                let pinned =
                    package.is_some_and(|(_, version)| version.starts_with(char::is_numeric));
                assert!(pinned, "{}: {package:?}", judge.name);
            }
        }
    }
}
