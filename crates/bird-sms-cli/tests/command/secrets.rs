//! The access key, typed where something else belongs. Fault 43.

use bird_sandbox::Sandbox;
use bird_test_peer::fixtures::{PHONE_NUMBER_ID as NUMBER, WORKSPACE_ID};

use crate::{bird_sms, run};

const KEY: &str = "Zq7xW2mK9vLp4RtY8sNb3HcJ6dFg5QaXe1UoT0iM";

/// Commands with the key in place of one argument each.
fn commands() -> Vec<Vec<&'static str>> {
    let install = ["install", "--name", "n", "--phone-number-id", NUMBER, "--timeout", "1s"];
    let mut commands = vec![
        vec!["install", "--name", KEY, "--phone-number-id", NUMBER],
        vec!["install", "--name", "n", "--phone-number-id", KEY],
        vec!["wait", KEY],
        vec!["connector", KEY],
        vec!["batch", KEY, "--journal", "j.jsonl"],
        vec!["batch", "rows.csv", "--journal", KEY],
        vec!["batch", "key.csv", "--journal", "j.jsonl", "--out", "-"],
        vec!["batch", "header.csv", "--journal", "j.jsonl"],
        vec!["sandbox", "--listen", KEY],
        vec!["sandbox", "--provisioning-delay", KEY],
        vec!["sandbox", "--fault", KEY],
        vec!["completions", KEY],
        vec![KEY],
    ];
    for option in [
        "--use-case-id",
        "--channel-message-type",
        "--conversational",
        "--workspace-id",
        "--api-url",
        "--access-key-file",
        "--poll-interval",
        "--retry-create",
        "--no-such-option",
    ] {
        commands.push(install.iter().copied().chain([option, KEY]).collect());
    }
    commands.push(vec!["install", "--name", "n", "--phone-number-id", NUMBER, "--timeout", KEY]);
    for option in ["--out", "--adopt", "--posts-per-second", "--gets-per-second", "--concurrency"] {
        commands.push(vec!["batch", "rows.csv", "--journal", "j.jsonl", option, KEY]);
    }
    commands
}

#[tokio::test]
async fn the_key_is_never_printed_back_wherever_it_was_typed() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    for in_environment in [true, false] {
        for args in commands() {
            for json in [false, true] {
                let folder = tempfile::tempdir().unwrap();
                let write = |name, text: String| std::fs::write(folder.path().join(name), text);
                write("rows.csv", format!("name,phone_number_id\nn,{NUMBER}\n")).unwrap();
                write("key.csv", format!("name,phone_number_id\n{KEY},{NUMBER}\nn,{KEY}\n"))
                    .unwrap();
                write("header.csv", format!("name,{KEY}\n")).unwrap();
                let mut command = bird_sms(&args);
                if json {
                    command.arg("--json");
                }
                command.current_dir(folder.path()).env("BIRD_API_URL", sandbox.base_url());
                command.env("BIRD_WORKSPACE_ID", WORKSPACE_ID);
                if in_environment {
                    command.env("BIRD_ACCESS_KEY", KEY);
                }
                let (code, stdout, stderr) = run(command).await;
                assert_ne!(code, 0, "{args:?}");
                let shown = format!("{stdout}{stderr}");
                assert!(!shown.contains(KEY), "{args:?}: {shown}");
                let names = std::fs::read_dir(folder.path()).unwrap();
                for name in names.map(|entry| entry.unwrap().file_name().into_string().unwrap()) {
                    assert_ne!(name, KEY, "{args:?} made a file");
                }
            }
        }
    }
}

#[tokio::test]
async fn the_key_of_a_file_is_not_printed_and_names_neither_a_file_nor_a_connector() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let (journal, rows) = (format!("nodir/{KEY}.jsonl"), format!("{KEY}.csv"));
    for args in [
        ["batch", "rows.csv", "--journal", &journal, "--out", "-"],
        ["batch", &rows, "--journal", "j.jsonl", "--out", "-"],
        ["batch", "rows.csv", "--journal", "j.jsonl", "--out", &rows],
        ["batch", "named.csv", "--journal", "j.jsonl", "--out", "-"],
    ] {
        let folder = tempfile::tempdir().unwrap();
        let write = |name, text: String| std::fs::write(folder.path().join(name), text).unwrap();
        write("key", format!("{KEY}\n"));
        write("rows.csv", format!("name,phone_number_id\nn,{NUMBER}\n"));
        write("named.csv", format!("name,phone_number_id\n{KEY},{NUMBER}\n"));
        let mut command = bird_sms(&args);
        command.args(["--access-key-file", "key", "--workspace-id", WORKSPACE_ID]);
        command.current_dir(folder.path()).env("BIRD_API_URL", sandbox.base_url());
        let (code, stdout, stderr) = run(command).await;
        assert_eq!((code, sandbox.post_count()), (2, 0), "{args:?}: {stderr}");
        assert!(!format!("{stdout}{stderr}").contains(KEY), "{args:?}: {stderr}");
        assert!(!folder.path().join(&rows).exists(), "{args:?}");
    }
}
