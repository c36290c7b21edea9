use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use bird_sms::open_regular_file;

/// The maximum length of a text file, in bytes.
const MAX_TEXT: u64 = 64 * 1024;

/// Reads a text file of at most 64 KiB.
pub(crate) fn read_short_text(path: &Path) -> io::Result<String> {
    let file = open_regular_file(path, OpenOptions::new().read(true))?;
    let mut text = String::new();
    if file.take(MAX_TEXT + 1).read_to_string(&mut text)? as u64 > MAX_TEXT {
        return Err(io::Error::new(ErrorKind::InvalidData, "it is longer than 64 KiB"));
    }
    Ok(text)
}
