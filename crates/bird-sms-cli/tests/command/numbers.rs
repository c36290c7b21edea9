//! `bird-sms numbers` and `use-cases`, and phone numbers in place of their ids.

use std::time::Duration;

use bird_sandbox::Sandbox;
use bird_test_peer::fixtures::CONNECTOR_ID as CONNECTOR;
use bird_test_peer::{Peer, Reply, refused_url};
use serde_json::Value;

use crate::rows::{Rows, at};
use crate::{bird_sms, in_sandbox, run};

const NUMBER: &str = "+31612345678";
const ID: &str = "00000000-0000-4000-8000-031612345678";

async fn sandbox(numbers: &[&str]) -> Sandbox {
    let builder = Sandbox::builder().provisioning_delay(Duration::ZERO);
    let builder = numbers.iter().fold(builder, |builder, number| builder.number(number));
    builder.start().await.unwrap()
}

/// Runs a command that succeeds and prints nothing but its result.
async fn printed(sandbox: &Sandbox, args: &[&str]) -> String {
    let (code, stdout, stderr) = run(in_sandbox(sandbox, args)).await;
    assert_eq!((code, stderr.as_str()), (0, ""), "{args:?}");
    stdout
}

#[tokio::test]
async fn every_number_is_printed_with_tabs_in_a_pipe_or_as_json() {
    let numbers: Vec<_> = (100..350).map(|n| format!("+31612345{n}")).collect();
    let sandbox = sandbox(&numbers.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let text = printed(&sandbox, &["numbers"]).await;
    // A short code and a sender are in the list as well.
    assert_eq!(text.lines().count(), 252, "{text}");
    let first = "+31612345100\tNL\tmobile\t00000000-0000-4000-8000-031612345100\tnone shown";
    assert_eq!(text.lines().next().unwrap(), first);
    assert!(text.contains("\nExample\t\talpha-number\t"), "{text}");
    let json = printed(&sandbox, &["numbers", "--json"]).await;
    assert_eq!(json.lines().count(), 252);
    let object: Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&object["phoneNumber"], &object["country"], &object["type"]),
        (&"+31612345100".into(), &"NL".into(), &"mobile".into())
    );
    assert_eq!(object["connectorIds"], Value::Array(Vec::new()));
    assert!(!text.contains("free"));
}

#[tokio::test]
async fn a_first_look_needs_no_account() {
    for args in [
        &["numbers", "--sandbox"][..],
        &["numbers", "--rows", "--sandbox"],
        &["use-cases", "--sandbox"],
    ] {
        let (code, stdout, stderr) = run(bird_sms(args)).await;
        assert!(code == 0 && stderr.is_empty() && stdout.lines().count() > 1, "{args:?}: {stderr}");
    }
}

/// The story of the README: from an account to all its channels.
#[tokio::test]
async fn the_rows_of_the_numbers_install_all_of_them_once() {
    let sandbox = Sandbox::builder().provisioning_delay(Duration::ZERO).start().await.unwrap();
    let rows = Rows::of(&printed(&sandbox, &["numbers", "--rows"]).await);
    assert_eq!(rows.count, 10);
    let (code, stdout, stderr) = rows.run(&sandbox, &[]).await;
    assert!(code == 0 && stdout.starts_with("10 of 10 rows ready"), "{stdout}{stderr}");
    assert_eq!(sandbox.connectors()[0].name, "SMS +12025550101");
    let after = printed(&sandbox, &["numbers"]).await;
    for connector in sandbox.connectors() {
        let (number, id) = (&connector.phone_number_id, connector.id);
        assert!(after.contains(&format!("\t{number}\t{id}\n")), "{after}");
    }
    assert_eq!(after.matches("none shown").count(), 2, "the short code and the sender: {after}");
    assert_eq!(printed(&sandbox, &["numbers", "--rows"]).await, "name,phone_number_id\n");
}

#[tokio::test]
async fn rows_have_each_number_once_and_none_that_is_used_or_has_no_sms() {
    let number = |n: u8, sms: bool, dependency: &str| {
        format!(
            r#"{{"id": "{ID}{n}", "endpointId": "{ID}{n}", "numberString": "+3161234567{n}", "countryCode": "NL",
            "capabilities": {{"sms": {{"inbound": {sms}, "outbound": {sms}}}}}, "createdAt": "2025-01-21T01:43:10Z",
            "updatedAt": "2025-01-21T01:43:10Z", "endpoint": {{"dependencies": [{dependency}]}}}}"#
        )
        .replace(&format!("{ID}{n}"), &format!("{}{n}", &ID[..ID.len() - 1]))
    };
    let used = format!(r#"{{"type": "connector", "connectorId": "{CONNECTOR}"}}"#);
    let numbers = [
        number(1, true, ""),
        number(1, true, ""),
        number(2, false, ""),
        number(3, true, &used),
        number(4, true, r#"{"type": "flow"}"#),
    ];
    let page = format!(r#"{{"results": [{}]}}"#, numbers.join(","));
    let peer = Peer::script([Reply::json(200, page)]).await.unwrap();
    let (code, stdout, stderr) = run(at(&peer.base_url(), &["numbers", "--rows"])).await;
    assert_eq!(code, 0, "{stderr}");
    let names: Vec<_> = stdout.lines().map(|row| row.split(',').next().unwrap()).collect();
    assert_eq!(names, ["name", "SMS +31612345671", "SMS +31612345674"]);
}

#[tokio::test]
async fn the_use_cases_are_printed_with_their_ids() {
    let sandbox = sandbox(&[]).await;
    let text = printed(&sandbox, &["use-cases"]).await;
    assert_eq!(
        text.lines().next().unwrap().split('\t').skip(1).collect::<Vec<_>>(),
        ["One-time passwords", "created"]
    );
    let json = printed(&sandbox, &["use-cases", "--json"]).await;
    let object: Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert!(text.starts_with(object["useCaseId"].as_str().unwrap()), "{text}{json}");
}

#[tokio::test]
async fn a_list_that_is_refused_is_3_and_one_that_fails_is_4_with_nothing_on_stdout() {
    for (reply, code, hint) in [
        (Reply::status(403), 3, "must allow `view` on /workspaces/*/numbers-long-code."),
        (Reply::status(401), 3, "Check the access key"),
        (Reply::status(503), 4, "Retry later"),
        (Reply::json(200, "{}"), 4, "Check that the API URL is Bird's"),
    ] {
        let peer = Peer::with_handler(move |_| reply.clone()).await.unwrap();
        let args = ["numbers", "--timeout", "1s", "--json"];
        let (ended, stdout, stderr) = run(at(&peer.base_url(), &args)).await;
        assert_eq!((ended, stdout.as_str()), (code, ""), "{stderr}");
        let error: Value = serde_json::from_str(stderr.lines().last().unwrap()).unwrap();
        assert!(error["hint"].as_str().unwrap().contains(hint), "{stderr}");
        assert_eq!(
            (&error["exitCode"], &error["connectorState"]),
            (&code.into(), &"not-created".into())
        );
    }
    let (code, _, _) =
        run(at(&refused_url().await.unwrap(), &["use-cases", "--timeout", "1s"])).await;
    assert_eq!(code, 4);
}

#[tokio::test]
async fn a_list_of_senders_that_is_refused_is_a_warning() {
    let peer = Peer::with_handler(|request| {
        let is_long = request.path.contains("long-code");
        if is_long { Reply::json(200, r#"{"results": []}"#) } else { Reply::status(403) }
    });
    let (code, stdout, stderr) = run(at(&peer.await.unwrap().base_url(), &["numbers"])).await;
    assert_eq!((code, stdout.as_str()), (0, ""), "{stderr}");
    assert!(stderr.contains("Warning: the short codes could not be read"), "{stderr}");
}

#[tokio::test]
async fn a_phone_number_is_installed_by_its_digits_and_longer_ones_are_not_it() {
    let sandbox = sandbox(&["+316123456789", NUMBER]).await;
    let install = ["install", "--name", "n", "--phone-number", NUMBER];
    let (code, _, stderr) = run(in_sandbox(&sandbox, &install)).await;
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(sandbox.connectors()[0].phone_number_id, ID);
    for (number, problem) in [
        ("+3161234567", "has no long code number +3161234567; it has +31612345678, +316123456789"),
        ("+49301234567", "has no long code number +49301234567; `bird-sms numbers` lists"),
        ("31612345678", "is not a phone number such as +31612345678"),
        ("+31 612345678", "is not a phone number such as +31612345678"),
    ] {
        let args = ["install", "--name", "n", "--phone-number", number];
        let (code, stdout, stderr) = run(in_sandbox(&sandbox, &args)).await;
        assert_eq!((code, stdout.as_str()), (2, ""), "{stderr}");
        assert!(stderr.contains(problem), "{stderr}");
    }
    assert_eq!(sandbox.post_count(), 1);
    let (code, _, stderr) = run(bird_sms(&["sandbox", "--number", "0612345678"])).await;
    assert!(code == 2 && stderr.contains("is not a phone number such as"), "{stderr}");
}

#[tokio::test]
async fn an_install_that_does_not_wait_prints_the_connector_and_wait_continues() {
    let sandbox = Sandbox::builder().provisioning_delay(Duration::from_millis(300));
    let sandbox = sandbox.start().await.unwrap();
    let install = ["install", "--name", "n", "--phone-number-id", ID, "--no-wait"];
    let (code, id, stderr) = run(in_sandbox(&sandbox, &install)).await;
    assert!(code == 0 && stderr.contains(id.trim()), "{stderr}");
    assert!(!stderr.contains("Waiting"), "{stderr}");
    assert_eq!(id.trim(), sandbox.connectors()[0].id.to_string());
    assert_eq!(sandbox.get_count(), 0);
    let channel = sandbox.connectors()[0].channel_id.to_string();
    let (code, waited, stderr) = run(in_sandbox(&sandbox, &["wait", id.trim()])).await;
    assert_eq!((code, waited.trim()), (0, &*channel), "{stderr}");
    let peer = Peer::script([Reply::Close]).await.unwrap();
    let (code, stdout, _) = run(at(&peer.base_url(), &install)).await;
    assert_eq!((code, stdout.as_str(), peer.posts()), (5, "", 1));
}

#[tokio::test]
async fn the_phone_numbers_of_a_batch_are_looked_up_before_anything_is_created() {
    let sandbox = sandbox(&["+316123456789", NUMBER]).await;
    let rows = Rows::of(&format!("name,phone_number\nx,{NUMBER}\ny,+31699999999\n"));
    for more in [&[][..], &["--dry-run"]] {
        let (code, stdout, stderr) = rows.run(&sandbox, more).await;
        assert_eq!((code, stdout.as_str()), (2, ""), "{stderr}");
        let problem = "line 3: the workspace has no long code number +31699999999";
        assert!(stderr.contains(problem), "{stderr}");
    }
    assert!(sandbox.post_count() == 0 && !rows.path("j.jsonl").exists());
    let rows = Rows::of(&format!("name,phone_number\nx,{NUMBER}\n"));
    let (code, _, stderr) = rows.run(&sandbox, &["--use-case-id", CONNECTOR]).await;
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(sandbox.connectors()[0].phone_number_id, ID);
    assert!(sandbox.requests().iter().any(|request| request.body.contains(CONNECTOR)));
    // The same command resumes.
    let (code, stdout, _) = rows.run(&sandbox, &["--use-case-id", CONNECTOR]).await;
    assert!(code == 0 && stdout.contains("1 before this run"), "{stdout}");
    assert_eq!(sandbox.post_count(), 1);
}

#[tokio::test]
async fn a_check_of_a_number_says_what_it_lacks_and_what_uses_it() {
    let builder = Sandbox::builder().number(NUMBER).require_use_case(ID.parse().unwrap());
    let sandbox = builder.provisioning_delay(Duration::ZERO).start().await.unwrap();
    let check = ["check", "--phone-number", NUMBER];
    let (code, stdout, stderr) = run(in_sandbox(&sandbox, &check)).await;
    assert_eq!((code, stderr.as_str()), (3, ""), "{stdout}");
    let missing =
        "\nMissing: requirement use-case-sms (use-case) is unsatisfied: A use case is missing\n";
    assert!(stdout.contains(missing), "{stdout}");
    let install = ["install", "--name", "n", "--phone-number-id", ID, "--use-case-id", CONNECTOR];
    assert_eq!(run(in_sandbox(&sandbox, &install)).await.0, 0);
    let id = sandbox.connectors()[0].id;
    let stdout = printed(&sandbox, &["check", "--phone-number-id", ID]).await;
    assert!(stdout.contains(&format!("`bird-sms wait {id}`")), "{stdout}");
    assert!(stdout.ends_with("\nNothing is known to be missing.\n"), "{stdout}");
    let stdout = printed(&sandbox, &["check", "--phone-number-id", ID, "--json"]).await;
    let object: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(object["number"]["connectorIds"][0], id.to_string());
    assert_eq!(object["number"]["missing"], Value::Array(Vec::new()));
}

#[tokio::test]
async fn what_cannot_be_read_about_a_number_is_a_warning_and_unknown() {
    let number = |state: &str| {
        format!(
            r#"{{"id": "{ID}", "endpointId": "{ID}", "numberString": "{NUMBER}", "countryCode": "NL", "capabilities": {{}},
            "createdAt": "2025-01-21T01:43:10Z", "updatedAt": "2025-01-21T01:43:10Z", "endpoint": {{"capabilities":
            [{{"name": "sms", "outbound": {{"status": "{state}", "issues": ["unpaid"]}}}}]}}}}"#
        )
    };
    let not_found = || Reply::json(404, r#"{"message": "Connector not found"}"#);
    let empty = Reply::json(200, r#"{"results": []}"#);
    let (ok, active) = (Reply::json(200, number("active")), "Nothing is known to be missing.");
    for (detail, requirements, code, shown, warning) in [
        (ok.clone(), empty.clone(), 0, active, ""),
        (ok.clone(), Reply::status(404), 0, "Note: its requirements are unknown", "HTTP 404"),
        (ok, Reply::json(200, "[]"), 0, "Note: its requirements are unknown", "HTTP 200, and"),
        (
            Reply::status(403),
            empty.clone(),
            0,
            "Note: the state of the number is unknown",
            "must allow `view` on /workspaces/*/numbers-long-code/*.",
        ),
        (
            Reply::json(200, number("inactive")),
            empty.clone(),
            3,
            "Missing: sms-outbound is inactive: unpaid",
            "",
        ),
        (
            Reply::json(200, number("dormant")),
            empty.clone(),
            0,
            "Note: sms-outbound is dormant: unpaid",
            "",
        ),
    ] {
        let peer = Peer::script([not_found(), detail, requirements]).await.unwrap();
        let args = ["check", "--phone-number-id", ID];
        let (ended, stdout, stderr) = run(at(&peer.base_url(), &args)).await;
        assert_eq!(ended, code, "{stdout}{stderr}");
        assert!(stdout.contains(shown) && stderr.contains(warning), "{stdout}{stderr}");
        assert_eq!(stderr.is_empty(), warning.is_empty(), "{stderr}");
    }
}
