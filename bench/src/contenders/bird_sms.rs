use std::time::Duration;

use bird_sms::{AccessKey, Backoff, Client, PollPolicy, RateLimits, Workspace};

use super::Contender;
use crate::server::{NAME, NUMBER, USE_CASE, WORKSPACE};

/// bird-sms, without the wait before the first look, and without limits that the server does not have.
pub struct BirdSms(Workspace);

impl Contender for BirdSms {
    fn new(url: &str) -> anyhow::Result<Self> {
        let none = Duration::from_nanos(1);
        let backoff = Backoff { initial: none, multiplier: 1.0, max: none, jitter: 1.0 };
        let client = Client::builder()
            .access_key(AccessKey::new("secret")?)
            .base_url(url)
            .poll_policy(PollPolicy { backoff, ..Default::default() })
            .rate_limits(RateLimits { posts_per_second: u32::MAX, gets_per_second: u32::MAX })
            .build()?;
        Ok(Self(client.workspace(WORKSPACE.parse()?)))
    }

    async fn install(&self) -> anyhow::Result<String> {
        let channel = self
            .0
            .install_sms_channel(NAME, NUMBER.parse()?)
            .use_case_id(USE_CASE.parse()?)
            .await?;
        Ok(channel.id.to_string())
    }
}
