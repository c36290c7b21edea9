//! Numbers, their requirements, and use cases.

use bird_api::numbers::types;
use uuid::Uuid;

use crate::{AccessKey, ConnectorId, EndpointType, NumberType, PhoneNumberId, UseCaseId};

/// A number of a workspace: a long code number, a short code or an alphanumeric sender.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let sandbox = bird_sandbox::Sandbox::builder().in_memory();
/// # let transport = sandbox.transport();
/// # let key = sandbox.access_key();
/// # let id = sandbox.workspace_id();
/// # let workspace = bird_sms::test_util::workspace(transport, key, id);
/// use futures_util::TryStreamExt;
///
/// let mut numbers = workspace.numbers();
/// while let Some(number) = numbers.try_next().await? {
///     if number.connectors.is_empty() && !number.excludes_sms() {
///         println!("{} could be installed: its id is {}", number.phone_number, number.id);
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Number {
    /// The id, which an install needs.
    pub id: PhoneNumberId,
    /// The number in E.164, the short code, or the name of the sender.
    pub phone_number: String,
    /// The country, as ISO 3166-1 alpha-2.
    pub country: Option<String>,
    /// The type of a long code number.
    pub number_type: Option<NumberType>,
    /// The kind of number: long code, short code or alphanumeric sender.
    pub endpoint_type: EndpointType,
    /// The capabilities, such as `sms-outbound`.
    pub capabilities: Vec<String>,
    /// The states of the capabilities. Bird does not return one for every capability.
    pub states: Vec<CapabilityState>,
    /// The connectors that Bird lists for the number, including those for voice. A number without any may still be in use:
    /// Bird does not document when it lists a connector.
    pub connectors: Vec<ConnectorId>,
    excludes_sms: bool,
}

/// The state of one capability of a number.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CapabilityState {
    /// The capability and its direction, such as `sms-outbound`.
    pub capability: String,
    /// The state, such as `active` or `inactive`.
    pub status: String,
    /// The reasons why it is not active.
    pub issues: Vec<String>,
}

/// A requirement that a number must meet before it may send or receive.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Requirement {
    /// The kind, such as `use-case` or `kyc-form`.
    pub kind: Option<String>,
    /// The name, such as `use-case-sms`.
    pub name: Option<String>,
    /// The status. Only `satisfied` is documented.
    pub status: Option<String>,
    /// A human-readable description of the status.
    pub message: Option<String>,
    /// The parts that are missing.
    pub issues: Vec<String>,
}

/// A use case, which describes what the messages of a number are for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UseCase {
    /// The id, which an install may need.
    pub id: UseCaseId,
    /// The name.
    pub name: Option<String>,
    /// The status, such as `created`.
    pub status: Option<String>,
    /// The status at a registry, such as the one for 10DLC.
    pub registry_status: Option<String>,
}

impl Number {
    /// Returns whether the number can neither send nor receive SMS, according to its capabilities.
    #[must_use]
    pub fn excludes_sms(&self) -> bool {
        self.excludes_sms
    }

    pub(crate) fn long_code(number: types::LongCode, key: &AccessKey) -> Result<Self, String> {
        let mut made = Self::new(
            EndpointType::LongCodeNumber,
            Some(number.id),
            Some(number.number_string),
            Some(number.endpoint),
            key,
        )?;
        made.country = Some(redact(&number.country_code, key));
        made.number_type = number.type_.map(|it| (*redact(it.as_str(), key)).into());
        made.add_capabilities(&number.capabilities);
        Ok(made)
    }

    pub(crate) fn short_code(number: types::ShortCode, key: &AccessKey) -> Result<Self, String> {
        let endpoint_type = EndpointType::ShortCodeNumber;
        let mut made =
            Self::new(endpoint_type, number.id, number.number_string, number.endpoint, key)?;
        made.country = number.country_code.map(|it| redact(&it, key));
        made.add_capabilities(&number.capabilities.unwrap_or_default());
        Ok(made)
    }

    pub(crate) fn sender(sender: types::AlphaSender, key: &AccessKey) -> Result<Self, String> {
        let endpoint_type = EndpointType::AlphaNumber;
        Self::new(endpoint_type, sender.id, sender.alpha_string, sender.endpoint, key)
    }

    fn new(
        endpoint_type: EndpointType,
        id: Option<Uuid>,
        phone_number: Option<String>,
        endpoint: Option<types::Endpoint>,
        key: &AccessKey,
    ) -> Result<Self, String> {
        let endpoint = endpoint.unwrap_or_default();
        let mut states = Vec::new();
        for capability in endpoint.capabilities.into_iter().flatten() {
            let name = redact(&capability.name.unwrap_or_default(), key);
            for (direction, state) in
                [("inbound", capability.inbound), ("outbound", capability.outbound)]
            {
                if let Some(types::CapabilityState { status: Some(status), issues, .. }) = state {
                    states.push(CapabilityState {
                        capability: format!("{name}-{direction}"),
                        status: redact(status.as_str(), key),
                        issues: texts(issues, key),
                    });
                }
            }
        }
        Ok(Self {
            id: usable(id)?.into(),
            phone_number: redact(&phone_number.or(endpoint.name).unwrap_or_default(), key),
            country: None,
            number_type: None,
            endpoint_type,
            capabilities: Vec::new(),
            states,
            connectors: connector_ids(endpoint.dependencies.unwrap_or_default()),
            excludes_sms: false,
        })
    }

    fn add_capabilities(&mut self, capabilities: &types::NumberCapabilities) {
        let types::NumberCapabilities { sms, mms, voice, .. } = capabilities;
        for (name, directions) in [("sms", sms), ("mms", mms), ("voice", voice)] {
            let Some(types::Directions { inbound, outbound, .. }) = directions else { continue };
            for (direction, has) in [("inbound", inbound), ("outbound", outbound)] {
                if *has == Some(true) {
                    self.capabilities.push(format!("{name}-{direction}"));
                }
            }
            self.excludes_sms |=
                name == "sms" && (*inbound, *outbound) == (Some(false), Some(false));
        }
    }
}

impl Requirement {
    /// Returns whether the status is `satisfied`.
    #[must_use]
    pub fn is_satisfied(&self) -> bool {
        self.status.as_deref() == Some("satisfied")
    }

    #[expect(clippy::unnecessary_wraps, reason = "`list` takes a function that may fail")]
    pub(crate) fn new(requirement: types::Requirement, key: &AccessKey) -> Result<Self, String> {
        let text = |text: Option<String>| text.map(|text| redact(&text, key));
        Ok(Self {
            kind: text(requirement.type_.map(|kind| kind.to_string())),
            name: text(requirement.name),
            status: text(requirement.status),
            message: text(requirement.message),
            issues: texts(requirement.issues, key),
        })
    }
}

impl UseCase {
    pub(crate) fn new(use_case: types::UseCase, key: &AccessKey) -> Result<Self, String> {
        let text = |text: Option<String>| text.map(|text| redact(&text, key));
        Ok(Self {
            id: usable(use_case.id)?.into(),
            name: text(use_case.name),
            status: text(use_case.status),
            registry_status: text(use_case.integration_state.and_then(|state| state.status)),
        })
    }
}

/// Returns the ids of the connectors that use a number.
pub(crate) fn connector_ids(dependencies: Vec<types::Dependency>) -> Vec<ConnectorId> {
    let mut connectors = Vec::new();
    for dependency in dependencies {
        let id = dependency.connector_id.filter(|id| !id.is_nil()).map(ConnectorId::from);
        let is_connector = dependency.type_.as_deref() == Some("connector");
        connectors.extend(id.filter(|id| is_connector && !connectors.contains(id)));
    }
    connectors
}

/// Returns the id, or an error if it is missing or the nil UUID.
fn usable(id: Option<Uuid>) -> Result<Uuid, String> {
    let id = id.ok_or_else(|| "`id` is missing".to_owned())?;
    if id.is_nil() { Err("`id`: the nil UUID is not an id".to_owned()) } else { Ok(id) }
}

fn redact(text: &str, key: &AccessKey) -> String {
    key.redact(text).into_owned()
}

fn texts(texts: Option<Vec<String>>, key: &AccessKey) -> Vec<String> {
    texts.into_iter().flatten().map(|text| redact(&text, key)).collect()
}
