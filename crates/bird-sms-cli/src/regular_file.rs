//! Opening of regular files only: a FIFO blocks, a device has no end, and a directory cannot be written.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// The maximum length of a text file, in bytes.
const MAX_TEXT: u64 = 64 * 1024;

/// Opens a regular file with these options, which may create the file.
pub(crate) fn open_regular_file(path: &Path, options: &OpenOptions) -> io::Result<File> {
    let refuse = |is_file: bool| {
        let error = || io::Error::new(ErrorKind::InvalidInput, "it is not a regular file");
        is_file.then_some(()).ok_or_else(error)
    };
    // Checked before opening, because opening a FIFO blocks, and after, because the path may have changed.
    match path.metadata() {
        Ok(metadata) => refuse(metadata.is_file())?,
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let file = options.open(path)?;
    refuse(file.metadata()?.is_file())?;
    Ok(file)
}

/// Reads a text file of at most 64 KiB.
pub(crate) fn read_short_text(path: &Path) -> io::Result<String> {
    let file = open_regular_file(path, OpenOptions::new().read(true))?;
    let mut text = String::new();
    if file.take(MAX_TEXT + 1).read_to_string(&mut text)? as u64 > MAX_TEXT {
        return Err(io::Error::new(ErrorKind::InvalidData, "it is longer than 64 KiB"));
    }
    Ok(text)
}
