//! How much memory an install takes while it waits for its channel: what a thousand of them have allocated
//! more than none.

use std::time::Duration;

use bird_sandbox::Sandbox;
use bird_sms::{AccessKey, Client, PhoneNumberId, RateLimits};
use tokio::task::JoinSet;
use uuid::Uuid;

const INSTALLS: u32 = 1000;

fn main() -> anyhow::Result<()> {
    // The sandbox has a thread of its own, so that what it keeps is not counted.
    let (told, tells) = std::sync::mpsc::channel();
    std::thread::spawn(move || -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let sandbox = Sandbox::builder()
                .provisioning_delay(Duration::MAX)
                .post_limit(u32::MAX)
                .start()
                .await?;
            let workspace = sandbox.workspace_id();
            told.send((sandbox.base_url(), sandbox.access_key().to_owned(), workspace))?;
            std::future::pending().await
        })
    });
    let (url, key, workspace) = tells.recv()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let limits = RateLimits { posts_per_second: u32::MAX, gets_per_second: 1 };
    let client = Client::builder()
        .base_url(url)
        .access_key(AccessKey::new(key)?)
        .rate_limits(limits)
        .install_timeout(Duration::from_hours(1))
        .build()?;
    let workspace = client.workspace(workspace.into());
    let mut waiting = JoinSet::new();
    let counted = allocation_counter::measure(|| {
        runtime.block_on(async {
            for n in 0..INSTALLS {
                let mut number = Uuid::nil().into_bytes();
                number[..4].copy_from_slice(&n.to_be_bytes());
                let number = PhoneNumberId::from(Uuid::from_bytes(number));
                let install = workspace.install_sms_channel("My SMS channel", number);
                let (created, is_created) = tokio::sync::oneshot::channel();
                let created = std::sync::Mutex::new(Some(created));
                let install = install.observe(move |event| {
                    if let bird_sms::Event::Created { .. } = event
                        && let Ok(mut created) = created.lock()
                    {
                        created.take().map(|created| created.send(()));
                    }
                });
                waiting.spawn(install.into_future());
                let _ = is_created.await;
            }
        });
    });
    println!(
        "{INSTALLS} installs that wait for their channel hold {} bytes each, with the task that runs them.",
        counted.bytes_current / i64::from(INSTALLS)
    );
    waiting.abort_all();
    // The sandbox is not waited for.
    std::process::exit(0)
}
