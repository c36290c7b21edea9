//! The access key, typed where something else belongs. Printed back, it would end up in a log.

use std::ffi::OsString;
use std::path::Path;
use std::sync::LazyLock;

use bird_sms::AccessKey;

use crate::regular_file::read_short_text;

/// The access keys of the environment and of `--access-key-file`, as far as they can be used.
static KEYS: LazyLock<Vec<AccessKey>> = LazyLock::new(|| {
    let of_environment = std::env::var("BIRD_ACCESS_KEY").ok();
    let keys = key_of_file(std::env::args_os().skip(1)).into_iter().chain(of_environment);
    keys.filter_map(|key| AccessKey::new(key.trim()).ok()).collect()
});

/// Returns whether text contains an access key that this process was given.
pub(crate) fn is_in(text: &str) -> bool {
    KEYS.iter().any(|key| key.is_in(text))
}

/// Returns the position of the first argument that contains an access key.
pub(crate) fn argument_with_key() -> Option<usize> {
    std::env::args_os().skip(1).position(|arg| is_in(&arg.to_string_lossy())).map(|index| index + 1)
}

/// Returns the access key of the file that `--access-key-file` names, in arguments that may have errors.
fn key_of_file(mut args: impl Iterator<Item = OsString>) -> Option<String> {
    const OPTION: &str = "--access-key-file";
    let arg = args.find(|arg| arg.to_string_lossy().split('=').next() == Some(OPTION))?;
    let path = match arg.to_str()?.strip_prefix(OPTION)?.strip_prefix('=') {
        Some(path) => path.into(),
        None => args.next()?,
    };
    read_short_text(Path::new(&path)).ok()
}
