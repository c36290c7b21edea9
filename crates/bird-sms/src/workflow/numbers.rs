//! Reads numbers, requirements and use cases. All of them are paged lists, except a single number.

use std::collections::{BTreeSet, VecDeque};

use bird_api::Response;
use futures_util::{Stream, stream};
use reqwest::Request;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use tracing::Instrument;

use super::read::{malformed, read};
use super::retry::RetryError;
use crate::client::{Route, Workspace};
use crate::model::decode;
use crate::{AccessKey, Number, NumbersError, NumbersRead, PhoneNumberId, Requirement, UseCase};

/// Results per page: the largest number that every list accepts.
const LIMIT: Option<i64> = Some(99);

impl Workspace {
    /// Lists the long code numbers, the oldest first. Each page is one GET, retried like
    /// [`connector`](Self::connector).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let sandbox = bird_sandbox::Sandbox::builder().in_memory();
    /// # let transport = sandbox.transport();
    /// # let key = sandbox.access_key();
    /// # let id = sandbox.workspace_id();
    /// # let workspace = bird_sms::test_util::workspace(transport, key, id);
    /// use futures_util::TryStreamExt;
    ///
    /// let mut numbers = workspace.numbers();
    /// while let Some(number) = numbers.try_next().await? {
    ///     println!("{} {} {:?}", number.phone_number, number.id, number.connectors);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The stream ends with its first error. A page without `results` is an error, and so is a repeated page token.
    ///
    /// # Panics
    ///
    /// Panics when polled outside of a Tokio runtime with time and I/O enabled.
    pub fn numbers(
        &self,
    ) -> impl Stream<Item = Result<Number, NumbersError>> + Send + Unpin + use<> {
        self.numbers_starting_with("")
    }

    /// Lists the long code numbers that start with these digits, such as `+3161`. See [`numbers`](Self::numbers).
    ///
    /// Even if `digits` is a whole number, longer numbers that start with it are listed as well.
    pub fn numbers_starting_with(
        &self,
        digits: &str,
    ) -> impl Stream<Item = Result<Number, NumbersError>> + Send + Unpin + use<> {
        let digits = Some(digits.to_owned()).filter(|digits| !digits.is_empty());
        let request = move |workspace: &Workspace, token: Option<&str>| {
            let raw = workspace.client().raw();
            let id = workspace.id();
            raw.list_long_codes_request(id.as_uuid(), LIMIT, digits.as_deref(), token, None)
        };
        list(self.clone(), NumbersRead::Numbers, request, Number::long_code)
    }

    /// Lists the short codes. See [`numbers`](Self::numbers).
    pub fn short_codes(
        &self,
    ) -> impl Stream<Item = Result<Number, NumbersError>> + Send + Unpin + use<> {
        let request = |workspace: &Workspace, token: Option<&str>| {
            let raw = workspace.client().raw();
            raw.list_short_codes_request(workspace.id().as_uuid(), LIMIT, token, None)
        };
        list(self.clone(), NumbersRead::ShortCodes, request, Number::short_code)
    }

    /// Lists the alphanumeric senders. See [`numbers`](Self::numbers).
    pub fn alphanumeric_senders(
        &self,
    ) -> impl Stream<Item = Result<Number, NumbersError>> + Send + Unpin + use<> {
        let request = |workspace: &Workspace, token: Option<&str>| {
            let raw = workspace.client().raw();
            raw.list_alpha_senders_request(workspace.id().as_uuid(), LIMIT, token, None)
        };
        list(self.clone(), NumbersRead::AlphanumericSenders, request, Number::sender)
    }

    /// Lists the use cases. See [`numbers`](Self::numbers).
    pub fn use_cases(
        &self,
    ) -> impl Stream<Item = Result<UseCase, NumbersError>> + Send + Unpin + use<> {
        let request = |workspace: &Workspace, token: Option<&str>| {
            let raw = workspace.client().raw();
            raw.list_use_cases_request(workspace.id().as_uuid(), LIMIT, token, None)
        };
        list(self.clone(), NumbersRead::UseCases, request, UseCase::new)
    }

    /// Lists the requirements that a number must meet before it may send or receive. See [`numbers`](Self::numbers).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let number: bird_sms::PhoneNumberId = "2cffb55c-120e-91a8-8f10-ed9d1b412d29".parse()?;
    /// # let sandbox = bird_sandbox::Sandbox::builder().require_use_case(number.into()).in_memory();
    /// # let transport = sandbox.transport();
    /// # let key = sandbox.access_key();
    /// # let id = sandbox.workspace_id();
    /// # let workspace = bird_sms::test_util::workspace(transport, key, id);
    /// use futures_util::TryStreamExt;
    ///
    /// let requirements: Vec<_> = workspace.requirements(number).try_collect().await?;
    /// let missing: Vec<_> = requirements.iter().filter(|it| !it.is_satisfied()).collect();
    /// assert_eq!(missing[0].kind.as_deref(), Some("use-case"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// An empty list means that Bird requires nothing. For an unknown number, the stream ends with a 404.
    pub fn requirements(
        &self,
        id: PhoneNumberId,
    ) -> impl Stream<Item = Result<Requirement, NumbersError>> + Send + Unpin + use<> {
        // A long code number and its endpoint have the same id.
        let request = move |workspace: &Workspace, token: Option<&str>| {
            let raw = workspace.client().raw();
            raw.list_requirements_request(workspace.id().as_uuid(), &id.to_string(), token)
        };
        list(self.clone(), NumbersRead::Requirements, request, Requirement::new)
    }

    /// Reads a long code number: its connectors, and whether it is active.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let sandbox = bird_sandbox::Sandbox::builder().number("+31612345678").in_memory();
    /// # let transport = sandbox.transport();
    /// # let key = sandbox.access_key();
    /// # let id = sandbox.workspace_id();
    /// # let workspace = bird_sms::test_util::workspace(transport, key, id);
    /// let id = "00000000-0000-4000-8000-031612345678".parse()?;
    /// let channel = workspace.install_sms_channel("My SMS channel", id).await?;
    /// let number = workspace.number(id).await?;
    /// assert_eq!(number.phone_number, "+31612345678");
    /// assert_eq!(number.connectors, [channel.connector_id]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Fails if the number cannot be read. The status is 404 if the workspace has no such long code number.
    ///
    /// # Panics
    ///
    /// Panics when polled outside of a Tokio runtime with time and I/O enabled.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a GET changes nothing.
    pub async fn number(&self, id: PhoneNumberId) -> Result<Number, NumbersError> {
        let decode = |response: &Response| {
            decode_number(&response.body, id, self.client().key())
                .map_err(|problem| malformed(self, response, &problem))
        };
        let span = tracing::info_span!(
            "read_numbers",
            workspace_id = %self.id(),
            phone_number_id = %id
        );
        let route = Route::Numbers(NumbersRead::Number);
        let read = read(self, route, || number_request(self, id), decode).instrument(span).await;
        read.map_err(|failed| error(NumbersRead::Number, failed))
    }
}

pub(super) fn number_request(workspace: &Workspace, id: PhoneNumberId) -> Request {
    let raw = workspace.client().raw();
    built(raw.get_long_code_request(workspace.id().as_uuid(), &id.to_string()))
}

/// Decodes a number, and checks that it is the requested one.
fn decode_number(body: &[u8], id: PhoneNumberId, key: &AccessKey) -> Result<Number, String> {
    let number = Number::long_code(decode(body)?, key)?;
    if number.id == id {
        Ok(number)
    } else {
        Err(format!("the response is about another number, {}", number.id))
    }
}

fn built(request: reqwest::Result<Request>) -> Request {
    request.expect("the base URL was checked when the client was built")
}

fn error(read: NumbersRead, failed: RetryError) -> NumbersError {
    let RetryError { error, attempts, retryable } = failed;
    NumbersError { read, cause: error, attempts, retryable }
}

/// Lists all results, page by page. `request` makes the request for the page with a token, and `show` converts a result
/// of a page.
fn list<W, T>(
    workspace: Workspace,
    what: NumbersRead,
    request: impl Fn(&Workspace, Option<&str>) -> reqwest::Result<Request> + Send + Sync,
    show: fn(W, &AccessKey) -> Result<T, String>,
) -> impl Stream<Item = Result<T, NumbersError>> + Send + Unpin
where
    W: DeserializeOwned,
    T: Send + Sync,
{
    let pages = Pages {
        workspace,
        what,
        request,
        show,
        results: VecDeque::new(),
        next: Next::First,
        tokens: BTreeSet::new(),
    };
    Box::pin(stream::unfold(pages, |mut pages| async move {
        loop {
            if let Some(result) = pages.results.pop_front() {
                return Some((Ok(result), pages));
            }
            if let Err(error) = pages.read().await? {
                pages.next = Next::End;
                return Some((Err(error), pages));
            }
        }
    }))
}

struct Pages<W, T, R> {
    workspace: Workspace,
    what: NumbersRead,
    request: R,
    show: fn(W, &AccessKey) -> Result<T, String>,
    /// The results of the last page that were not returned yet.
    results: VecDeque<T>,
    next: Next,
    /// The tokens of all pages so far.
    tokens: BTreeSet<String>,
}

/// The page to read next.
enum Next {
    First,
    WithToken(String),
    End,
}

/// A page of a list, as Bird sends it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound = "W: DeserializeOwned")]
struct Page<W> {
    #[serde(deserialize_with = "null_as_empty")]
    results: Vec<W>,
    next_page_token: Option<String>,
}

/// Decodes `null` as an empty list, because a server that is written in Go may send it for one.
fn null_as_empty<'de, W: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<W>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl<W, T, R> Pages<W, T, R>
where
    W: DeserializeOwned,
    R: Fn(&Workspace, Option<&str>) -> reqwest::Result<Request>,
{
    /// Reads the next page, or returns `None` at the end.
    async fn read(&mut self) -> Option<Result<(), NumbersError>> {
        let token = match &self.next {
            Next::First => None,
            Next::WithToken(token) => Some(&**token),
            Next::End => return None,
        };
        let workspace = &self.workspace;
        let request = || built((self.request)(workspace, token));
        let decode = |response: &Response| {
            self.decode(&response.body).map_err(|problem| malformed(workspace, response, &problem))
        };
        let span = tracing::info_span!("read_numbers", workspace_id = %workspace.id());
        let route = Route::Numbers(self.what);
        match read(workspace, route, request, decode).instrument(span).await {
            Ok((results, next)) => {
                self.results = results;
                self.tokens.extend(next.clone());
                self.next = next.map_or(Next::End, Next::WithToken);
                Some(Ok(()))
            }
            Err(failed) => Some(Err(error(self.what, failed))),
        }
    }

    /// Returns the results of a page, and the token of the next one.
    fn decode(&self, body: &[u8]) -> Result<(VecDeque<T>, Option<String>), String> {
        let page: Page<W> = decode(body)?;
        let token = page.next_page_token.filter(|token| !token.is_empty());
        if token.as_ref().is_some_and(|token| self.tokens.contains(token)) {
            return Err("`nextPageToken` repeats the token of an earlier page".to_owned());
        }
        let show = |(nth, result)| {
            let problem = |problem| format!("`results[{nth}]`: {problem}");
            (self.show)(result, self.workspace.client().key()).map_err(problem)
        };
        let results = page.results.into_iter().enumerate().map(show).collect::<Result<_, _>>()?;
        Ok((results, token))
    }
}
