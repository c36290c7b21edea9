//! Reads the access key, and detects it in arguments and values, because printing those could leak it into a log.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use bird_sms::AccessKey;

use crate::args::Args;

/// The maximum size of an access key file, in bytes.
const MAX_TEXT: u64 = 64 * 1024;

/// The text of `--access-key-file`. It is read once, because it may be a pipe.
static FILE: OnceLock<io::Result<String>> = OnceLock::new();

/// Reads the file of `--access-key-file`.
pub(crate) fn read_file(args: Option<&Args>) {
    let shared = args.and_then(|args| args.command.shared());
    let path = match args {
        Some(_) => shared.and_then(|shared| shared.access_key_file.clone()),
        None => path_of(std::env::args_os().skip(1)),
    };
    // If the arguments are wrong, they are reported after at most a second.
    let timeout = shared.map_or(Duration::from_secs(1), |shared| shared.timeout);
    if let Some(path) = path {
        let (done, text) = mpsc::channel();
        thread::spawn(move || done.send(read_text(&path)));
        let late = || io::Error::new(ErrorKind::TimedOut, "its end did not come in time");
        let _ = FILE.set(text.recv_timeout(timeout).unwrap_or_else(|_| Err(late())));
    }
}

fn read_text(path: &Path) -> io::Result<String> {
    let file: Box<dyn Read> =
        if path == Path::new("-") { Box::new(io::stdin()) } else { Box::new(File::open(path)?) };
    let mut text = String::new();
    if file.take(MAX_TEXT + 1).read_to_string(&mut text)? as u64 > MAX_TEXT {
        return Err(io::Error::new(ErrorKind::InvalidData, "it is longer than 64 KiB"));
    }
    Ok(text)
}

/// Returns the value of `--access-key-file` in arguments that clap rejected.
fn path_of(mut args: impl Iterator<Item = OsString>) -> Option<PathBuf> {
    const OPTION: &str = "--access-key-file";
    let arg = args.find(|arg| arg.to_string_lossy().split('=').next() == Some(OPTION))?;
    match arg.to_str()?.strip_prefix(OPTION)?.strip_prefix('=') {
        Some(path) => Some(path.into()),
        None => args.next().map(PathBuf::from),
    }
}

/// Returns the text of the access key file, or else of `BIRD_ACCESS_KEY`, without a final line break. `None` if neither
/// is set.
pub(crate) fn text() -> Option<Result<String, &'static io::Error>> {
    let text = match FILE.get() {
        Some(text) => text.as_ref().cloned(),
        None => Ok(std::env::var_os("BIRD_ACCESS_KEY")?.to_string_lossy().into_owned()),
    };
    // Editors and shells end text with a line break, which is not part of the key.
    Some(text.map(|mut text| {
        let key = text.strip_suffix('\n').unwrap_or(&text);
        text.truncate(key.strip_suffix('\r').unwrap_or(key).len());
        text
    }))
}

/// Returns whether text contains an access key of this process.
pub(crate) fn is_in(text: &str) -> bool {
    static KEYS: OnceLock<Vec<AccessKey>> = OnceLock::new();
    let keys = KEYS.get_or_init(|| {
        let of_environment = std::env::var("BIRD_ACCESS_KEY").ok();
        let of_file = FILE.get().and_then(|text| text.as_ref().ok().cloned());
        let keys = of_file.into_iter().chain(of_environment);
        keys.filter_map(|key| AccessKey::new(key.trim()).ok()).collect()
    });
    keys.iter().any(|key| key.is_in(text))
}

/// Returns the position of the first argument that contains an access key.
pub(crate) fn argument_with_key() -> Option<usize> {
    std::env::args_os().skip(1).position(|arg| is_in(&arg.to_string_lossy())).map(|index| index + 1)
}
