//! The access key, typed where something else belongs. Fault 43.

use bird_sandbox::Sandbox;
use bird_test_peer::fixtures::{
    CONNECTOR_ID, PHONE_NUMBER_ID as NUMBER, USE_CASE_ID, WORKSPACE_ID,
};

use crate::{bird_sms, in_sandbox, run};

const KEY: &str = "Zq7xW2mK9vLp4RtY8sNb3HcJ6dFg5QaXe1UoT0iM";

// Fault 79.
#[tokio::test]
async fn the_key_is_never_printed_back_wherever_it_was_typed() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let install = ["install", "--name", "n", "--phone-number-id", NUMBER];
    let batch = ["batch", "rows.csv", "--journal", "j.jsonl"];
    let cases: [&[&str]; 12] = [
        &[KEY],
        &["install", "--name", KEY, "--phone-number-id", NUMBER, "--json"],
        &[&install[..], &["--access-key-file", KEY]].concat(),
        &[&install[..], &["--workspace-id", KEY, "--json"]].concat(),
        &[&install[..], &["--api-url", KEY]].concat(),
        &["wait", KEY, "--json"],
        &["batch", "key.csv", "--journal", "j.jsonl", "--out", "-"],
        &["batch", "type.csv", "--journal", "j.jsonl"],
        &["batch", "header.csv", "--journal", "j.jsonl", "--json"],
        &["batch", "field.jsonl", "--journal", "j.jsonl"],
        &["batch", "rows.csv", "--journal", KEY],
        &[&batch[..], &["--adopt", KEY, "--json"]].concat(),
    ];
    for args in cases {
        let folder = tempfile::tempdir().unwrap();
        let write = |name, text: String| std::fs::write(folder.path().join(name), text).unwrap();
        write("rows.csv", format!("name,phone_number_id\nn,{NUMBER}\n"));
        write("key.csv", format!("name,phone_number_id\n{KEY},{NUMBER}\nn,{KEY}\n"));
        let rows = format!("m,{USE_CASE_ID},{KEY}\no,{CONNECTOR_ID},");
        write(
            "type.csv",
            format!("name,phone_number_id,channel_message_type\nn,{NUMBER},\n{rows}\n"),
        );
        write("header.csv", format!("name,{KEY}\n"));
        write("field.jsonl", format!("{{\"{KEY}\":1}}\n"));
        let mut command = bird_sms(args);
        command.current_dir(folder.path()).env("BIRD_API_URL", sandbox.base_url());
        // It is found in upper and lower case.
        let key = if args.contains(&"--json") { KEY.to_uppercase() } else { KEY.to_owned() };
        command.env("BIRD_ACCESS_KEY", key).env("BIRD_WORKSPACE_ID", WORKSPACE_ID);
        let (code, stdout, stderr) = run(command).await;
        assert_eq!(code, 2, "{args:?}");
        assert!(stderr.contains("contains the access key"), "{args:?}: {stderr}");
        let shown = format!("{stdout}{stderr}");
        assert!(!shown.contains(KEY), "{args:?}: {shown}");
        let names = std::fs::read_dir(folder.path()).unwrap();
        assert_eq!(names.count(), 5, "{args:?} made a file");
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

#[tokio::test]
async fn an_error_is_json_whatever_the_key_is() {
    for key in ["x", "exitCode"] {
        let mut command = bird_sms(&["wait", "not-an-id", "--json"]);
        command.env("BIRD_ACCESS_KEY", key).env("BIRD_WORKSPACE_ID", WORKSPACE_ID);
        let (code, _, stderr) = run(command).await;
        let error: serde_json::Value = serde_json::from_str(&stderr).unwrap();
        assert_eq!((code, &error["exitCode"]), (2, &2.into()), "{stderr}");
    }
}

#[tokio::test]
async fn a_key_that_looks_like_a_part_of_an_id_refuses_no_id() {
    let sandbox = Sandbox::builder().access_key(&NUMBER[..13]).start().await.unwrap();
    let args = ["install", "--name", "n", "--phone-number-id", NUMBER, "--json"];
    let (code, stdout, stderr) = run(in_sandbox(&sandbox, &args)).await;
    assert_eq!(code, 0, "{stderr}");
    let channel: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert!(channel["channelId"].is_string(), "{stdout}");
}
