//! Adoption: an operator names the connector of a row whose outcome is unknown.

use crate::client::Workspace;
use crate::model::SMS_TEMPLATE;
use crate::{Connector, ConnectorId, PhoneNumberId};

/// The reason why a connector cannot be adopted for a row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdoptionError {
    /// The outcome of the row is not unknown.
    #[error("the journal has no unknown outcome for this phone number")]
    NotUnknown,
    /// The connector belongs to another row, and a connector serves only one phone number.
    #[error("the connector belongs to phone number {0}")]
    OtherRow(PhoneNumberId),
    /// The connector was created from another template.
    #[error("the connector was created from the template {0}, which is not for SMS")]
    OtherTemplate(String),
    /// The connector was created for another phone number.
    #[error("the connector was created for phone number {0}")]
    OtherPhoneNumber(PhoneNumberId),
}

impl Workspace {
    /// Reads a connector that an operator named for a phone number, and checks its template and its phone number.
    ///
    /// Check [`JournalState::check_adoption`](crate::JournalState::check_adoption) first, and append
    /// [`JournalEntry::Adopted`](crate::JournalEntry::Adopted) after.
    ///
    /// # Errors
    ///
    /// The outer error is [`Error::Read`](crate::Error::Read), for example for a connector that was deleted. The inner
    /// error says how the connector differs.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a GET changes nothing.
    pub async fn read_adoption(
        &self,
        phone_number_id: PhoneNumberId,
        connector_id: ConnectorId,
    ) -> Result<Result<Connector, AdoptionError>, crate::Error> {
        let connector = self.connector(connector_id).await?;
        Ok(match (&connector.template_ref, connector.phone_number_id) {
            (Some(template), _) if template != SMS_TEMPLATE => {
                Err(AdoptionError::OtherTemplate(template.clone()))
            }
            (_, Some(other)) if other != phone_number_id => {
                Err(AdoptionError::OtherPhoneNumber(other))
            }
            _ => Ok(connector),
        })
    }
}
