//! Polls by the list of connectors: a page shows the state of many connectors in one GET.
//!
//! Unproven: no response of the real endpoint has been seen, and its order is not known. If the list cannot be used, or
//! does not show a connector, the connector is polled by a GET of its own.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, FutureExt, select};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::slot::{Batch, BatchSlot};
use super::waiting::Polls;
use crate::transport::Deadline;
use crate::workflow::{GetHistory, read_page};
use crate::{Event, SmsChannel};

/// A listing pays if it shows this many due connectors for each of its pages.
const PER_PAGE: usize = 4;
/// A listing ends after this many pages without a due connector, once a page had one. The oldest connectors are polled
/// one by one.
const EMPTY_PAGES: usize = 3;
/// The longest time for a page. The due connectors are not polled meanwhile.
const PAGE_TIMEOUT: Duration = Duration::from_secs(5);

impl Batch {
    /// Lists connectors until each due one has been seen, and ends the installs of those that are ready. The others
    /// wait again. Returns `false` without a request if the polls of the due connectors cost less.
    pub(super) async fn poll_by_list(
        self: &Arc<Self>,
        ended: &mut JoinSet<()>,
        continued: Option<Instant>,
    ) -> bool {
        let (pages, due) = (self.list_pages.load(Ordering::Relaxed), self.rows.due());
        // After a listing that showed no due connector, they are polled one by one before the next listing.
        let unlisted = self.unlisted.load(Ordering::Relaxed);
        if due > 0 && unlisted > 0 {
            self.unlisted.store(unlisted - 1, Ordering::Relaxed);
            return false;
        }
        if pages == 0 || due < PER_PAGE.saturating_mul(pages) {
            return false;
        }
        let (workspace, runtime) = (&self.workspace, self.workspace.client().runtime());
        let mut due = HashMap::new();
        while let Some((slot, polls)) = self.rows.take_due(workspace, runtime.now()) {
            match slot.item().state.connector_state().connector_id() {
                Some(id) => drop(due.insert(id, (slot, polls))),
                None => self.rows.end(&slot, slot.abandon()),
            }
        }
        let (mut page_token, mut pages, mut found, mut empty) = (None, 0, false, 0);
        let timeout = PAGE_TIMEOUT.min(workspace.client().install_timeout());
        while !due.is_empty() && empty < EMPTY_PAGES {
            let sent = runtime.now();
            let page = {
                let deadline = Deadline::start(sent, timeout);
                let page = read_page(workspace, deadline, page_token.as_deref()).boxed();
                match select(page, self.cancellation.clone()).await {
                    Either::Left((page, _)) => page,
                    Either::Right(((), _)) => break,
                }
            };
            let Ok(page) = page else {
                // From here on the connectors are polled one by one.
                self.list_pages.store(0, Ordering::Relaxed);
                break;
            };
            pages += 1;
            let before = due.len();
            for listed in page.results {
                let Some((slot, mut polls)) = due.remove(&listed.id.into()) else { continue };
                let history = GetHistory { last_sent: Some(sent), seen: true, ..polls.history() };
                let history = GetHistory { sent: history.sent.saturating_add(1), ..history };
                let channel = listed.channel.and_then(|channel| channel.channel_id);
                let channel = channel.filter(|id| !id.is_nil());
                let time = polls.observe(workspace, history, continued, channel.is_some());
                let channel = channel.map(|id| {
                    let key = workspace.client().key();
                    let mut channel = SmsChannel::new(
                        id.into(),
                        listed.id.into(),
                        workspace.id(),
                        &Bytes::new(),
                        key,
                    );
                    channel.provisioning_time = time;
                    channel.warning(slot.item().state.warning())
                });
                ended.spawn(Arc::clone(self).take_listed(slot, polls, channel));
            }
            found |= due.len() < before;
            empty = if found && due.len() == before { empty + 1 } else { 0 };
            page_token = page.next_page_token.filter(|token| !token.is_empty());
            if page_token.is_none() {
                break;
            }
        }
        if pages > 0 && self.list_pages.load(Ordering::Relaxed) > 0 {
            self.list_pages.store(pages, Ordering::Relaxed);
        }
        // What the list does not show is due as before.
        self.unlisted.store(if found { 0 } else { due.len() }, Ordering::Relaxed);
        for (slot, polls) in due.into_values() {
            let item = slot.item().clone();
            self.rows.wait(&slot, item, polls, runtime.now());
        }
        true
    }

    /// Ends the install of a connector that a page showed, or lets it wait again.
    async fn take_listed(
        self: Arc<Self>,
        slot: Arc<BatchSlot>,
        polls: Polls,
        channel: Option<SmsChannel>,
    ) {
        if let Some(channel) = channel {
            self.events(&slot).emit(&Event::Ready { channel_id: channel.id });
            self.finish(&slot, Ok(channel)).await;
        } else {
            let item = slot.item().clone();
            self.wait(&slot, item, polls).await;
        }
    }
}
