//! A program that installs one channel with reqwest and serde.

#[path = "../../src/hand_written.rs"]
mod hand_written;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let variable = |name| std::env::var(name);
    let client = hand_written::HandWritten::new(
        reqwest::Client::new(),
        &variable("BIRD_API_URL")?,
        &variable("BIRD_ACCESS_KEY")?,
    );
    let workspace = variable("BIRD_WORKSPACE_ID")?;
    let (number, use_case) = (variable("NUMBER")?, variable("USE_CASE")?);
    println!("{}", client.install(&workspace, "My SMS channel", &number, &use_case).await?);
    Ok(())
}
