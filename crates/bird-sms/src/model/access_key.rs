use std::fmt;
use std::sync::Arc;

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

use crate::ConfigurationError;

/// A Bird access key.
///
/// ```
/// use bird_sms::AccessKey;
///
/// let key = AccessKey::new("the-key-from-the-dashboard")?;
/// assert_eq!(format!("{key:?}"), "AccessKey([redacted])");
/// assert!(AccessKey::new("BIRD_ACCESS_KEY=the-key").is_err());
/// # Ok::<(), bird_sms::ConfigurationError>(())
/// ```
///
/// No output of this crate contains the key, and dropping its last clone wipes it from memory. A
/// [`Client`](crate::Client) keeps another copy, in the header that it sends.
#[derive(Clone)]
pub struct AccessKey(pub(super) Arc<SecretString>);

impl AccessKey {
    /// Creates an access key from the text that the dashboard shows.
    ///
    /// # Errors
    ///
    /// Fails if the key can't be sent in a header, because it is empty or contains a space, a line break or another character
    /// that is not visible ASCII. Also fails if the key is in quotes, which `docker --env-file` keeps, or contains
    /// `BIRD_ACCESS_KEY`. The error does not contain the key.
    pub fn new(key: impl Into<String>) -> Result<Self, ConfigurationError> {
        const QUOTES: [char; 3] = ['"', '\'', '`'];
        let key = SecretString::from(key.into());
        let problem = match key.expose_secret() {
            "" => "is empty",
            text if text.contains("BIRD_ACCESS_KEY") => {
                "contains `BIRD_ACCESS_KEY`; give only the value after `BIRD_ACCESS_KEY=`"
            }
            text if text.contains(['\r', '\n']) => "contains a line break",
            text if text.contains(' ') => {
                "contains a space; give only the key, without `AccessKey`"
            }
            text if !text.bytes().all(|byte| byte.is_ascii_graphic()) => {
                "contains a character that is not visible ASCII"
            }
            text if text.starts_with(QUOTES) || text.ends_with(QUOTES) => {
                "is in quotes; give it without them"
            }
            _ => return Ok(Self(Arc::new(key))),
        };
        Err(ConfigurationError::AccessKey(problem))
    }

    /// Returns whether the key starts like a key for another Bird API: with `bk_` for the platform API, which Bird's SDKs
    /// use, or with `test_` for the older REST API.
    pub(crate) fn is_of_other_product(&self) -> bool {
        let key = self.0.expose_secret();
        key.starts_with("bk_") || key.starts_with("test_")
    }

    /// Returns the value of the `Authorization` header.
    pub(crate) fn authorization(&self) -> Result<HeaderValue, ConfigurationError> {
        let mut value = HeaderValue::try_from(format!("AccessKey {}", self.0.expose_secret()))
            .map_err(|_| ConfigurationError::AccessKey("cannot be sent in a header"))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// Prints no part of the key.
impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_cannot_be_sent_in_a_header_is_refused() {
        for key in ["", "secret\n", "secret\r\nX-Evil: 1", "sec ret", "sécret", "secret\0"] {
            let error = AccessKey::new(key).unwrap_err().to_string();
            assert!(!error.contains("secret") && !error.contains("Evil"), "{error}");
        }
    }

    #[test]
    fn a_key_in_quotes_or_with_the_variable_name_is_refused() {
        for (key, problem) in [
            ("\"secret\"", "is in quotes"),
            ("'secret'", "is in quotes"),
            ("`secret`", "is in quotes"),
            ("secret\"", "is in quotes"),
            ("BIRD_ACCESS_KEY=secret", "contains `BIRD_ACCESS_KEY`"),
            ("export BIRD_ACCESS_KEY=\"secret\"\n", "contains `BIRD_ACCESS_KEY`"),
        ] {
            let error = AccessKey::new(key).unwrap_err().to_string();
            assert!(error.contains(problem) && !error.contains("secret"), "{error}");
        }
        assert!(AccessKey::new("se\"cr'et=").is_ok());
    }

    #[test]
    fn debug_output_does_not_contain_the_key() {
        let key = AccessKey::new("secret").unwrap();
        assert!(!format!("{key:?} {:?}", key.authorization().unwrap()).contains("secret"));
    }
}
