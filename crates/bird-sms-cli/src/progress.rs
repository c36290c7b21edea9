//! The progress of one install.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bird_sms::{ConnectorId, Event, Warning};
use indicatif::ProgressBar;

use crate::display::{Display, Style};
use crate::json::to_json;

#[derive(Clone)]
pub(crate) struct Progress {
    /// True after a poll returned the connector.
    seen: Arc<AtomicBool>,
    /// False with `--no-wait`.
    waits: bool,
    display: Display,
}

impl Progress {
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        let display = Display::new(json, quiet, "{elapsed} ", ProgressBar::new_spinner());
        display.start();
        Self { seen: Arc::default(), waits: true, display }
    }

    /// Sets whether the command waits for the channel. If not, no wait is shown.
    pub(crate) fn waits(self, waits: bool) -> Self {
        Self { waits, ..self }
    }

    /// Shows that the command waits for the channel of a connector that already exists.
    pub(crate) fn of_connector(self, id: ConnectorId) -> Self {
        self.print_status(&format!("Waiting for the channel of connector {id}…"));
        self
    }

    pub(crate) fn is_seen(&self) -> bool {
        self.seen.load(Ordering::Relaxed)
    }

    pub(crate) fn observe(&self, event: &Event) {
        match event {
            Event::LookingUp => {
                self.print_status("Looking up the connector by its phone number…");
            }
            Event::Creating { attempt: 1 } => self.print_status("Creating the connector…"),
            Event::Created { connector_id, warning } => {
                self.print_created(event, *connector_id, *warning);
                if self.waits {
                    self.print_status("Waiting for the channel…");
                }
            }
            Event::Polled { polls, waited } => {
                self.seen.store(true, Ordering::Relaxed);
                let plural = if *polls == 1 { "" } else { "s" };
                let seconds = waited.as_secs_f64();
                let status = format!("Waiting for the channel… ({polls} poll{plural}");
                // On a terminal, the line already shows the elapsed seconds.
                if !self.display.set_status(&format!("{status})")) {
                    self.display.print(&format!("{status}, {seconds:.1} s)"));
                }
            }
            Event::Retrying { after, reason, .. } => {
                self.display.print(&format!("Retrying in {:.1} s: {reason}", after.as_secs_f64()));
            }
            Event::Ready { .. } => self.display.print("The channel is ready"),
            _ => {}
        }
    }

    /// Prints the id of a new connector in every style, because a process that is killed can no longer print it.
    fn print_created(&self, event: &Event, connector_id: ConnectorId, warning: Option<Warning>) {
        if self.display.style == Style::Json {
            return self.display.print_always(&to_json(event));
        }
        self.display.print_always(&format!("Created connector {connector_id}"));
        if let Some(warning) = warning {
            self.display.print_always(&format!("Warning: {warning}. {}", warning.hint()));
        }
    }

    /// Prints that the command received a signal and waits for the request in flight.
    pub(crate) fn print_stopping(&self) {
        self.display.print(
            "Stopping: waiting for the request in flight. Press Ctrl-C again to exit without waiting.",
        );
    }

    /// Prints a status line. On a terminal, the next status replaces it.
    fn print_status(&self, line: &str) {
        if !self.display.set_status(line) {
            self.display.print(line);
        }
    }

    pub(crate) fn finish(&self) {
        self.display.finish();
    }
}
