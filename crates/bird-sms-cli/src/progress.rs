//! What is told on the way: a spinner on a terminal, plain lines elsewhere, nothing with `--json`.

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bird_sms::{ConnectorId, Event};
use indicatif::ProgressBar;

/// What is known of the connector at this moment, for who has to stop here.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Stage {
    /// Nothing was sent yet.
    #[default]
    Start,
    /// The POST is under way, or was.
    Creating,
    /// The connector exists.
    Created(ConnectorId),
}

#[derive(Clone)]
pub(crate) struct Progress {
    stage: Arc<Mutex<Stage>>,
    show: Show,
}

#[derive(Clone)]
enum Show {
    Nothing,
    Lines,
    Spinner(ProgressBar),
}

impl Progress {
    pub(crate) fn new(json: bool) -> Self {
        let show = if json {
            Show::Nothing
        } else if io::stderr().is_terminal() {
            let spinner = ProgressBar::new_spinner();
            spinner.enable_steady_tick(Duration::from_millis(100));
            Show::Spinner(spinner)
        } else {
            Show::Lines
        };
        Self { stage: Arc::default(), show }
    }

    /// For a connector that exists already.
    pub(crate) fn of_connector(self, id: ConnectorId) -> Self {
        self.set(Stage::Created(id));
        self.say(&format!("Waiting for the channel of connector {id} …"));
        self
    }

    pub(crate) fn stage(&self) -> Stage {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, stage: Stage) {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = stage;
    }

    pub(crate) fn observe(&self, event: &Event) {
        match event {
            Event::Creating { attempt: 1 } => {
                self.set(Stage::Creating);
                self.passing("Creating the connector …");
            }
            Event::Created { connector_id } => {
                self.set(Stage::Created(*connector_id));
                self.say(&format!("Created connector {connector_id}"));
                self.passing("Waiting for its channel …");
            }
            Event::Polled { polls, waited } => {
                let (plural, seconds) = (if *polls == 1 { "" } else { "s" }, waited.as_secs_f64());
                self.passing(&format!(
                    "Waiting for its channel … ({polls} look{plural}, {seconds:.1} s)"
                ));
            }
            Event::Retrying { after, reason } => {
                self.say(&format!("Trying again in {:.1} s: {reason}", after.as_secs_f64()));
            }
            Event::Ready { .. } => self.say("The channel is there"),
            _ => {}
        }
    }

    /// A line that stays.
    fn say(&self, line: &str) {
        match &self.show {
            Show::Nothing => {}
            Show::Lines => {
                let _ = writeln!(io::stderr(), "{line}");
            }
            Show::Spinner(spinner) => spinner.suspend(|| {
                let _ = writeln!(io::stderr(), "{line}");
            }),
        }
    }

    /// A line that the next one replaces, where that can be done.
    fn passing(&self, line: &str) {
        match &self.show {
            Show::Spinner(spinner) => spinner.set_message(line.to_owned()),
            _ => self.say(line),
        }
    }

    pub(crate) fn finish(&self) {
        if let Show::Spinner(spinner) = &self.show {
            spinner.finish_and_clear();
        }
    }
}
