//! Header fields.

use http::HeaderValue;

/// A header that holds a secret.
///
/// # Errors
/// It cannot stand in a header.
pub(crate) fn secret_header(text: &str) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::from_str(text).map_err(|_| "the credential cannot stand in a header".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}
