//! The data of an install: ids, requests, connectors and their states. No function here does I/O.

mod access_key;
mod channel;
mod configuration;
mod connector;
mod connector_state;
mod connector_status;
mod decode;
mod id;
mod number;
mod open_enum;
pub(crate) mod redact;
mod request;
mod warning;

pub use access_key::AccessKey;
pub use channel::SmsChannel;
// The contract lists the values, so there is no second list to keep.
pub use bird_api::types::{EndpointType, NumberType};
pub use configuration::ConfigurationError;
pub use connector::{Connector, ConnectorNumber};
pub use connector_state::ConnectorState;
pub(crate) use connector_status::{ConnectorStatus, is_other_template};
pub(crate) use decode::{decode, recover_id};
pub use id::{ChannelId, ConnectorId, ParseIdError, PhoneNumberId, UseCaseId, WorkspaceId};
pub(crate) use number::connector_ids;
pub use number::{CapabilityState, Number, Requirement, UseCase};
pub use redact::escape_controls;
pub(crate) use redact::printable;
pub(crate) use request::SMS_TEMPLATE;
pub use request::{ChannelMessageType, SmsConnectorRequest};
pub use warning::Warning;
