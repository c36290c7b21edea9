//! Sets `BIRD_SMS_VERSION`: the version and, in a git repository, the commit and its date.

use std::process::Command;

fn main() {
    let version = std::env::var("CARGO_PKG_VERSION").expect("cargo sets the version");
    // If the package is unpacked inside another repository, the commit of that repository doesn't describe it.
    let tracked = git(&["ls-files", "--error-unmatch", "build.rs"]).is_some();
    let commit = git(&["log", "-1", "--format=%h %cs", "--abbrev=9"]).filter(|_| tracked);
    let version = match commit {
        Some(commit) => format!("{version} ({commit})"),
        None => version,
    };
    println!("cargo:rustc-env=BIRD_SMS_VERSION={version}");
    println!("cargo:rerun-if-changed=build.rs");
    // This log changes with every commit and checkout.
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
