use std::io;
use std::pin::Pin;
use std::sync::Arc;

use crate::{ConnectorId, Error, SmsChannel, SmsConnectorRequest};

/// Where a batch writes down what it does, so that a process that is killed at any moment can be followed
/// by one that goes on: a table of a database, a file, a log.
///
/// A step is recorded before the next one is taken. When the future of [`append`](Self::append) ends the
/// step must be stored so that a crash does not take it away; when it fails, the install ends with
/// [`Error::Journal`], and before the POST that means that nothing is sent.
///
/// ```
/// use std::sync::Mutex;
/// use bird_sms::{ConnectorId, PhoneNumberId, Journal, BoxFuture, SmsConnectorRequest, JournalEntry};
///
/// /// Keeps what was created in memory, as a test may.
/// #[derive(Default)]
/// struct Created(Mutex<Vec<(PhoneNumberId, ConnectorId)>>);
///
/// impl Journal for Created {
///     fn append<'a>(&'a self, request: &'a SmsConnectorRequest, step: JournalEntry<'a>) -> BoxFuture<'a> {
///         Box::pin(async move {
///             if let JournalEntry::Created(connector_id) = step {
///                 self.0.lock().unwrap().push((request.phone_number_id(), connector_id));
///             }
///             Ok(())
///         })
///     }
/// }
/// ```
///
/// To go on after a crash, look at the last step of each phone number:
///
/// | last step | a connector exists | then |
/// |---|---|---|
/// | none, or [`Ended`](JournalEntry::Ended) with an error that rules it out | no | install it |
/// | [`Intent`](JournalEntry::Intent) | maybe, its id is not known | look in the dashboard; do not send it again |
/// | [`Created`](JournalEntry::Created) | yes | wait for it: [`BatchItem::resume`](crate::BatchItem::resume) |
/// | [`Ended`](JournalEntry::Ended) with an error | ask [`Error::connector_id`] and [`Error::connector_may_exist`] | as above |
/// | [`Ended`](JournalEntry::Ended) with a channel | yes | nothing |
pub trait Journal: Send + Sync {
    /// Stores a step of the install of a request. Steps of different requests come at the same time.
    fn append<'a>(
        &'a self,
        request: &'a SmsConnectorRequest,
        step: JournalEntry<'a>,
    ) -> BoxFuture<'a>;
}

impl<R: Journal + ?Sized> Journal for Arc<R> {
    fn append<'a>(
        &'a self,
        request: &'a SmsConnectorRequest,
        step: JournalEntry<'a>,
    ) -> BoxFuture<'a> {
        R::append(self, request, step)
    }
}

/// What [`Journal::append`] returns: ends when the step is stored.
pub type BoxFuture<'a> = Pin<Box<dyn Future<Output = io::Result<()>> + Send + 'a>>;

/// A step of an install.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum JournalEntry<'a> {
    /// The POST is about to leave. From here on a connector may exist.
    Intent,
    /// The connector exists, and this is its id.
    Created(ConnectorId),
    /// The install ended, with a channel or with an error that tells what exists.
    Ended(Result<&'a SmsChannel, &'a Error>),
}
