//! The body of a response, which a fault may cut off.

use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};

/// How a connection ends before the response is complete.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("the sandbox broke the connection")]
pub(crate) enum Break {
    /// Sends a FIN.
    Close,
    /// Sends a RST.
    Reset,
}

#[derive(Debug)]
pub(crate) struct ResponseBody {
    pub(crate) bytes: Bytes,
    /// How the body ends after these bytes.
    end: End,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Regular,
    /// Sends the bytes, and then closes the connection.
    Flush,
    Close,
}

impl ResponseBody {
    pub(crate) fn whole(text: String) -> Self {
        Self { bytes: text.into(), end: End::Regular }
    }

    /// Returns a body that breaks off after the first half of the text.
    pub(crate) fn cut(text: String) -> Self {
        let bytes = Bytes::from(text);
        Self { bytes: bytes.slice(..bytes.len() / 2), end: End::Flush }
    }

    #[cfg(feature = "transport")]
    pub(crate) fn is_cut(&self) -> bool {
        self.end != End::Regular
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Break;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Break>>> {
        if !self.bytes.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.bytes)))));
        }
        match self.end {
            End::Regular => Poll::Ready(None),
            End::Flush => {
                // While the body is pending, hyper flushes the bytes.
                self.end = End::Close;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            End::Close => Poll::Ready(Some(Err(Break::Close))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty() && self.end == End::Regular
    }

    fn size_hint(&self) -> SizeHint {
        match self.end {
            End::Regular => SizeHint::with_exact(self.bytes.len() as u64),
            End::Flush | End::Close => SizeHint::default(),
        }
    }
}
