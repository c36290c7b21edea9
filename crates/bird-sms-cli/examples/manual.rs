//! Writes man pages and completions for the archives of a release, into `man` and `completions` in the given folder.

use std::fs;
use std::io;
use std::path::PathBuf;

use bird_sms_cli::arguments;
use clap_complete::Shell;

fn main() -> io::Result<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.ok_or_else(|| io::Error::other("the folder is missing"))?;
    let man = folder.join("man");
    let completions = folder.join("completions");
    fs::create_dir_all(&man)?;
    fs::create_dir_all(&completions)?;
    let command = arguments().version(env!("CARGO_PKG_VERSION"));
    // The help topics are hidden subcommands, which would get no man pages.
    let command = ["environment", "scenarios"]
        .into_iter()
        .fold(command, |command, topic| command.mut_subcommand(topic, |topic| topic.hide(false)));
    clap_mangen::generate_to(command, &man)?;
    for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
        clap_complete::generate_to(shell, &mut arguments(), "bird-sms", &completions)?;
    }
    Ok(())
}
