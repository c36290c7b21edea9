//! Checks the links, paths, names, tests and commands in documents.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use clap::CommandFactory;

use crate::command::output;

struct Document {
    path: String,
    /// The text without code blocks.
    prose: String,
    /// The text in backticks, and the lines of shell blocks.
    code: Vec<String>,
}

fn files() -> BTreeSet<String> {
    let mut git = Command::new("git");
    git.current_dir(crate::root().unwrap());
    git.args(["ls-files", "--cached", "--others", "--exclude-standard"]);
    let files = String::from_utf8(output(&mut git).unwrap()).unwrap();
    files.lines().map(ToOwned::to_owned).collect()
}

fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(crate::root().unwrap().join(path)).unwrap_or_default()
}

fn documents() -> Vec<Document> {
    let files = files().into_iter().filter(|path| path.rsplit('.').next() == Some("md"));
    let document = |path: String| {
        let mut prose = String::new();
        let mut code = Vec::new();
        for (nth, part) in read(&path).split("```").enumerate() {
            match part.split_once('\n') {
                Some(("sh", lines)) if nth % 2 == 1 => code.extend(lines.lines().map(Into::into)),
                _ if nth % 2 == 1 => {}
                _ => prose += part,
            }
        }
        let spans = prose.split('`').skip(1).step_by(2);
        code.extend(spans.map(|span| span.split_whitespace().collect::<Vec<_>>().join(" ")));
        Document { path, prose, code }
    };
    files.map(document).collect()
}

/// Returns all code in the repository.
fn sources() -> String {
    let is_code = |path: &String| [".rs", ".toml", ".yaml"].iter().any(|end| path.ends_with(end));
    files().into_iter().filter(is_code).map(read).collect()
}

/// Asserts that `problem` finds nothing in any document.
fn check(problem: impl Fn(&Document) -> Vec<String>) {
    let mut problems = String::new();
    for document in documents() {
        for problem in problem(&document) {
            writeln!(problems, "{}: {problem}", document.path).unwrap();
        }
    }
    assert!(problems.is_empty(), "\n{problems}");
}

#[test]
fn links_in_documents_are_not_broken() {
    let slug = |heading: &str| -> String {
        let heading = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        heading.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect()
    };
    check(|document| {
        let folder = Path::new(&document.path).parent().unwrap();
        let links = document.prose.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let is_broken = |link: &&str| {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let path =
                if path.is_empty() { document.path.clone().into() } else { folder.join(path) };
            let has = |anchor| {
                read(&path).lines().any(|line| line.starts_with('#') && slug(line) == anchor)
            };
            !crate::root().unwrap().join(&path).exists() || !anchor.is_empty() && !has(anchor)
        };
        let here = links.filter(|link| !link.contains("://"));
        here.filter(is_broken).map(|link| format!("no such link: {link}")).collect()
    });
}

#[test]
fn paths_in_documents_exist() {
    const ENDS: [&str; 6] = [".rs", ".md", ".toml", ".yml", ".yaml", ".html"];
    let root = crate::root().unwrap();
    let files = files();
    let top: BTreeSet<_> = files.iter().filter_map(|path| path.split('/').next()).collect();
    check(|document| {
        let words = document.code.iter().flat_map(|code| code.split(' '));
        let is_path = |word: &&str| {
            let (first, rest) = word.split_once('/').unwrap_or((word, ""));
            let is_name = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
            word.chars().all(is_name)
                && (top.contains(first) && !rest.is_empty()
                    || ENDS.iter().any(|end| word.ends_with(end)))
        };
        let is_missing = |word: &&str| {
            let below = format!("/{}/", word.trim_end_matches('/'));
            let is_below = |path: &String| format!("/{path}/").contains(&below);
            !root.join(&document.path).with_file_name(word).exists() && !files.iter().any(is_below)
        };
        words
            .filter(is_path)
            .filter(is_missing)
            .map(|word| format!("no such file: {word}"))
            .collect()
    });
}

#[test]
fn names_in_documents_exist() {
    let sources = sources();
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let known: BTreeSet<_> = sources.split(|c| !is_word(c)).collect();
    check(|document| {
        let names = document.code.iter().map(|code| code.split('(').next().unwrap());
        let names = names.filter(|name| name.chars().all(|c| is_word(c) || c == ':'));
        let names = names.filter(|name| name.contains(|c: char| c == '_' || c.is_uppercase()));
        let unknown = names.filter(|name| !known.contains(name.rsplit(':').next().unwrap()));
        unknown.map(|name| format!("no such name: {name}")).collect()
    });
}

#[test]
fn each_fault_has_a_test_that_runs() {
    let sources = sources();
    let faults = read("docs/reliability.md");
    check(|document| {
        let tests = document.code.iter().filter(|_| document.path == "docs/reliability.md");
        let tests =
            tests.filter_map(|test| test.rsplit_once("::").filter(|(_, name)| name.contains('_')));
        let is_missing = |name: &&str| {
            let before = sources.split_once(&format!("fn {name}(")).map(|(before, _)| before);
            let attributes = before.and_then(|before| before.rsplit("\n\n").next());
            let is_run = |text: &str| {
                ["test]", "::test("].iter().any(|mark| text.contains(mark))
                    && !text.contains("#[ignore")
            };
            !attributes.is_some_and(is_run)
        };
        let missing = tests.map(|(_, name)| name).filter(is_missing);
        missing.map(|name| format!("no such test, or it is ignored: {name}")).collect()
    });
    for comment in sources.split("// Fault").skip(1).filter_map(|rest| rest.lines().next()) {
        for number in
            comment.split(|c: char| !c.is_ascii_digit()).filter(|number| !number.is_empty())
        {
            assert!(faults.contains(&format!("\n| {number} | ")), "no such fault: {comment}");
        }
    }
}

#[test]
fn commands_in_documents_exist() {
    let files = files();
    let sources = sources();
    let gate = read(".ci/run");
    let mut command = bird_sms_cli::arguments();
    let mut xtask = crate::Args::command();
    command.build();
    xtask.build();
    let is_target = |name: &str| {
        let is_file = |end: &str| files.iter().any(|path| path.ends_with(&format!("/{name}{end}")));
        let in_manifest = [format!("name = \"{name}\""), format!("\n{name} = [")];
        is_file(".rs")
            || is_file("/main.rs")
            || in_manifest.iter().any(|text| sources.contains(text))
    };
    let cargo = |words: &[&str]| {
        const TAKE_NAMES: [&str; 6] =
            ["-p", "--example", "--bench", "--test", "--bin", "--features"];
        let names = words.windows(2).filter(|pair| TAKE_NAMES.contains(&pair[0]));
        let mut names = names.flat_map(|pair| pair[1].split(',')).filter(|name| *name != "NAME");
        names.find(|name| !is_target(name)).map(ToOwned::to_owned)
    };
    check(|document| {
        let commands = document.code.iter().flat_map(|line| line.split(['|', ';', '{', '}']));
        let problem = |text: &str| {
            let words: Vec<_> = text.split_whitespace().take_while(|word| *word != "#").collect();
            let run = words
                .iter()
                .position(|word| *word == "--")
                .filter(|_| words.contains(&"bird-sms-cli"));
            match words[..] {
                ["cargo", "run", ..] if run.is_some() => {
                    cargo(&words).or(unknown(&command, &words[run? + 1..]))
                }
                ["cargo", "xtask", ref rest @ ..] => unknown(&xtask, rest),
                ["cargo", ref rest @ ..] => cargo(rest),
                ["bird-sms", ref rest @ ..] => unknown(&command, rest),
                [".ci/run", ref sections @ ..] => {
                    let sections = sections.iter().filter(|section| **section != "SECTION");
                    let mut sections =
                        sections.filter(|section| !gate.contains(&format!("\n{section}() ")));
                    sections.next().map(ToString::to_string)
                }
                _ => None,
            }
        };
        let problems = commands.filter_map(|text| Some(format!("{text}: {}", problem(text)?)));
        problems.collect()
    });
}

/// Returns the first word that is neither a subcommand nor an option of a command.
fn unknown(mut command: &clap::Command, words: &[&str]) -> Option<String> {
    for (nth, word) in words.iter().enumerate() {
        if let Some(sub) = command.find_subcommand(word) {
            command = sub;
        } else if let Some(option) = word.strip_prefix("--") {
            let option = option.split('=').next();
            let mut arguments = command.get_arguments();
            if !arguments
                .any(|argument| argument.get_long() == option || argument.is_trailing_var_arg_set())
            {
                return Some((*word).to_owned());
            }
        } else if nth == 0 && word.chars().all(|c| c.is_ascii_lowercase() || c == '-') {
            return Some((*word).to_owned());
        }
    }
    None
}
