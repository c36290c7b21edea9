use anyhow::Context as _;
use bird_api::RequestContext;
use bird_api::types::{CreateConnectorReq, SmsArguments};
use reqwest::header::HeaderValue;
use uuid::Uuid;

use super::Contender;
use crate::server::{NAME, NUMBER, USE_CASE, WORKSPACE};

/// The generated client, as one uses it without bird-sms.
pub struct Generated(bird_api::Client);

impl Contender for Generated {
    fn new(url: &str) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().tls_backend_preconfigured(super::no_tls()).build()?;
        let context = RequestContext::new(HeaderValue::from_static("AccessKey secret"));
        Ok(Self(bird_api::Client::new_with_client(url, http, context)))
    }

    async fn install(&self) -> anyhow::Result<String> {
        let workspace: Uuid = WORKSPACE.parse()?;
        let mut arguments = SmsArguments::new(NUMBER.parse()?);
        arguments.use_case_id = Some(USE_CASE.parse()?);
        let mut body = CreateConnectorReq::new(NAME.to_owned());
        body.connector_template_ref = Some("sms-messagebird:1".to_owned());
        body.arguments = serde_json::to_value(arguments)?.as_object().cloned();
        let connector = self.0.create_connector(&workspace, &body).await?.into_inner();
        let connector = self.0.get_connector(&workspace, &connector.id).await?.into_inner();
        let channel = connector.channel.and_then(|channel| channel.channel_id);
        Ok(channel.context("no channel")?.to_string())
    }
}
