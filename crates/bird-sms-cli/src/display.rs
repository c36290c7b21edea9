//! Output to stderr while a command runs.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::print_message;

/// How output is shown on stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Only output that must not be lost, as JSON lines.
    Json,
    /// Only output that must not be lost, as lines of text.
    Quiet,
    /// Lines of text, for a pipe, a file or a terminal that cannot move its cursor.
    Lines,
    /// A status line that is redrawn.
    Terminal,
}

/// Prints to stderr. If stderr is a terminal, a status line is redrawn below the output.
#[derive(Clone)]
pub(crate) struct Display {
    pub(crate) style: Style,
    line: ProgressBar,
}

impl Display {
    /// Creates the display. The status line has a spinner, `prefix` and a message, and is cut at the terminal width.
    pub(crate) fn new(json: bool, quiet: bool, prefix: &str, line: ProgressBar) -> Self {
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let style = match (json, quiet) {
            (true, _) => Style::Json,
            (false, true) => Style::Quiet,
            _ if io::stderr().is_terminal() && !is_dumb => Style::Terminal,
            _ => Style::Lines,
        };
        let template = ProgressStyle::with_template(&format!("{{spinner}} {prefix}{{wide_msg}}"));
        let template = template.unwrap_or_else(|_| ProgressStyle::default_spinner());
        if style != Style::Terminal {
            line.set_draw_target(ProgressDrawTarget::hidden());
        }
        Self { style, line: line.with_style(template) }
    }

    /// Starts to redraw the status line, which keeps its seconds current.
    pub(crate) fn start(&self) {
        if self.style == Style::Terminal {
            self.line.enable_steady_tick(Duration::from_millis(100));
        }
    }

    /// Changes the message of the status line. Returns false if no status line is shown.
    pub(crate) fn set_status(&self, message: &str) -> bool {
        self.line.set_message(message.to_owned());
        self.style == Style::Terminal
    }

    /// Changes the number of finished rows in the status line.
    pub(crate) fn set_position(&self, position: u64) {
        self.line.set_position(position);
    }

    /// Prints a line, unless `--quiet` or `--json` is set.
    pub(crate) fn print(&self, text: &str) {
        if matches!(self.style, Style::Lines | Style::Terminal) {
            self.print_always(text);
        }
    }

    /// Prints output that must not be lost, in every style. With [`Style::Json`], `text` must be a JSON line.
    pub(crate) fn print_always(&self, text: &str) {
        self.line.suspend(|| print_message(text));
    }

    /// Removes the status line.
    pub(crate) fn finish(&self) {
        self.line.finish_and_clear();
    }
}

/// Returns whether to use colors on stderr. `--color`, the terminal, `NO_COLOR` and `TERM` decide.
pub(crate) fn use_colors() -> bool {
    anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never
}
