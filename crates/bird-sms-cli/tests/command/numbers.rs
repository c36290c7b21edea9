//! Tests of `bird-sms numbers` and `use-cases`, and of phone numbers that are given instead of ids.

use std::time::Duration;

use bird_sandbox::Sandbox;
use bird_test_peer::fixtures::CONNECTOR_ID as CONNECTOR;
use bird_test_peer::{Peer, Reply, refused_url};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::{Rows, bird_sms, call, peer, replies, run, sandbox, started};

const NUMBER: &str = "+31612345678";
const ID: &str = "00000000-0000-4000-8000-031612345678";

async fn with_numbers(numbers: &[&str]) -> Sandbox {
    numbers.iter().fold(sandbox(), |builder, number| builder.number(number)).start().await.unwrap()
}

/// Runs a command, which must succeed and print nothing to stderr, and returns its stdout.
async fn printed(sandbox: &Sandbox, args: &[&str]) -> String {
    call(sandbox, args).await.code(0).says_nothing().stdout
}

#[tokio::test]
async fn numbers_are_printed_with_tabs_in_a_pipe_or_as_json() {
    let numbers: Vec<_> = (100..350).map(|n| format!("+31612345{n}")).collect();
    let sandbox = with_numbers(&numbers.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let text = printed(&sandbox, &["numbers"]).await;
    // The list also has a short code and an alphanumeric sender.
    assert_eq!(text.lines().count(), 252, "{text}");
    let first = "+31612345100\tNL\tmobile\t00000000-0000-4000-8000-031612345100\tnone shown";
    assert_eq!(text.lines().next().unwrap(), first);
    assert!(text.contains("\nExample\t\talpha-number\t") && !text.contains("free"), "{text}");
    let json = printed(&sandbox, &["numbers", "--json"]).await;
    assert_eq!(json.lines().count(), 252);
    let object: Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    let fields =
        ["phoneNumber", "country", "type", "connectorIds"].map(|name| object[name].clone());
    assert_eq!(fields, [json!("+31612345100"), json!("NL"), json!("mobile"), json!([])]);
}

#[tokio::test]
async fn listing_in_the_embedded_sandbox_needs_no_account() {
    for args in [&["numbers"][..], &["numbers", "--rows"], &["use-cases"]] {
        let end = run(bird_sms(&[args, &["--sandbox"]].concat())).await.code(0).says_nothing();
        assert!(end.stdout.lines().count() > 1, "{end}");
    }
}

/// Follows the example in the README: `numbers --rows` prints the rows that a batch installs.
#[tokio::test]
async fn the_rows_from_numbers_install_each_number_once() {
    let sandbox = started("").await;
    let rows = Rows::of(&printed(&sandbox, &["numbers", "--rows"]).await);
    rows.run(&sandbox, &[]).await.code(0).prints("10 of 10 rows ready");
    assert_eq!(sandbox.connectors()[0].name, "SMS +12025550101");
    let after = printed(&sandbox, &["numbers"]).await;
    for connector in sandbox.connectors() {
        let number = &connector.phone_number_id;
        let id = connector.id;
        assert!(after.contains(&format!("\t{number}\t{id}\n")), "{after}");
    }
    assert_eq!(after.matches("none shown").count(), 2, "only the short code and sender: {after}");
    assert_eq!(printed(&sandbox, &["numbers", "--rows"]).await, "name,phone_number_id\n");
}

#[tokio::test]
async fn rows_omit_duplicate_used_and_non_sms_numbers() {
    let number = |n: u8, sms: bool, dependencies: Value| {
        let id = format!("{}{n}", &ID[..ID.len() - 1]);
        json!({
            "id": id, "endpointId": id, "numberString": format!("+3161234567{n}"), "countryCode": "NL",
            "capabilities": {"sms": {"inbound": sms, "outbound": sms}}, "createdAt": "2025-01-21T01:43:10Z",
            "updatedAt": "2025-01-21T01:43:10Z", "endpoint": {"dependencies": dependencies},
        })
    };
    let numbers = json!({"results": [
        number(1, true, json!([])),
        number(1, true, json!([])),
        number(2, false, json!([])),
        number(3, true, json!([{"type": "connector", "connectorId": CONNECTOR}])),
        number(4, true, json!([{"type": "flow"}])),
    ]});
    let peer = peer([Reply::json(200, numbers.to_string())]).await;
    let end = call(&peer, &["numbers", "--rows"]).await.code(0);
    let names: Vec<_> = end.stdout.lines().map(|row| row.split(',').next().unwrap()).collect();
    assert_eq!(names, ["name", "SMS +31612345671", "SMS +31612345674"]);
}

#[tokio::test]
async fn the_use_cases_are_printed_with_their_ids() {
    let sandbox = started("").await;
    let text = printed(&sandbox, &["use-cases"]).await;
    let cells: Vec<_> = text.lines().next().unwrap().split('\t').collect();
    assert_eq!(cells[1..], ["One-time passwords", "created"]);
    let json = printed(&sandbox, &["use-cases", "--json"]).await;
    let object: Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!(object["useCaseId"], cells[0]);
}

#[tokio::test]
async fn a_refused_list_exits_with_3_and_a_failed_one_with_4() {
    let replies = [
        (Reply::status(403), 3, "must allow `view` on /workspaces/*/numbers-long-code."),
        (Reply::status(401), 3, "Check the access key"),
        (Reply::status(503), 4, "Retry later"),
        (Reply::json(200, "{}"), 4, "Check that the API URL is Bird's"),
    ];
    join_all(replies.map(async |(reply, code, hint)| {
        let peer = self::replies(reply.clone(), reply).await;
        let args = ["numbers", "--timeout", "1s", "--json"];
        let error = call(&peer, &args).await.code(code).prints_nothing().error();
        assert!(error["hint"].as_str().unwrap().contains(hint), "{error}");
        assert_eq!(
            (&error["exitCode"], &error["connectorState"]),
            (&json!(code), &json!("not-created"))
        );
    }))
    .await;
    call(&refused_url().await.unwrap(), &["use-cases", "--timeout", "1s"]).await.code(4);
}

#[tokio::test]
async fn a_refused_sender_list_only_causes_a_warning() {
    let peer = Peer::with_handler(|request| {
        let is_long = request.path.contains("long-code");
        if is_long { Reply::json(200, r#"{"results": []}"#) } else { Reply::status(403) }
    });
    let end = call(&peer.await.unwrap(), &["numbers"]).await.code(0).prints_nothing();
    end.says("Warning: the short codes could not be read");
}

#[tokio::test]
async fn a_phone_number_is_matched_by_all_its_digits() {
    let sandbox = with_numbers(&["+316123456789", NUMBER]).await;
    call(&sandbox, &["install", "--name", "n", "--phone-number", NUMBER]).await.code(0);
    assert_eq!(sandbox.connectors()[0].phone_number_id, ID);
    for (number, problem) in [
        ("+3161234567", "has no long code number +3161234567; it has +31612345678, +316123456789"),
        ("+49301234567", "has no long code number +49301234567; `bird-sms numbers` with"),
        ("31612345678", "is not a phone number such as +31612345678"),
        ("+31 612345678", "is not a phone number such as +31612345678"),
    ] {
        let args = ["install", "--name", "n", "--phone-number", number];
        call(&sandbox, &args).await.code(2).prints_nothing().says(problem);
    }
    assert_eq!(sandbox.post_count(), 1);
    let end = run(bird_sms(&["sandbox", "--number", "0612345678"])).await.code(2);
    end.says("is not a phone number such as");
}

#[tokio::test]
async fn an_install_with_no_wait_prints_the_id_that_wait_takes() {
    let sandbox = sandbox().provisioning_delay(Duration::from_millis(300)).start().await.unwrap();
    let install = ["install", "--name", "n", "--phone-number-id", ID, "--no-wait"];
    let end = call(&sandbox, &install).await.code(0).hides("Waiting");
    let stored = &sandbox.connectors()[0];
    let id = stored.id.to_string();
    assert_eq!((end.stdout.trim(), sandbox.get_count()), (&*id, 0));
    end.says(&id);
    call(&sandbox, &["wait", &id]).await.code(0).prints(&stored.channel_id.to_string());
    let peer = peer([Reply::Close]).await;
    call(&peer, &install).await.code(5).prints_nothing();
    assert_eq!(peer.posts(), 1);
}

#[tokio::test]
async fn batch_phone_numbers_are_looked_up_before_anything_is_created() {
    let sandbox = with_numbers(&["+316123456789", NUMBER]).await;
    let rows = Rows::of(&format!("name,phone_number\nx,{NUMBER}\ny,+31699999999\n"));
    for more in [&[][..], &["--dry-run"]] {
        let problem = "line 3: the workspace has no long code number +31699999999";
        rows.run(&sandbox, more).await.code(2).prints_nothing().says(problem);
    }
    assert!(sandbox.post_count() == 0 && !rows.path("j.jsonl").exists());
    rows.write("numbers.csv", &format!("name,phone_number\nx,{NUMBER}\n"));
    rows.run(&sandbox, &["--use-case-id", CONNECTOR]).await.code(0);
    assert_eq!(sandbox.connectors()[0].phone_number_id, ID);
    assert!(sandbox.requests().iter().any(|request| request.body.contains(CONNECTOR)));
    // The same command resumes the batch.
    let end = rows.run(&sandbox, &["--use-case-id", CONNECTOR]).await.code(0);
    end.prints("1 before this run");
    assert_eq!(sandbox.post_count(), 1);
}

#[tokio::test]
async fn a_check_of_a_number_shows_what_it_lacks_and_what_uses_it() {
    let sandbox = sandbox().number(NUMBER).require_use_case(ID.parse().unwrap());
    let sandbox = sandbox.start().await.unwrap();
    let end = call(&sandbox, &["check", "--phone-number", NUMBER]).await.code(3).says_nothing();
    end.prints(
        "\nMissing: requirement use-case-sms (use-case) is unsatisfied: A use case is missing\n",
    );
    let install = ["install", "--name", "n", "--phone-number-id", ID, "--use-case-id", CONNECTOR];
    call(&sandbox, &install).await.code(0);
    let id = sandbox.connectors()[0].id;
    let check = ["check", "--phone-number-id", ID];
    let end = call(&sandbox, &check).await.code(0).says_nothing();
    end.prints(&format!("`bird-sms wait {id}`")).prints("\nNothing is known to be missing.\n");
    let object = call(&sandbox, &[&check[..], &["--json"]].concat()).await.code(0).object();
    let number = json!([object["number"]["connectorIds"], object["number"]["missing"]]);
    assert_eq!(number, json!([[id], []]));
}

#[tokio::test]
async fn a_check_of_a_number_warns_about_failed_reads() {
    let number = |state: &str| {
        let number = json!({
            "id": ID, "endpointId": ID, "numberString": NUMBER, "countryCode": "NL", "capabilities": {},
            "createdAt": "2025-01-21T01:43:10Z", "updatedAt": "2025-01-21T01:43:10Z", "endpoint": {"capabilities":
            [{"name": "sms", "outbound": {"status": state, "issues": ["unpaid"]}}]},
        });
        Reply::json(200, number.to_string())
    };
    let empty = || Reply::json(200, r#"{"results": []}"#);
    let unknown = "Note: its requirements are unknown";
    let path = "must allow `view` on /workspaces/*/numbers-long-code/*.";
    for (detail, requirements, code, shown, warning) in [
        (number("active"), empty(), 0, "Nothing is known to be missing.", ""),
        (number("active"), Reply::status(404), 0, unknown, "HTTP 404"),
        (number("active"), Reply::json(200, "[]"), 0, unknown, "HTTP 200, but"),
        (Reply::status(403), empty(), 0, "Note: the state of the number is unknown", path),
        (Reply::status(404), Reply::status(404), 7, unknown, "HTTP 404"),
        (number("inactive"), empty(), 3, "Missing: sms-outbound is inactive: unpaid", ""),
        (number("dormant"), empty(), 0, "Note: sms-outbound is dormant: unpaid", ""),
    ] {
        let not_found = Reply::json(404, r#"{"message": "Connector not found"}"#);
        let peer = peer([not_found, detail, requirements]).await;
        let end = call(&peer, &["check", "--phone-number-id", ID]).await.code(code).prints(shown);
        assert!(code != 7 || !end.stdout.contains("missing"), "{}", end.stdout);
        assert_eq!(end.says(warning).stderr.is_empty(), warning.is_empty(), "{shown}");
    }
}
