//! What all installs of a client in one workspace share.

use tokio::time::Instant;

use crate::RateLimits;
use crate::provisioning_estimate::ProvisioningEstimate;
use crate::rate_limiter::RateLimiter;

#[derive(Debug)]
pub(crate) struct WorkspaceState {
    pub(crate) posts: RateLimiter,
    pub(crate) gets: RateLimiter,
    pub(crate) provisioning: ProvisioningEstimate,
}

impl WorkspaceState {
    pub(crate) fn new(limits: RateLimits, now: Instant) -> Self {
        Self {
            posts: RateLimiter::new(limits.posts_per_second, now),
            gets: RateLimiter::new(limits.gets_per_second, now),
            provisioning: ProvisioningEstimate::default(),
        }
    }
}
