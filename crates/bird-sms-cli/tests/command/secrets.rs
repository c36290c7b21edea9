//! The access key, typed where something else belongs. Fault 43.

use bird_sandbox::Sandbox;
use bird_test_peer::fixtures::{PHONE_NUMBER_ID as NUMBER, WORKSPACE_ID};

use crate::{bird_sms, run};

const KEY: &str = "Zq7xW2mK9vLp4RtY8sNb3HcJ6dFg5QaXe1UoT0iM";

#[tokio::test]
async fn the_key_is_never_printed_back_wherever_it_was_typed() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let install = ["install", "--name", "n", "--phone-number-id", NUMBER];
    let batch = ["batch", "rows.csv", "--journal", "j.jsonl"];
    let cases: [&[&str]; 10] = [
        &[KEY],
        &["install", "--name", KEY, "--phone-number-id", NUMBER, "--json"],
        &[&install[..], &["--access-key-file", KEY]].concat(),
        &[&install[..], &["--workspace-id", KEY, "--json"]].concat(),
        &[&install[..], &["--api-url", KEY]].concat(),
        &["wait", KEY, "--json"],
        &["batch", "key.csv", "--journal", "j.jsonl", "--out", "-"],
        &["batch", "header.csv", "--journal", "j.jsonl", "--json"],
        &["batch", "rows.csv", "--journal", KEY],
        &[&batch[..], &["--adopt", KEY, "--json"]].concat(),
    ];
    for args in cases {
        let folder = tempfile::tempdir().unwrap();
        let write = |name, text: String| std::fs::write(folder.path().join(name), text).unwrap();
        write("rows.csv", format!("name,phone_number_id\nn,{NUMBER}\n"));
        write("key.csv", format!("name,phone_number_id\n{KEY},{NUMBER}\nn,{KEY}\n"));
        write("header.csv", format!("name,{KEY}\n"));
        let mut command = bird_sms(args);
        command.current_dir(folder.path()).env("BIRD_API_URL", sandbox.base_url());
        command.env("BIRD_ACCESS_KEY", KEY).env("BIRD_WORKSPACE_ID", WORKSPACE_ID);
        let (code, stdout, stderr) = run(command).await;
        assert_ne!(code, 0, "{args:?}");
        let shown = format!("{stdout}{stderr}");
        assert!(!shown.contains(KEY), "{args:?}: {shown}");
        assert!(!folder.path().join(KEY).exists(), "{args:?} made a file");
    }
    assert_eq!(sandbox.post_count(), 0);
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
