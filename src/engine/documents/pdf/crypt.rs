//! Files that are encrypted and that anybody may read: the password is empty.

use aws_lc_rs::cipher::{
    AES_128, AES_256, DecryptingKey, DecryptionContext, EncryptingKey, EncryptionContext, UnboundCipherKey,
};
use aws_lc_rs::digest::{SHA256, SHA384, SHA512, digest};
use aws_lc_rs::iv::FixedLength;

use super::file::{PdfFile, PdfRefusal};
use super::object::{PdfFields, PdfId, PdfObject};

/// What stands for a password that is shorter than 32 bytes.
const PADDING: [u8; 32] = [
    0x28, 0xBF, 0x4E, 0x5E, 0x4E, 0x75, 0x8A, 0x41, 0x64, 0x00, 0x4E, 0x56, 0xFF, 0xFA, 0x01, 0x08, 0x2E, 0x2E, 0x00,
    0xB6, 0xD0, 0x68, 0x3E, 0x80, 0x2F, 0x0C, 0xA9, 0xFE, 0x64, 0x53, 0x69, 0x7A,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CipherMethod {
    None,
    Rc4,
    Aes128,
    Aes256,
}

#[derive(Debug)]
pub(super) struct PdfCipher {
    key: Vec<u8>,
    streams: CipherMethod,
    texts: CipherMethod,
}

impl PdfCipher {
    /// `None`: it asks for a password, or is encrypted in a way that nobody knows.
    pub(super) fn without_password(
        file: &PdfFile<'_>,
        fields: &PdfFields,
        id: &[u8],
    ) -> Result<Option<Self>, PdfRefusal> {
        let number = |name: &str| Ok::<_, PdfRefusal>(file.field(fields, name)?.number());
        let version = number("V")?.unwrap_or(0.0);
        let revision = number("R")?.unwrap_or(0.0);
        let bits = number("Length")?.filter(|bits| (40.0..=256.0).contains(bits)).unwrap_or(40.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "looked at just above")]
        let mut length = (bits / 8.0) as usize;
        let (mut streams, mut texts) = (CipherMethod::Rc4, CipherMethod::Rc4);
        if version >= 4.0 {
            streams = method(file, fields, "StmF")?;
            texts = method(file, fields, "StrF")?;
            length = if version >= 5.0 { 32 } else { 16 };
        } else if version < 2.0 {
            length = 5;
        }
        let text = |name: &str| Ok::<_, PdfRefusal>(file.field(fields, name)?.text().map(|text| text.to_vec()));
        let (Some(owner), Some(user)) = (text("O")?, text("U")?) else { return Ok(None) };
        if version >= 5.0 {
            let Some(wrapped) = text("UE")? else { return Ok(None) };
            let key = key_of_five(&user, &wrapped, revision >= 6.0);
            return Ok(key.map(|key| Self { key, streams, texts }));
        }
        let allowed = file.field(fields, "P")?.bits();
        let mut input = PADDING.to_vec();
        input.extend_from_slice(owner.get(..32).unwrap_or(&owner));
        input.extend_from_slice(&allowed.to_le_bytes());
        input.extend_from_slice(id);
        let hides_metadata = !matches!(file.field(fields, "EncryptMetadata")?, PdfObject::Bool(false));
        if revision >= 4.0 && !hides_metadata {
            input.extend_from_slice(&[0xff; 4]);
        }
        let mut key = md5::compute(&input).0.to_vec();
        let length = length.min(16);
        if revision >= 3.0 {
            for _ in 0..50 {
                key = md5::compute(key.get(..length).unwrap_or_default()).0.to_vec();
            }
        }
        key.truncate(length);
        Ok(is_users(&key, &user, revision, id).then_some(Self { key, streams, texts }))
    }

    pub(super) fn stream(&self, bytes: &[u8], id: PdfId) -> Vec<u8> {
        self.decrypted(self.streams, bytes, id)
    }

    /// The object with its texts as they are meant.
    pub(super) fn texts_of(&self, object: PdfObject, id: PdfId) -> PdfObject {
        match object {
            PdfObject::Text(text) => PdfObject::Text(self.decrypted(self.texts, &text, id).into()),
            PdfObject::List(list) => {
                PdfObject::List(list.iter().map(|item| self.texts_of(item.clone(), id)).collect::<Vec<_>>().into())
            }
            PdfObject::Fields(fields) => {
                let field =
                    |(name, value): (&_, &PdfObject)| (std::rc::Rc::clone(name), self.texts_of(value.clone(), id));
                PdfObject::Fields(fields.iter().map(field).collect::<PdfFields>().into())
            }
            other => other,
        }
    }

    fn decrypted(&self, method: CipherMethod, bytes: &[u8], id: PdfId) -> Vec<u8> {
        match method {
            CipherMethod::None => bytes.to_vec(),
            CipherMethod::Rc4 => rc4(&self.key_of(id, false), bytes),
            CipherMethod::Aes128 => aes(&self.key_of(id, true), bytes).unwrap_or_default(),
            CipherMethod::Aes256 => aes(&self.key, bytes).unwrap_or_default(),
        }
    }

    fn key_of(&self, id: PdfId, is_aes: bool) -> Vec<u8> {
        let mut input = self.key.clone();
        input.extend(id.number.to_le_bytes().iter().take(3));
        input.extend(id.generation.to_le_bytes().iter().take(2));
        if is_aes {
            input.extend_from_slice(b"sAlT");
        }
        let mut key = md5::compute(&input).0.to_vec();
        key.truncate((self.key.len() + 5).min(16));
        key
    }
}

fn method(file: &PdfFile<'_>, fields: &PdfFields, name: &str) -> Result<CipherMethod, PdfRefusal> {
    let chosen = file.field(fields, name)?;
    let Some(chosen) = chosen.name() else { return Ok(CipherMethod::None) };
    let filters = file.field(fields, "CF")?;
    let Some(filter) = filters.fields() else { return Ok(CipherMethod::None) };
    let filter = file.field(filter, chosen)?;
    let Some(filter) = filter.fields() else { return Ok(CipherMethod::None) };
    let method = file.field(filter, "CFM")?;
    Ok(match method.name().map(|name| &**name) {
        Some("V2") => CipherMethod::Rc4,
        Some("AESV2") => CipherMethod::Aes128,
        Some("AESV3") => CipherMethod::Aes256,
        _ => CipherMethod::None,
    })
}

/// Whether the key of an empty password is the one that the file was encrypted with.
fn is_users(key: &[u8], user: &[u8], revision: f64, id: &[u8]) -> bool {
    if revision < 3.0 {
        return rc4(key, &PADDING) == user.get(..32).unwrap_or(user);
    }
    let mut input = PADDING.to_vec();
    input.extend_from_slice(id);
    let mut proof = md5::compute(&input).0.to_vec();
    for round in 0..20_u8 {
        let key: Vec<u8> = key.iter().map(|byte| byte ^ round).collect();
        proof = rc4(&key, &proof);
    }
    user.get(..16) == Some(proof.as_slice())
}

/// Of 256 bits; `is_slow`: their second form.
fn key_of_five(user: &[u8], wrapped: &[u8], is_slow: bool) -> Option<Vec<u8>> {
    let hash = |salt: &[u8]| if is_slow { slow_hash(salt) } else { Some(digest(&SHA256, salt).as_ref().to_vec()) };
    let (proof, salts) = (user.get(..32)?, user.get(32..48)?);
    let (check, salt) = salts.split_at(8);
    if hash(check)? != proof {
        return None;
    }
    unwrapped(&hash(salt)?, &[0; 16], wrapped.get(..32)?)
}

/// At least 64 rounds, each of a hash that the one before it chooses.
fn slow_hash(salt: &[u8]) -> Option<Vec<u8>> {
    let mut key = digest(&SHA256, salt).as_ref().to_vec();
    for round in 0_u32..1024 {
        let mut block = key.repeat(64);
        let cipher = EncryptingKey::cbc(UnboundCipherKey::new(&AES_128, key.get(..16)?).ok()?).ok()?;
        let begin: &[u8; 16] = key.get(16..32)?.try_into().ok()?;
        cipher.less_safe_encrypt(&mut block, EncryptionContext::Iv128(FixedLength::from(begin))).ok()?;
        let sum: u32 = block.iter().take(16).map(|byte| u32::from(*byte)).sum();
        let algorithm = match sum % 3 {
            0 => &SHA256,
            1 => &SHA384,
            _ => &SHA512,
        };
        key = digest(algorithm, &block).as_ref().to_vec();
        if round >= 63 && u32::from(*block.last()?) <= round - 31 {
            break;
        }
    }
    key.truncate(32);
    Some(key)
}

fn rc4(key: &[u8], bytes: &[u8]) -> Vec<u8> {
    let mut state: Vec<u8> = (0..=255).collect();
    let at = |state: &[u8], place: u8| state.get(usize::from(place)).copied().unwrap_or_default();
    let mut other = 0_u8;
    for (place, key) in (0..=255_u8).zip(key.iter().cycle()) {
        other = other.wrapping_add(at(&state, place)).wrapping_add(*key);
        state.swap(usize::from(place), usize::from(other));
    }
    let (mut one, mut other) = (0_u8, 0_u8);
    let mut next = |byte: &u8| {
        one = one.wrapping_add(1);
        other = other.wrapping_add(at(&state, one));
        state.swap(usize::from(one), usize::from(other));
        byte ^ at(&state, at(&state, one).wrapping_add(at(&state, other)))
    };
    bytes.iter().map(&mut next).collect()
}

/// The first 16 bytes are where it begins, the last say how many are too many.
fn aes(key: &[u8], bytes: &[u8]) -> Option<Vec<u8>> {
    let (begin, rest) = bytes.split_at_checked(16)?;
    let whole = rest.len() / 16 * 16;
    let mut plain = unwrapped(key, begin.try_into().ok()?, rest.get(..whole)?)?;
    let surplus = usize::from(*plain.last()?);
    if (1..=16).contains(&surplus) {
        plain.truncate(plain.len() - surplus);
    }
    Some(plain)
}

fn unwrapped(key: &[u8], begin: &[u8; 16], bytes: &[u8]) -> Option<Vec<u8>> {
    let algorithm = if key.len() == 32 { &AES_256 } else { &AES_128 };
    let key = DecryptingKey::cbc(UnboundCipherKey::new(algorithm, key).ok()?).ok()?;
    let mut bytes = bytes.to_vec();
    let length = key.decrypt(&mut bytes, DecryptionContext::Iv128(FixedLength::from(begin))).ok()?.len();
    bytes.truncate(length);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rc4_is_rc4() {
        assert_eq!(rc4(b"Key", b"Plaintext"), [0xBB, 0xF3, 0x16, 0xE8, 0xD9, 0x40, 0xAF, 0x0A, 0xD3]);
    }
}
