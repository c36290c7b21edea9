//! A program without `async`: `cargo run -p bird-sms --example blocking`.

use std::error::Error;

use bird_sms::PhoneNumberId;

mod sandbox;

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    // The futures need a Tokio runtime. One with a single thread is enough.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (_sandbox, workspace) = runtime.block_on(sandbox::start(&[]))?;

    let number: PhoneNumberId = "2cffb55c-120e-91a8-8f10-ed9d1b412d29".parse()?;
    let install = workspace.install_sms_channel("My SMS channel", number);
    let channel = runtime.block_on(install.into_future())?;
    println!("{}", channel.id);
    Ok(())
}
