//! Tests of help, the version, completions, colors and `--quiet`.

use bird_test_peer::fixtures::{CONNECTOR_ID, PHONE_NUMBER_ID};

use crate::harness::{bird_sms, call, run, started};

const SUBCOMMANDS: [&str; 9] = [
    "check",
    "install",
    "wait",
    "batch",
    "connector",
    "numbers",
    "use-cases",
    "sandbox",
    "completions",
];

/// Runs the command, which must succeed, and returns what it prints.
async fn printed(args: &[&str]) -> String {
    run(bird_sms(args)).await.code(0).says_nothing().stdout
}

#[tokio::test]
async fn each_subcommand_has_short_and_long_help_with_examples() {
    for subcommand in SUBCOMMANDS {
        let short = printed(&[subcommand, "-h"]).await;
        let long = printed(&["help", subcommand]).await;
        assert!(short.lines().count() <= long.lines().count(), "{subcommand}");
        for help in [short, long] {
            let example = format!("Examples:\n  bird-sms {subcommand}");
            assert!(help.contains(&example), "{help}");
        }
    }
    assert!(!printed(&["-h"]).await.contains("Exit codes:"));
    assert!(printed(&["--help"]).await.contains("Exit codes:"));
}

#[tokio::test]
async fn each_help_topic_is_listed_and_fits_a_narrow_terminal() {
    let environment = ["BIRD_ACCESS_KEY", "HTTPS_PROXY", "SSL_CERT_FILE", "NO_COLOR", "RUST_LOG"];
    let scenarios = ["US 10DLC", "bird-sms use-cases", "422", "unproven", "https://docs.bird.com/"];
    for (topic, parts) in [("environment", environment), ("scenarios", scenarios)] {
        for help in ["-h", "--help", "help"] {
            let listed = format!("  bird-sms help {topic} ");
            assert!(printed(&[help]).await.contains(&listed), "{help}, {topic}");
        }
        let text = printed(&["help", topic]).await;
        for part in parts {
            assert!(text.contains(part), "no {part:?} in {text}");
        }
        let is_wide = |line: &&str| line.chars().count() > 80 && !line.contains("https://docs");
        assert_eq!(text.lines().find(is_wide), None);
        assert_eq!(printed(&[topic]).await.trim(), text.trim());
    }
}

#[tokio::test]
async fn an_option_that_does_nothing_for_a_subcommand_is_refused() {
    for args in [
        &["completions", "bash", "--timeout", "1s"][..],
        &["sandbox", "--retry-create", "never"],
        &["connector", "x", "--poll-interval", "1s"],
        &["check", "--quiet"],
    ] {
        run(bird_sms(args)).await.code(2).says("unexpected argument");
    }
    // Fault 94 in docs/reliability.md.
    for subcommand in ["wait", "connector"] {
        let end = run(bird_sms(&[subcommand, CONNECTOR_ID, "--sandbox"])).await.code(2);
        end.says("cannot be used with '--sandbox'");
        assert!(!printed(&[subcommand, "--help"]).await.contains("--sandbox"));
    }
}

#[tokio::test]
async fn the_version_may_include_a_commit_and_its_date() {
    let version = printed(&["--version"]).await;
    let rest = version.trim_end().strip_prefix(concat!("bird-sms ", env!("CARGO_PKG_VERSION")));
    if let Some(commit) = rest.expect(&version).strip_prefix(" (") {
        let (hash, date) = commit.strip_suffix(')').unwrap().split_once(' ').unwrap();
        assert!(hash.len() >= 9 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{version}");
        assert_eq!(date.len(), "2025-01-21".len(), "{version}");
    }
}

#[tokio::test]
async fn completions_include_options() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(printed(&["completions", shell]).await.contains("phone-number-id"), "{shell}");
    }
}

#[tokio::test]
async fn a_pipe_gets_no_colors_unless_color_is_always() {
    for (color, colored) in [("auto", false), ("always", true), ("never", false)] {
        let args = ["numbers", "--sandbox", "-vv", "--color", color];
        let end = run(bird_sms(&args)).await.code(0);
        assert!(!end.stderr.is_empty());
        assert_eq!(end.stderr.contains('\u{1b}'), colored, "{color}: {end}");
        assert!(!end.stdout.contains('\u{1b}'));
    }
}

#[tokio::test]
async fn a_quiet_install_prints_only_the_connector_and_channel_ids() {
    let args = ["install", "--quiet", "--name", "x", "--phone-number-id", PHONE_NUMBER_ID];
    let end = call(&started("").await, &args).await.code(0).says("Created connector ");
    assert_eq!((end.stdout.lines().count(), end.stderr.lines().count()), (1, 1), "{end}");
}
