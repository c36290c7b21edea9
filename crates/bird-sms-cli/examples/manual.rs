//! Prints what is derived from the command line: the reference, the man pages, the completions and the
//! table of exit codes, as a JSON object from path to content. `cargo xtask codegen` writes them.

use std::collections::BTreeMap;
use std::fmt::Write;

use bird_sms_cli::args::Args;
use bird_sms_cli::exit::Code;
use clap::{Command, CommandFactory};
use clap_complete::Shell;

fn main() {
    // The commit of a build is not in what is checked in.
    let mut command = Args::command().term_width(100).version(env!("CARGO_PKG_VERSION"));
    command.build();
    let mut files = BTreeMap::from([
        ("docs/cli.md".to_owned(), reference(&mut command)),
        ("README.md#exit-codes".to_owned(), exit_codes()),
    ]);
    for command in commands(&command) {
        let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page).expect("a Vec takes what is written");
        files.insert(format!("crates/bird-sms-cli/man/{name}.1"), text(page));
    }
    for (shell, name) in
        [(Shell::Bash, "bird-sms.bash"), (Shell::Fish, "bird-sms.fish"), (Shell::Zsh, "_bird-sms")]
    {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Args::command(), "bird-sms", &mut script);
        files.insert(format!("crates/bird-sms-cli/completions/{name}"), text(script));
    }
    println!("{}", serde_json::to_string(&files).expect("strings are JSON"));
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("clap writes UTF-8")
}

/// Returns the command and its subcommands, without the help command that clap adds.
fn commands(command: &Command) -> Vec<Command> {
    let below = command.get_subcommands().filter(|below| below.get_name() != "help");
    std::iter::once(command.clone()).chain(below.flat_map(commands)).collect()
}

fn reference(command: &mut Command) -> String {
    let mut text = "# bird-sms at a shell\n\n\
        The help of each command. It is derived from the code: `cargo xtask codegen`.\n"
        .to_owned();
    for mut command in commands(command) {
        let name = command.get_bin_name().unwrap_or_else(|| command.get_name()).to_owned();
        let help = command.render_long_help().to_string();
        let help: Vec<_> = help.trim_end().lines().map(str::trim_end).collect();
        let _ = write!(text, "\n## {name}\n\n```text\n{}\n```\n", help.join("\n"));
    }
    text
}

fn exit_codes() -> String {
    let mut table = "| exit code | |\n|---|---|\n".to_owned();
    for code in Code::ALL {
        let _ = writeln!(table, "| {} | {} |", code as u8, code.meaning());
    }
    table
}
