//! The longer parts of `--help`. clap wraps them, so each paragraph is one line.

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
  bird-sms help scenarios    What each sender needs, and where the IDs come from";

/// Returns the text that follows the options in the long help.
pub(crate) fn long() -> String {
    let mut text = EXAMPLES.to_owned() + "\n\nExit codes:\n";
    for code in Code::ALL {
        let _ = writeln!(text, "  {:<4} {}", code as u8, code.meaning());
    }
    text.push_str(
        "\nThe access key is read from BIRD_ACCESS_KEY or --access-key-file. It can't be an argument, because process \
         lists show arguments.",
    );
    text
}

pub(crate) const CHECK: &str = "\
Check the access key, the workspace and the connection, without creating anything

Sends one GET for a connector with a random ID. The response shows whether the key works and may view connectors, and \
whether the workspace ID and the API URL are right. It doesn't show whether the key may create connectors.

With a phone number, also reads its state and requirements, and shows what it still needs before it can send.

Exits with 3 if Bird refuses a setting or the number isn't ready to send, with 4 if Bird can't be reached, and with 7 \
if the response, such as a 503, shows nothing about the settings.";

pub(crate) const CHECK_EXAMPLES: &str = "\
Examples:
  bird-sms check
  bird-sms check --json --access-key-file ~/.config/bird-key
  bird-sms check --phone-number +31612345678";

pub(crate) const INSTALL: &str = "\
Install an SMS channel and print its ID

Creates a connector, and polls it until Bird has provisioned its channel. If that takes longer than --timeout, the \
error contains the ID of the connector, and `bird-sms wait` can continue.

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

The columns are name and either phone_number_id or phone_number. Optional columns are use_case_id, \
channel_message_type and conversational (true or false). JSON Lines use the same names. --use-case-id, \
--channel-message-type and --conversational apply to rows without a value. All rows are checked before any is sent.

After an interruption, a crash or a failure, run the same command again. It skips rows that are ready, waits for \
connectors that exist, and sends refused rows again. If the outcome of a row is unknown, the connector is looked up by \
its phone number. If it isn't found, the row is reported and not sent again, because that could create a second \
connector.

With --json, each event is a JSON line on stderr. `failed`: a row failed. `warning`: another connector may exist for a \
number. `unknown`: the outcome of a row is unknown; the event has the commands that settle it. `not-in-journal`: the \
journal could not store a row; the event has what is known about its connector. `note`: a message about the journal.";

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

The columns are number, country, type, ID and connector. If stdout isn't a terminal, they are separated by tabs. A \
number with `none shown` may still have a connector, because Bird doesn't document when one is shown.

With --json, each line is a JSON object with the fields phoneNumberId, phoneNumber, country, type and connectorIds.

With --rows, the output is CSV for `bird-sms batch`. It has the long code numbers that may send SMS and show no \
connector.";

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
The environment variables of bird-sms. Command-line options override them.

Bird:
  BIRD_ACCESS_KEY    Access key
  BIRD_WORKSPACE_ID  ID of the workspace (UUID)
  BIRD_API_URL       Base URL of the API

Network:
  HTTPS_PROXY, ALL_PROXY       Proxy, such as http://user:password@proxy:3128
  NO_PROXY                     Hosts that need no proxy, in addition to loopback
  SSL_CERT_FILE, SSL_CERT_DIR  CA certificates (Linux and BSD only)

Output:
  NO_COLOR   Any value turns colors off
  TERM       `dumb` turns colors off, and prints progress as lines
  RUST_LOG   Filter of the log on stderr, such as bird_sms=debug";
