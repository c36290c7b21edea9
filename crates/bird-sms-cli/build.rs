//! Sets `BIRD_SMS_VERSION`: the version and, when this folder is in a git repository, its commit and the date of that.

use std::process::Command;

fn main() {
    let version = std::env::var("CARGO_PKG_VERSION").expect("cargo sets the version");
    // A package that is built below somebody's repository is not part of it.
    let tracked = git(&["ls-files", "--error-unmatch", "build.rs"]).is_some();
    let commit = git(&["log", "-1", "--format=%h %cs", "--abbrev=9"]).filter(|_| tracked);
    let version = match commit {
        Some(commit) => format!("{version} ({commit})"),
        None => version,
    };
    println!("cargo:rustc-env=BIRD_SMS_VERSION={version}");
    println!("cargo:rerun-if-changed=build.rs");
    // Changes with every commit and checkout.
    let log = git(&["rev-parse", "--git-path", "logs/HEAD"]);
    if let Some(log) = log.filter(|log| std::path::Path::new(log).exists()) {
        println!("cargo:rerun-if-changed={log}");
    }
}

fn git(args: &[&str]) -> Option<String> {
    let output =
        Command::new("git").args(["-c", "log.showSignature=false"]).args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
