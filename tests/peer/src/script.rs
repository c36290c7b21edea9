use std::collections::VecDeque;

use crate::{Reply, Request};

type Handler = Box<dyn FnMut(&Request) -> Reply + Send>;

/// The replies of a server, and the requests that it received.
#[derive(Default)]
pub(crate) struct Script {
    replies: VecDeque<Reply>,
    /// A function that makes the replies. If there is one, `replies` is not used.
    handler: Option<Handler>,
    pub(crate) requests: Vec<Request>,
}

impl Script {
    pub(crate) fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self { replies: replies.into_iter().collect(), ..Self::default() }
    }

    pub(crate) fn with_handler(handler: impl FnMut(&Request) -> Reply + Send + 'static) -> Self {
        Self { handler: Some(Box::new(handler)), ..Self::default() }
    }

    /// Returns whether the next reply is [`Reply::ResetOnAccept`], and removes it if so.
    pub(crate) fn resets_on_accept(&mut self) -> bool {
        let resets = matches!(self.replies.front(), Some(Reply::ResetOnAccept));
        resets && self.replies.pop_front().is_some()
    }

    /// Records a request, and returns the reply to it.
    pub(crate) fn reply(&mut self, request: Request) -> Reply {
        let reply = match &mut self.handler {
            Some(handler) => handler(&request),
            None => self
                .replies
                .pop_front()
                .unwrap_or_else(|| Reply::json(599, r#"{"message": "the script is over"}"#)),
        };
        self.requests.push(request);
        reply
    }

    pub(crate) fn count(&self, method: &str) -> usize {
        self.requests.iter().filter(|request| request.method == method).count()
    }
}
