//! Adoption: a person tells a journal which connector a phone number has.

use std::io;

use super::journal::InUse;
use super::{Journal, JournalEntry, JournalState};
use crate::client::Workspace;
use crate::model::is_other_template;
use crate::{ConnectorId, ConnectorState, Error, PhoneNumberId};

/// Why a connector was not adopted. The journal was not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdoptionError {
    /// The journal has a ready channel for the phone number, from another connector.
    #[error("this phone number has a ready channel from another connector")]
    Ready,
    /// The journal has another connector that was created for the phone number and still exists.
    #[error("connector {0} was created for this phone number and still exists")]
    OtherConnector(ConnectorId),
    /// The connector belongs to another phone number of the journal.
    #[error("the connector belongs to phone number {0}")]
    OtherRow(PhoneNumberId),
    /// The connector was created from another template.
    #[error("the connector was created from the template {0}, which is not for SMS")]
    OtherTemplate(String),
    /// The connector was created for another phone number.
    #[error("the connector was created for phone number {0}")]
    OtherPhoneNumber(PhoneNumberId),
    /// The connector could not be read, for example because it was deleted.
    #[error("the connector cannot be read")]
    Read(#[source] Error),
    /// The journal could not be read or written, or is in use.
    #[error("the journal cannot be used")]
    Journal(#[from] io::Error),
}

impl Workspace {
    /// Tells a journal which connector a phone number has, after a person found it, for example in the Bird dashboard.
    /// The next batch waits for the channel of this connector.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let sandbox = bird_sandbox::Sandbox::builder().in_memory();
    /// # let transport = sandbox.transport();
    /// # let key = sandbox.access_key();
    /// # let id = sandbox.workspace_id();
    /// # let workspace = bird_sms::test_util::workspace(transport, key, id);
    /// # let journal = bird_sms::test_util::MemoryJournal::default();
    /// let number = "2cffb55c-120e-91a8-8f10-ed9d1b412d29".parse()?;
    /// # let install = workspace.install_sms_channel("My SMS channel", number).await?;
    /// # let connector_id = install.connector_id;
    /// workspace.adopt(&journal, number, connector_id).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Use it if the outcome for a phone number is unknown, if a creation was refused because a connector exists, or if
    /// the connector was deleted. The connector is read first, to check its template and phone number. Adopting the
    /// same connector again changes nothing.
    ///
    /// # Errors
    ///
    /// Fails if the connector cannot be read, has another phone number or is not for SMS, if the phone number has
    /// another connector, or if the journal fails or is in use by a batch.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is created. The entry may or may not be appended.
    pub async fn adopt(
        &self,
        journal: &dyn Journal,
        phone_number_id: PhoneNumberId,
        connector_id: ConnectorId,
    ) -> Result<(), AdoptionError> {
        let _in_use = InUse::begin(journal, self.id())?;
        let rows = journal.load().await?;
        if !rows.check_adoption(phone_number_id, connector_id)? {
            return Ok(());
        }
        let row = rows.row(phone_number_id);
        if let (ConnectorState::Exists(id), false) = (row.connector_state(), row.adopted) {
            match self.connector(id).await {
                Err(error) if error.status() == Some(404) => {}
                Err(error) => return Err(AdoptionError::Read(error)),
                // The response to the creation named a connector that belongs to another phone number.
                Ok(own) if own.phone_number_id.is_some_and(|id| id != phone_number_id) => {}
                Ok(_) => return Err(AdoptionError::OtherConnector(id)),
            }
        }
        let connector = self.connector(connector_id).await.map_err(AdoptionError::Read)?;
        if let Some(template) =
            connector.template_ref.filter(|template| is_other_template(template))
        {
            return Err(AdoptionError::OtherTemplate(template));
        }
        if let Some(other) = connector.phone_number_id.filter(|id| *id != phone_number_id) {
            return Err(AdoptionError::OtherPhoneNumber(other));
        }
        Ok(journal.append(phone_number_id, JournalEntry::Adopted { connector_id }).await?)
    }
}

impl JournalState {
    /// Runs the checks of [`Workspace::adopt`] that need no request. Returns `false` if the row already has this
    /// connector.
    ///
    /// # Errors
    ///
    /// Fails if the channel of the row is ready, or if another row has this connector.
    pub fn check_adoption(
        &self,
        phone_number_id: PhoneNumberId,
        connector_id: ConnectorId,
    ) -> Result<bool, AdoptionError> {
        let row = self.row(phone_number_id);
        let has = |state: ConnectorState| state == ConnectorState::Exists(connector_id);
        if has(row.connector_state()) {
            return Ok(false);
        }
        if row.channel_id().is_some() {
            return Err(AdoptionError::Ready);
        }
        match self.rows().find(|(_, row)| has(row.connector_state())) {
            Some((other, _)) => Err(AdoptionError::OtherRow(other)),
            None => Ok(true),
        }
    }
}
