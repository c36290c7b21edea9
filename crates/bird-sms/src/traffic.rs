//! What all installs of a client in one workspace share.

use tokio::time::Instant;

use crate::RateLimits;
use crate::pace::Pace;
use crate::provisioning::Provisioning;

#[derive(Debug)]
pub(crate) struct Traffic {
    pub(crate) posts: Pace,
    pub(crate) gets: Pace,
    pub(crate) provisioning: Provisioning,
}

impl Traffic {
    pub(crate) fn new(limits: RateLimits, now: Instant) -> Self {
        Self {
            posts: Pace::new(limits.posts_per_second, now),
            gets: Pace::new(limits.gets_per_second, now),
            provisioning: Provisioning::default(),
        }
    }
}
