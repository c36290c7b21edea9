//! Ids and JSON bodies for tests.

/// The access key of the client.
pub const ACCESS_KEY: &str = "top-secret-key";
/// The workspace id in [`pending`] and [`ready`].
pub const WORKSPACE_ID: &str = "a1405560-c8d3-4b1a-877d-3f449ad95352";
/// The phone number id of an install.
pub const PHONE_NUMBER_ID: &str = "2cffb55c-120e-91a8-8f10-ed9d1b412d29";
/// The use case id of an install.
pub const USE_CASE_ID: &str = "be123b02-dacf-31f9-b3e5-50b18260bc23";
/// The connector id in [`pending`] and [`ready`].
pub const CONNECTOR_ID: &str = "5f4f2c5e-6b0c-4a35-9f5d-0c6a5d0a7c11";
/// The channel id in [`ready`].
pub const CHANNEL_ID: &str = "0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9";

/// Returns a connector without a channel.
pub fn pending() -> String {
    connector(CONNECTOR_ID, WORKSPACE_ID, None)
}

/// Returns a connector with its channel.
pub fn ready() -> String {
    connector(CONNECTOR_ID, WORKSPACE_ID, Some(CHANNEL_ID))
}

/// Returns a connector, with a channel if `channel_id` is given.
pub fn connector(id: &str, workspace_id: &str, channel_id: Option<&str>) -> String {
    let channel = channel_id.map(|id| format!(r#"{{"channelId": "{id}"}}"#));
    let channel = channel.as_deref().unwrap_or("null");
    format!(
        r#"{{"id": "{id}", "workspaceId": "{workspace_id}", "name": "My SMS channel",
            "createdAt": "2025-01-21T01:43:10.940Z", "channel": {channel}}}"#
    )
}

/// Returns a UUID that ends with a number, such as `00000000-0000-4000-8000-000000000007`.
pub fn nth_id(n: usize) -> String {
    format!("00000000-0000-4000-8000-{n:012}")
}
