//! A program that installs one channel with bird-sms.

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let variable = |name| std::env::var(name);
    let channel = bird_sms::Client::from_env()?
        .workspace(variable("BIRD_WORKSPACE_ID")?.parse()?)
        .install_sms_channel("My SMS channel", variable("NUMBER")?.parse()?)
        .use_case_id(variable("USE_CASE")?.parse()?)
        .await?;
    println!("{}", channel.id);
    Ok(())
}
