//! The longer parts of `--help`. clap wraps them, so a paragraph is one line.

use std::fmt::Write as _;

use crate::exit::Code;

pub(crate) const ABOUT: &str =
    "Install SMS channels in Bird (formerly MessageBird) workspaces, and never lose a connector";

pub(crate) const EXAMPLES: &str = "\
Examples:
  bird-sms check
  bird-sms install --name \"My SMS channel\" --phone-number-id UUID --use-case-id UUID
  bird-sms install --sandbox --name Demo --phone-number-id UUID

Help topics:
  bird-sms help COMMAND      A command and its options
  bird-sms help environment  The environment variables
  bird-sms help scenarios    What each sender needs, and where the ids come from";

/// Returns the end of the long help.
pub(crate) fn long() -> String {
    let mut text = EXAMPLES.to_owned() + "\n\nExit codes:\n";
    for code in Code::ALL {
        let _ = writeln!(text, "  {:<4} {}", code as u8, code.meaning());
    }
    text.push_str(
        "\nThe access key comes from BIRD_ACCESS_KEY or --access-key-file, never from an argument: process lists show \
         arguments.",
    );
    text
}

pub(crate) const CHECK: &str = "\
Check the access key, the workspace and the connection; creates nothing

Sends one GET with a random connector ID. The response shows whether the key, its role, its policy for `view`, the \
workspace ID and the API URL are right. It doesn't show whether the key may create connectors.

With a phone number, its state and requirements are read as well, to show what it lacks before it can send.

The exit code is 3 if Bird refuses a setting or the number lacks something, 4 if Bird was not reached, and 7 if the \
response tells nothing about the settings, such as a 503.";

pub(crate) const CHECK_EXAMPLES: &str = "\
Examples:
  bird-sms check
  bird-sms check --json --access-key-file ~/.config/bird-key
  bird-sms check --phone-number +31612345678";

pub(crate) const INSTALL: &str = "\
Install an SMS channel and print its ID

Creates a connector, and polls it until Bird has provisioned its channel. If that takes longer than --timeout, the \
error has the ID of the connector, and `bird-sms wait` continues.

`bird-sms numbers` and `bird-sms use-cases` list the IDs. `bird-sms help scenarios` describes what each sender needs.";

pub(crate) const INSTALL_EXAMPLES: &str = "\
Examples:
  bird-sms install --name \"My SMS channel\" --phone-number-id UUID --use-case-id UUID
  bird-sms install --name Alerts --phone-number +31612345678 --timeout 5m --json
  bird-sms install --name Alerts --phone-number-id UUID --no-wait";

pub(crate) const WAIT_EXAMPLES: &str = "\
Examples:
  bird-sms wait CONNECTOR_ID
  bird-sms wait CONNECTOR_ID --timeout 10m --poll-interval 2s";

pub(crate) const BATCH: &str = "\
Install many SMS channels from a file, as fast as the rate limits allow

The columns are name, phone_number_id or phone_number, and optionally use_case_id, channel_message_type and \
conversational (true or false). JSON Lines have fields of these names. --use-case-id, --channel-message-type and \
--conversational are for rows without a value. All rows are checked before anything is sent.

After an interruption, a crash or a failure, run the same command again. Ready rows are skipped, connectors that exist \
are waited for, and refused rows are sent again. Rows whose outcome is unknown are looked up at their number. If the \
connector isn't found there, they are reported and left alone, because another request may create a second connector.

With --json, stderr has a line for each `event`: `warning` if another connector may exist for a number, `unknown` for a \
row whose outcome is unknown, with the commands that settle it, and `not-in-journal` for a row that the journal could \
not store, with what is known about its connector.";

pub(crate) const BATCH_EXAMPLES: &str = "\
Examples:
  bird-sms batch numbers.csv --journal run.jsonl --dry-run
  bird-sms batch numbers.csv --journal run.jsonl --out outcomes.csv
  bird-sms batch numbers.csv --journal run.jsonl --adopt PHONE_NUMBER_ID=CONNECTOR_ID";

pub(crate) const CONNECTOR_EXAMPLES: &str = "\
Examples:
  bird-sms connector CONNECTOR_ID
  bird-sms connector CONNECTOR_ID --json";

pub(crate) const NUMBERS: &str = "\
List the numbers of the workspace, with their IDs and connectors

The columns are number, country, type, ID and connector. They are separated by tabs unless stdout is a terminal. `none \
shown` doesn't mean that a number is free: Bird doesn't document when a connector is shown.

With --json, each line is an object with phoneNumberId, phoneNumber, country, type and connectorIds.

With --rows, the output is CSV for `bird-sms batch`: the long code numbers that show no connector and may send SMS.";

pub(crate) const NUMBERS_EXAMPLES: &str = "\
Examples:
  bird-sms numbers
  bird-sms numbers --sandbox
  bird-sms numbers --rows >rows.csv";

pub(crate) const USE_CASES_EXAMPLES: &str = "\
Examples:
  bird-sms use-cases
  bird-sms use-cases --json";

pub(crate) const SANDBOX_EXAMPLES: &str = "\
Examples:
  bird-sms sandbox
  bird-sms sandbox --fault post:503x2 --fault get:reset@3 --provisioning-delay 5s
  bird-sms sandbox --fault random:7:20";

pub(crate) const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  bird-sms completions bash >~/.local/share/bash-completion/completions/bird-sms
  bird-sms completions zsh >~/.zfunc/_bird-sms
  bird-sms completions fish >~/.config/fish/completions/bird-sms.fish";

/// The topic `scenarios`. Its lines fit a terminal of 80 columns.
pub(crate) const SCENARIOS: &str = include_str!("scenarios.md");

pub(crate) const ENVIRONMENT: &str = "\
The environment variables of bird-sms. An option overrides its variable.

Bird:
  BIRD_ACCESS_KEY    Access key
  BIRD_WORKSPACE_ID  ID of the workspace (UUID)
  BIRD_API_URL       Base URL of the API

Network:
  HTTPS_PROXY, ALL_PROXY       Proxy, such as http://user:password@proxy:3128
  NO_PROXY                     Hosts to reach without the proxy, and loopback
  SSL_CERT_FILE, SSL_CERT_DIR  CA certificates, on Linux and BSD

Output:
  NO_COLOR   Any value: no colors
  TERM       `dumb`: no colors, and progress as lines
  RUST_LOG   What to log to stderr, such as bird_sms=debug";
