//! A program that installs one channel with bird-sms.

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let variable = |name| std::env::var(name);
    let channel = bird_sms::Client::from_env()?
        .workspace_from_env()?
        .install_sms_channel("My SMS channel", variable("NUMBER")?.parse()?)
        .use_case_id(variable("USE_CASE")?.parse::<bird_sms::UseCaseId>()?)
        .await?;
    println!("{}", channel.id);
    Ok(())
}
