//! Tests of `FileJournal` with files that are changed, locked or symlinked from outside.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bird_sms::uuid::Uuid;
use bird_sms::{
    AccessKey, Client, FileJournal, FileJournalError, Journal, JournalContent, JournalEntry,
    Workspace,
};
use tempfile::TempDir;

const URL: &str = "https://api.bird.com";

fn workspace_at(base_url: &str) -> Workspace {
    let builder = Client::builder().base_url(base_url).access_key(AccessKey::new("key").unwrap());
    builder.build().unwrap().workspace(Uuid::from_u128(1).into())
}

fn workspace() -> Workspace {
    workspace_at(URL)
}

fn open_error(path: &Path, workspace: &Workspace) -> FileJournalError {
    FileJournal::open(path, workspace).map(drop).unwrap_err()
}

async fn append(journal: &FileJournal, row: u128) -> std::io::Result<()> {
    let entry = JournalEntry::Adopted { connector_id: Uuid::from_u128(row).into() };
    journal.append(Uuid::from_u128(row).into(), entry).await
}

fn rows(content: &JournalContent) -> usize {
    content.rows.rows().count()
}

#[test]
fn a_long_file_of_zeros_is_not_a_new_journal() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("j.jsonl");
    fs::write(&path, [0; 5000]).unwrap();
    let error = open_error(&path, &workspace());
    assert!(matches!(error, FileJournalError::Damaged { line: 1, .. }), "{error:?}");
    // A crash may leave these while the first line is written.
    fs::write(&path, [0; 100]).unwrap();
    FileJournal::open(&path, &workspace()).unwrap();
}

#[tokio::test]
async fn a_journal_of_another_workspace_is_not_used() {
    let folder = TempDir::new().unwrap();
    let workspace = workspace_at("http://127.0.0.1:1");
    let journal = FileJournal::open(folder.path().join("j.jsonl"), &workspace).unwrap();
    let other = workspace.client().workspace(Uuid::from_u128(2).into());
    let install = other.install_sms_channel("n", Uuid::from_u128(3).into());
    let install = install.timeout(Duration::from_secs(1)).journal(Arc::new(journal));
    let error = install.await.unwrap_err();
    assert!(error.chain().contains("the journal belongs to another workspace"), "{error:?}");
}

#[tokio::test]
async fn a_journal_changed_from_outside_takes_no_more_entries() {
    let touches: [fn(&Path); 7] = [
        |path| fs::write(path, "").unwrap(),
        |path| fs::write(path, &fs::read(path).unwrap()[..20]).unwrap(),
        |path| fs::write(path, [fs::read(path).unwrap(), b"\n".to_vec()].concat()).unwrap(),
        // A longer file, as if someone had restored another journal.
        |path| fs::write(path, "x".repeat(1000)).unwrap(),
        |path| fs::rename(path, path.with_extension("old")).unwrap(),
        |path| fs::remove_file(path).unwrap(),
        |path| {
            let copy = path.with_extension("copy");
            fs::copy(path, &copy).unwrap();
            fs::rename(copy, path).unwrap();
        },
    ];
    for (nth, touch) in touches.into_iter().enumerate() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("j.jsonl");
        let journal = FileJournal::open(&path, &workspace()).unwrap();
        append(&journal, 1).await.unwrap();
        journal.drain().await.unwrap();
        touch(&path);
        let after = fs::read(&path).ok();
        // Both the `drain` at the end of a batch and the next append notice the change.
        let drained = journal.drain().await;
        assert_eq!(drained.unwrap_err().kind(), ErrorKind::InvalidData, "{nth}");
        let error = append(&journal, 2).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{nth}");
        assert!(error.to_string().contains("j.jsonl was "), "{error}");
        drop(journal);
        assert_eq!(fs::read(&path).ok(), after, "{nth}");
    }
}

#[tokio::test]
async fn a_journal_with_crlf_and_blank_lines_can_be_resumed() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("j.jsonl");
    for row in 1..=3 {
        let journal = FileJournal::open(&path, &workspace()).unwrap();
        let state = journal.load().await.unwrap();
        assert_eq!((state.rows().count(), journal.torn_line()), (row - 1, None));
        append(&journal, row as u128).await.unwrap();
        drop(journal);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace('\n', "\r\n") + "\n  \r\n\n\r").unwrap();
    }
    let content = JournalContent::read(&path, Some(workspace().id()), URL).unwrap();
    assert_eq!(rows(&content), 3);
}

#[test]
fn a_missing_journal_reads_as_empty_and_a_folder_is_an_error() {
    let folder = TempDir::new().unwrap();
    let missing = JournalContent::read(folder.path().join("j.jsonl"), None, URL).unwrap();
    assert_eq!(rows(&missing), 0);
    let error = JournalContent::read(folder.path(), None, URL).unwrap_err();
    assert!(matches!(error, FileJournalError::Io { .. }), "{error}");
}

#[tokio::test]
async fn a_journal_of_another_server_is_refused_and_unchanged() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("j.jsonl");
    let journal = FileJournal::open(&path, &workspace_at("https://staging.test/")).unwrap();
    append(&journal, 1).await.unwrap();
    drop(journal);
    let before = fs::read(&path).unwrap();
    let error = open_error(&path, &workspace());
    assert!(matches!(error, FileJournalError::OtherServer { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("https://staging.test,") && text.ends_with(URL), "{text}");
    let in_sandbox = FileJournal::open_at(&path, workspace().id(), FileJournal::SANDBOX);
    assert!(matches!(in_sandbox, Err(FileJournalError::OtherServer { .. })));
    let error = JournalContent::read(&path, None, URL).unwrap_err();
    assert!(matches!(error, FileJournalError::OtherServer { .. }), "{error}");
    assert!(!error.hint().contains("another file"), "{}", error.hint());
    assert_eq!(fs::read(&path).unwrap(), before);
    for same in ["https://staging.test", "https://STAGING.test:443/"] {
        assert_eq!(rows(&JournalContent::read(&path, None, same).unwrap()), 1, "{same}");
        FileJournal::open(&path, &workspace_at(same)).unwrap();
    }
}

#[test]
fn opening_another_journal_of_a_locked_workspace_fails() {
    let folder = TempDir::new().unwrap();
    let first = folder.path().join("a.jsonl");
    let second = folder.path().join("b.jsonl");
    let journal = FileJournal::open(first, &workspace()).unwrap();
    let error = open_error(&second, &workspace());
    assert!(matches!(error, FileJournalError::WorkspaceInUse { .. }), "{error}");
    assert!(!second.exists());
    drop(journal);
    FileJournal::open(second, &workspace()).unwrap();
}

#[cfg(unix)]
#[test]
fn a_symlinked_journal_is_locked_in_the_folder_of_its_target() {
    let folder = TempDir::new().unwrap();
    let real = folder.path().join("real");
    let links = folder.path().join("links");
    fs::create_dir(&real).unwrap();
    fs::create_dir(&links).unwrap();
    let link = links.join("j.jsonl");
    // The link leads to another link, and then to a file that does not exist yet.
    std::os::unix::fs::symlink("second.jsonl", &link).unwrap();
    std::os::unix::fs::symlink("../real/j.jsonl", links.join("second.jsonl")).unwrap();
    for _ in 0..2 {
        let journal = FileJournal::open(&link, &workspace()).unwrap();
        let error = open_error(&real.join("other.jsonl"), &workspace());
        assert!(matches!(error, FileJournalError::WorkspaceInUse { .. }), "{error}");
        drop(journal);
        assert!(real.join("j.jsonl").is_file());
        assert_eq!(fs::read_dir(&links).unwrap().count(), 2);
    }
    std::os::unix::fs::symlink("circle", links.join("circle")).unwrap();
    let error = open_error(&links.join("circle"), &workspace());
    assert!(matches!(error, FileJournalError::Io { .. }), "{error}");
}

#[test]
fn opening_an_unusable_path_leaves_no_lock_file() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("directory")).unwrap();
    let error = open_error(&folder.path().join("directory"), &workspace());
    assert!(error.chain().contains("it is not a regular file"), "{error}");
    let error = open_error(&folder.path().join("absent/j.jsonl"), &workspace());
    assert!(matches!(error, FileJournalError::Io { .. }), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}
