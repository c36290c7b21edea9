//! `Workspace::adopt`: which connector a row may adopt.

use super::*;
use crate::AdoptionError;

/// Lets row 1 of a journal adopt a connector, and returns how many entries are added.
async fn adopt(
    entries: &[(PhoneNumberId, JournalEntry)],
    replies: &[Reply],
) -> Result<usize, AdoptionError> {
    let bird = InMemory::script(replies.iter().cloned());
    let journal = journal(entries.iter().cloned());
    let result = scripted(&bird).adopt(&*journal, number(1), connector_id()).await;
    assert_eq!(bird.gets(), replies.len());
    let adopted = (number(1), JournalEntry::Adopted { connector_id: connector_id() });
    let added = journal.entries().split_off(entries.len());
    assert!(added.is_empty() || result.is_ok() && added == [adopted]);
    result.map(|()| added.len())
}

#[tokio::test(start_paused = true)]
async fn only_an_sms_connector_of_the_same_number_is_adopted() {
    let adopt = async |reply| adopt(&[intent(number(1))], &[reply]).await;
    let with = |field: &str| Reply::json(200, ready().replacen('{', &format!("{{{field},"), 1));
    let arguments = |n| format!(r#""arguments": {{"phoneNumberId": "{}"}}"#, number(n));
    let sms = r#""connectorTemplateRef": "sms-messagebird:1""#;
    let newer = with(r#""connectorTemplateRef": "sms-messagebird:2""#);
    for agreeing in [with(&format!("{sms}, {}", arguments(1))), newer, Reply::json(200, ready())] {
        assert_eq!(adopt(agreeing).await.unwrap(), 1);
    }
    let error = adopt(with(r#""connectorTemplateRef": "whatsapp:1""#)).await.unwrap_err();
    assert!(matches!(&error, AdoptionError::OtherTemplate(template) if template == "whatsapp:1"));
    let error = adopt(with(&arguments(2))).await.unwrap_err();
    assert!(matches!(error, AdoptionError::OtherPhoneNumber(other) if other == number(2)));
    let deleted = adopt(Reply::status(404)).await.unwrap_err();
    assert!(matches!(deleted, AdoptionError::Read(_)));
}

#[tokio::test(start_paused = true)]
async fn only_a_row_without_its_own_connector_adopts_one() {
    let found = Reply::json(200, ready());
    let refused = (number(1), JournalEntry::Refused { message: "409".to_owned() });
    assert_eq!(
        adopt(&[intent(number(1)), refused], std::slice::from_ref(&found)).await.unwrap(),
        1
    );
    // The row already has this connector, so nothing is added.
    assert_eq!(adopt(&[created(number(1))], &[]).await.unwrap(), 0);
    let other: ConnectorId = CHANNEL.parse().unwrap();
    let channel_id = CHANNEL.parse().unwrap();
    let is_ready = JournalEntry::Ready { connector_id: other, channel_id, warning: None };
    let error = adopt(&[(number(1), is_ready)], &[]).await.unwrap_err();
    assert!(matches!(error, AdoptionError::Ready));
    let error = adopt(&[created(number(2))], &[]).await.unwrap_err();
    assert!(matches!(error, AdoptionError::OtherRow(row) if row == number(2)));
    // The 404 shows that the row's own connector was deleted, so the row may adopt another.
    let own = JournalEntry::Created { connector_id: other, warning: None };
    let replies = [Reply::status(404), found];
    assert_eq!(adopt(&[(number(1), own)], &replies).await.unwrap(), 1);
}
