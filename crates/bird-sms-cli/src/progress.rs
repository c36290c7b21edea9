//! The progress of one install: a spinner on a terminal, plain lines elsewhere, and JSON lines with `--json`.

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bird_sms::{ConnectorId, ConnectorState, Event};
use indicatif::ProgressBar;

use crate::json::to_json;

#[derive(Clone)]
pub(crate) struct Progress {
    /// What is known about the connector, for a command that a signal ends.
    state: Arc<Mutex<ConnectorState>>,
    display: Display,
}

#[derive(Clone)]
enum Display {
    Json,
    Lines,
    Spinner(ProgressBar),
}

impl Progress {
    pub(crate) fn new(json: bool) -> Self {
        let display = if json {
            Display::Json
        } else if io::stderr().is_terminal() {
            let spinner = ProgressBar::new_spinner();
            spinner.enable_steady_tick(Duration::from_millis(100));
            Display::Spinner(spinner)
        } else {
            Display::Lines
        };
        Self { state: Arc::default(), display }
    }

    /// Shows the wait for a connector that exists.
    pub(crate) fn of_connector(self, id: ConnectorId) -> Self {
        self.set(ConnectorState::Exists(id));
        self.print(&format!("Waiting for the channel of connector {id} …"));
        self
    }

    pub(crate) fn state(&self) -> ConnectorState {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, state: ConnectorState) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    pub(crate) fn observe(&self, event: &Event) {
        if let Some(state) = event.connector_state() {
            self.set(state);
        }
        if let (Display::Json, Event::Created { .. }) = (&self.display, event) {
            // A process that is killed prints nothing more.
            let _ = writeln!(io::stderr(), "{}", to_json(event));
        }
        match event {
            Event::Creating { attempt: 1 } => self.print_status("Creating the connector …"),
            Event::Created { connector_id, warning } => {
                self.print(&format!("Created connector {connector_id}"));
                if let Some(warning) = warning {
                    self.print(&format!("Warning: {warning}. {}", warning.help()));
                }
                self.print_status("Waiting for the channel …");
            }
            Event::Polled { polls, waited } => {
                let (plural, seconds) = (if *polls == 1 { "" } else { "s" }, waited.as_secs_f64());
                self.print_status(&format!(
                    "Waiting for the channel … ({polls} poll{plural}, {seconds:.1} s)"
                ));
            }
            Event::Retrying { after, reason } => {
                self.print(&format!("Retrying in {:.1} s: {reason}", after.as_secs_f64()));
            }
            Event::Ready { .. } => self.print("The channel is ready"),
            _ => {}
        }
    }

    /// Prints a line that is not replaced.
    fn print(&self, line: &str) {
        match &self.display {
            Display::Json => {}
            Display::Lines => {
                let _ = writeln!(io::stderr(), "{line}");
            }
            Display::Spinner(spinner) => spinner.suspend(|| {
                let _ = writeln!(io::stderr(), "{line}");
            }),
        }
    }

    /// Prints a line that the next status replaces on a terminal.
    fn print_status(&self, line: &str) {
        match &self.display {
            Display::Spinner(spinner) => spinner.set_message(line.to_owned()),
            Display::Json | Display::Lines => self.print(line),
        }
    }

    pub(crate) fn finish(&self) {
        if let Display::Spinner(spinner) = &self.display {
            spinner.finish_and_clear();
        }
    }
}
