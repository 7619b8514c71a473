//! Credentials as Flowise keeps them: JSON, encrypted by crypto-js with a passphrase.
//!
//! That is OpenSSL's old form: `Salted__`, eight bytes of salt, and AES-256-CBC with a key and a vector that
//! `EVP_BytesToKey` makes of the passphrase and the salt by one round of MD5.

use std::collections::BTreeMap;

use aws_lc_rs::cipher::{AES_256, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::config::Secret;
use crate::wire::json;

/// The fields; `None`: that is not the key, or nothing that was encrypted with one.
pub(super) fn decrypted(encrypted: &str, passphrase: &Secret) -> Option<BTreeMap<String, Secret>> {
    let bytes = STANDARD.decode(encrypted.trim()).ok()?;
    let (salt, sealed) = bytes.strip_prefix(b"Salted__")?.split_first_chunk::<8>()?;
    // Flowise takes its file as it is; one that was written by hand ends with a line break that is not part of it.
    let whole = passphrase.expose();
    [whole, whole.trim_end()].into_iter().find_map(|passphrase| {
        let plain = opened(sealed, *salt, passphrase.as_bytes())?;
        let fields: Map<String, Value> = json::read(&plain).ok()?;
        Some(fields.into_iter().map(|(name, value)| (name, Secret::new(text(value)))).collect())
    })
}

fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        Value::Null => String::new(),
        value => value.to_string(),
    }
}

fn opened(sealed: &[u8], salt: [u8; 8], passphrase: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut derived = Zeroizing::new(Vec::with_capacity(48));
    let mut block = Zeroizing::new(Vec::new());
    while derived.len() < 48 {
        let mut round = Zeroizing::new(std::mem::take(&mut *block));
        round.extend_from_slice(passphrase);
        round.extend_from_slice(&salt);
        block.extend_from_slice(&*md5::compute(&*round));
        derived.extend_from_slice(&block);
    }
    let (key, vector) = derived.split_at_checked(32)?;
    let key = PaddedBlockDecryptingKey::cbc_pkcs7(UnboundCipherKey::new(&AES_256, key).ok()?).ok()?;
    let vector = DecryptionContext::Iv128(FixedLength::try_from(vector).ok()?);
    let mut plain = Zeroizing::new(sealed.to_vec());
    let length = key.decrypt(&mut plain, vector).ok()?.len();
    plain.truncate(length);
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by the library of Flowise 3.1.4 with the key below.
    const ENCRYPTED: &str = "U2FsdGVkX19Dn5PHH7CNHVBZSofA5OpRO24j/BA39/3dqfWu1jmosH3DJLXlUkLQmP5IigK0Q7rpm6Ijj06rNQ==";
    const KEY: &str = "bGFiLWVuY3J5cHRpb24ta2V5LW9mLXRlc3Rz";

    #[test]
    fn what_flowise_encrypted_is_read() {
        for key in [KEY.to_owned(), format!("{KEY}\n")] {
            let fields = decrypted(ENCRYPTED, &Secret::new(key)).unwrap();
            assert_eq!(fields["openAIApiKey"].expose(), "a-key-of-the-tests");
        }
        assert_eq!(decrypted(ENCRYPTED, &Secret::new("another".into())), None);
        for broken in ["", "U2FsdGVkX18=", "not base64", &ENCRYPTED[..40]] {
            assert_eq!(decrypted(broken, &Secret::new(KEY.into())), None, "{broken}");
        }
    }
}
