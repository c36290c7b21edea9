//! Tests of an access key that was typed where something else belongs: fault 43 in docs/reliability.md.

use bird_test_peer::fixtures::{
    CONNECTOR_ID, PHONE_NUMBER_ID as NUMBER, USE_CASE_ID, WORKSPACE_ID,
};

use crate::harness::{Rows, bird_sms, call, run, sandbox, started};

const KEY: &str = "Zq7xW2mK9vLp4RtY8sNb3HcJ6dFg5QaXe1UoT0iM";

// Fault 79 in docs/reliability.md.
#[tokio::test]
async fn a_key_in_the_wrong_place_is_refused_and_never_printed() {
    let sandbox = started("").await;
    let install = ["install", "--name", "n", "--phone-number-id", NUMBER];
    let batch = ["batch", "numbers.csv", "--journal", "j.jsonl"];
    let journal = format!("nodir/{KEY}.jsonl");
    let out = format!("{KEY}.csv");
    let cases: [&[&str]; 16] = [
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
        &["batch", "numbers.csv", "--journal", KEY],
        &[&batch[..], &["--adopt", KEY, "--json"]].concat(),
        // In the last cases, the command reads its key from a file.
        &["batch", "numbers.csv", "--journal", &journal, "--access-key-file", "key"],
        &["batch", &out, "--journal", "j.jsonl", "--access-key-file", "key"],
        &[&batch[..], &["--out", &out, "--access-key-file", "key"]].concat(),
        &["batch", "key.csv", "--journal", "j.jsonl", "--access-key-file", "key"],
    ];
    for args in cases {
        let rows = Rows::of(&format!("name,phone_number_id\nn,{NUMBER}\n"));
        rows.write("key", &format!("{KEY}\n"));
        rows.write("key.csv", &format!("name,phone_number_id\n{KEY},{NUMBER}\nn,{KEY}\n"));
        let types = format!("n,{NUMBER},\nm,{USE_CASE_ID},{KEY}\no,{CONNECTOR_ID},\n");
        rows.write("type.csv", &format!("name,phone_number_id,channel_message_type\n{types}"));
        rows.write("header.csv", &format!("name,{KEY}\n"));
        rows.write("field.jsonl", &format!("{{\"{KEY}\":1}}\n"));
        let mut command = rows.command(&sandbox, args);
        // The key is found even if it was typed in another case.
        let key = if args.contains(&"--json") { KEY.to_uppercase() } else { KEY.to_owned() };
        if args.contains(&"key") {
            command.env_remove("BIRD_ACCESS_KEY");
        } else {
            command.env("BIRD_ACCESS_KEY", key);
        }
        run(command).await.code(2).says("contains the access key").hides(KEY);
        let names = std::fs::read_dir(rows.folder()).unwrap();
        assert_eq!(names.count(), 6, "{args:?} created a file");
    }
    assert!(sandbox.requests().is_empty());
}

#[tokio::test]
async fn a_key_that_occurs_in_a_field_name_does_not_break_the_json() {
    for key in ["x", "exitCode"] {
        let mut command = bird_sms(&["wait", "not-an-id", "--json"]);
        command.env("BIRD_ACCESS_KEY", key).env("BIRD_WORKSPACE_ID", WORKSPACE_ID);
        assert_eq!(run(command).await.code(2).error()["exitCode"], 2);
    }
}

#[tokio::test]
async fn a_key_that_equals_part_of_an_id_is_allowed() {
    let sandbox = sandbox().access_key(&NUMBER[..13]).start().await.unwrap();
    let args = ["install", "--name", "n", "--phone-number-id", NUMBER, "--json"];
    let mut command = crate::harness::at(&sandbox, &args);
    command.env("BIRD_ACCESS_KEY", &NUMBER[..13]);
    assert!(run(command).await.code(0).object()["channelId"].is_string());
    call(&sandbox, &args).await.code(3);
}
