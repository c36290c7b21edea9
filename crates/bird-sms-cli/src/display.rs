//! Output to stderr while a command runs.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The ways to show progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// JSON lines, for what must not be lost.
    Json,
    /// Lines, for what must not be lost.
    Quiet,
    /// Lines: in a pipe, in a file, and at a terminal that cannot move its cursor.
    Lines,
    /// A line that is drawn again.
    Terminal,
}

/// stderr, with a line at its end that is drawn again when stderr is a terminal.
#[derive(Clone)]
pub(crate) struct Display {
    pub(crate) style: Style,
    line: ProgressBar,
}

impl Display {
    /// The line has a spinner, the prefix of the template and a message. It is cut at the width of the terminal.
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

    /// Shows the line, with seconds that tick.
    pub(crate) fn start(&self) {
        if self.style == Style::Terminal {
            self.line.enable_steady_tick(Duration::from_millis(100));
        }
    }

    /// Changes the message of the line. Returns false if there is no such line.
    pub(crate) fn set_status(&self, message: &str) -> bool {
        self.line.set_message(message.to_owned());
        self.style == Style::Terminal
    }

    /// Changes the number of finished rows in the line.
    pub(crate) fn set_position(&self, position: u64) {
        self.line.set_position(position);
    }

    /// Prints progress.
    pub(crate) fn print(&self, text: &str) {
        if matches!(self.style, Style::Lines | Style::Terminal) {
            self.print_always(text);
        }
    }

    /// Prints a problem, also with `--quiet`.
    pub(crate) fn print_problem(&self, text: &str) {
        if self.style != Style::Json {
            self.print_always(text);
        }
    }

    /// Prints what must not be lost: in the style `Json`, a JSON line.
    pub(crate) fn print_always(&self, text: &str) {
        // Nothing is left to do when stderr is closed.
        self.line.suspend(|| drop(writeln!(io::stderr(), "{text}")));
    }

    /// Removes the line.
    pub(crate) fn finish(&self) {
        self.line.finish_and_clear();
    }
}

/// Returns whether stderr takes colors, by `--color`, the terminal, `NO_COLOR` and `TERM`.
pub(crate) fn use_colors() -> bool {
    anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never
}
