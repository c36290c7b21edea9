//! The texts of `--help` that are longer than an option. clap wraps them, so that a paragraph is one line.

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

/// Returns what follows the options in the long help.
pub(crate) fn long() -> String {
    let mut text = EXAMPLES.to_owned() + "\n\nExit codes:\n";
    for code in Code::ALL {
        let _ = writeln!(text, "  {:<4} {}", code as u8, code.meaning());
    }
    text.push_str(
        "\nThe access key is read from BIRD_ACCESS_KEY or --access-key-file, and never from an argument, because \
         process lists show arguments.",
    );
    text
}

pub(crate) const CHECK: &str = "\
Check the access key, the workspace and the connection, and create nothing

One GET of a random connector id is sent. The response shows whether the key, its role, its policy for `view`, the \
workspace id and the API URL are right. It does not show whether the key may create connectors.

With a phone number, its state and its requirements are read as well: what is known to be missing before it can send.

The exit code is 3 if Bird refuses a setting or something is missing, 4 if Bird was not reached, and 7 if the response says nothing about the \
settings, such as a 503.";

pub(crate) const CHECK_EXAMPLES: &str = "\
Examples:
  bird-sms check
  bird-sms check --json --access-key-file ~/.config/bird-key
  bird-sms check --phone-number +31612345678";

pub(crate) const INSTALL: &str = "\
Install an SMS channel and print its id

A connector is created, and polled until Bird has provisioned its channel. If that takes longer than --timeout, the \
error has the id of the connector, and `bird-sms wait` resumes.

`bird-sms numbers` and `bird-sms use-cases` list the ids. `bird-sms help scenarios` describes what each sender needs.";

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

The columns are name, phone_number_id or phone_number, and, if they are needed, use_case_id, channel_message_type and conversational \
(true or false). A JSON line has fields of these names. All rows are checked before anything is sent.

The journal is JSON Lines. After an interruption, a crash or a failure, run the same command again. Rows that are \
ready are skipped, connectors that exist are waited for, and refused rows are sent again. Rows whose outcome is \
unknown are looked up at their number. If the connector isn't found, they are reported and left alone, because a second \
request may create a second connector.

With --json, stderr has a line for each of these events: `warning` if another connector may exist for the \
phoneNumberId; `unknown` for a row whose outcome is unknown, with line, name, phoneNumberId, sentAt and the commands \
adopt and retry; and `not-in-journal` if the journal could not be written, with connectorState, connectorId, channelId \
and error of the row.";

pub(crate) const BATCH_EXAMPLES: &str = "\
Examples:
  bird-sms batch numbers.csv --journal run.jsonl --dry-run
  bird-sms batch numbers.csv --journal run.jsonl --out outcomes.csv
  bird-sms batch numbers.csv --journal run.jsonl --adopt NUMBER_ID=CONNECTOR_ID";

pub(crate) const CONNECTOR_EXAMPLES: &str = "\
Examples:
  bird-sms connector CONNECTOR_ID
  bird-sms connector CONNECTOR_ID --json";

pub(crate) const NUMBERS: &str = "\
List the numbers of the workspace, with their ids and connectors

Aligned columns on a terminal, and tabs in a pipe: number, country, type, id, connector. `none shown` does not mean that a \
number is free, because Bird does not document when a connector is shown.

With --json, each line is an object with phoneNumberId, phoneNumber, country, type and connectorIds.

With --rows, the output is a CSV file for `bird-sms batch`: the long code numbers that show no connector, and whose \
capabilities do not exclude SMS.";

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
