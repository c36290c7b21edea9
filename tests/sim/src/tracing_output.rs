//! A `tracing` subscriber that searches spans and events for the access key.

use std::cell::{Cell, RefCell};
use std::fmt::{self, Write};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};

use crate::world::KEY;

thread_local! {
    static LISTENS: Cell<bool> = const { Cell::new(false) };
    static LEAK: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Turns the search on or off on this thread. Most simulations run without it, because it is slow.
pub(crate) fn listen(listens: bool) {
    // Only the first call installs the subscriber. It then serves all threads.
    let _ = tracing::subscriber::set_global_default(Listener);
    LISTENS.set(listens);
}

/// Takes the last span or event that contained the access key, if any.
pub(crate) fn take_leak() -> Option<String> {
    LEAK.take()
}

struct Listener;

#[derive(Default)]
struct Text(String);

impl Text {
    fn check(self) {
        if self.0.contains(KEY) {
            LEAK.set(Some(self.0));
        }
    }
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, "{field}={value:?} ").expect("writing to a String never fails");
    }
}

impl Subscriber for Listener {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, _: &Metadata<'_>) -> bool {
        LISTENS.get()
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut text = Text::default();
        span.record(&mut text);
        text.check();
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        let mut text = Text::default();
        values.record(&mut text);
        text.check();
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        text.check();
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}
