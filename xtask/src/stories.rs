//! Runs the stories of CONTRIBUTING.md: each block of shell code, and each edit, in their order.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

/// Serves a connector whose number has a carrier, and returns the URL.
fn serve_connector() -> String {
    let mut connector: serde_json::Value =
        serde_json::from_str(include_str!("../../contract/responses/getConnector-1.json")).unwrap();
    connector["number"]["carrier"] = "KPN".into();
    let body = connector.to_string();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\
                 content-length: {}\r\n\r\n{body}",
                body.len(),
            );
        }
    });
    url
}

/// Makes an edit: the lines with ` ` and `-` become those with ` ` and `+`.
fn edit(root: &Path, diff: &str) {
    let (file, lines) = diff.strip_prefix("--- ").unwrap().split_once('\n').unwrap();
    let side = |mark: char| -> String {
        let lines = lines.lines().filter_map(|line| line.strip_prefix([' ', mark]));
        lines.flat_map(|line| [line, "\n"]).collect()
    };
    let text = fs::read_to_string(root.join(file)).unwrap();
    assert_eq!(text.matches(&side('-')).count(), 1, "{file} has this once:\n{}", side('-'));
    fs::write(root.join(file), text.replace(&side('-'), &side('+'))).unwrap();
}

/// Runs each command of a block, and asserts that it prints the lines of the comments after it.
fn run(root: &Path, url: &str, target: &Path, block: &str) {
    let mut lines = block.lines().peekable();
    while let Some(command) = lines.next() {
        if command.starts_with('#') {
            continue;
        }
        let mut expected = Vec::new();
        while let Some(line) = lines.next_if(|line| line.starts_with("#    ")) {
            expected.push(line.trim_start_matches(['#', ' ']));
        }
        eprintln!("$ {command}");
        let mut bash = Command::new("bash");
        bash.current_dir(root).args(["-c", &format!("exec 2>&1; {command}")]);
        bash.env("CARGO_TARGET_DIR", target).env("BIRD_API_URL", url).env("BIRD_ACCESS_KEY", "key");
        let id = "00000000-0000-4000-8000-00006df15c51";
        let output = bash.env("BIRD_WORKSPACE_ID", id).env("CONNECTOR_ID", id).output().unwrap();
        let code = format!("exit code {}\n", output.status.code().unwrap());
        let text = code.clone() + &String::from_utf8(output.stdout).unwrap();
        for line in &expected {
            assert!(text.contains(line), "no `{line}` in: {text}");
        }
        let may_fail = expected.iter().any(|line| line.starts_with("exit code"));
        assert!(may_fail || code == "exit code 0\n", "{text}");
    }
}

#[test]
#[ignore = "takes minutes; the gate runs it"]
fn the_stories_of_contributing_are_true() {
    let root = crate::root().unwrap();
    // The clone has a target folder of its own, which stays for the next run: in that of the checkout, cargo would
    // take the programs of the clone for those of the checkout.
    let folder = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().join("stories");
    let (clone, target) = (folder.join("clone"), folder.join("target"));
    let _ = fs::remove_dir_all(&clone);
    let git = |folder: &Path, args: &[&str]| {
        crate::command::succeed(Command::new("git").current_dir(folder).args(args)).unwrap();
    };
    git(&root, &["clone", "--quiet", ".", clone.to_str().unwrap()]);
    let url = serve_connector();
    let document = fs::read_to_string(root.join("CONTRIBUTING.md")).unwrap();
    let (_, section) = document.split_once("\n## When the API changes\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let mut blocks = 0;
    for story in section.split("\n### ").skip(1) {
        eprintln!("-- {}", story.lines().next().unwrap());
        for block in story.split("```").skip(1).step_by(2) {
            match block.split_once('\n').unwrap() {
                ("sh", commands) => run(&clone, &url, &target, commands),
                ("diff", diff) => edit(&clone, diff),
                (language, _) => panic!("{language}"),
            }
            blocks += 1;
        }
        git(&clone, &["checkout", "--quiet", "."]);
        git(&clone, &["clean", "--quiet", "--force", "-d"]);
    }
    assert!(blocks >= 8, "{blocks} blocks");
}
