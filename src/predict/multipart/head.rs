//! The heads of parts, as browsers and HTTP libraries write them.

use super::{BASE64_PART, PART, malformed};
use crate::wire::refusal::Refusal;

/// A part that the widget sends as well: the chat that stands in the path already.
const CHAT_PART: &str = "chatId";
/// A part of forms that fill a vector store.
const STOP_NODE_PART: &str = "stopNodeId";

/// What a part is, by its head.
pub(super) enum FormPart {
    File { name: String, media_type: String },
    Chat,
    StopNode,
    Base64,
}

/// Fields that say how a part is framed, or what nobody asked, are no matter: a part is written anew, and RFC 7578,
/// section 4.8, has them ignored. `OkHttp` sends `Content-Length`, Apache's client `Content-Transfer-Encoding`.
pub(super) fn read_head(head: &[u8]) -> Result<FormPart, Refusal> {
    let mut fields = [httparse::EMPTY_HEADER; 16];
    let unreadable = || malformed("A part's head cannot be read.");
    let Ok(httparse::Status::Complete((_, fields))) = httparse::parse_headers(head, &mut fields) else {
        return Err(unreadable());
    };
    let (mut disposition, mut media_type, mut encoding) = (None, None, None);
    for field in fields {
        let slot = match field.name.to_ascii_lowercase().as_str() {
            "content-disposition" => &mut disposition,
            "content-type" => &mut media_type,
            "content-transfer-encoding" => &mut encoding,
            _ => continue,
        };
        if slot.replace(std::str::from_utf8(field.value).map_err(|_| unreadable())?).is_some() {
            return Err(malformed("A part's head holds a field twice."));
        }
    }
    let is_verbatim = |coding: &str| ["binary", "8bit", "7bit"].iter().any(|it| it.eq_ignore_ascii_case(coding.trim()));
    if !encoding.is_none_or(is_verbatim) {
        return Err(malformed("A part's Content-Transfer-Encoding is not known: send files as they are (binary)."));
    }
    let disposition = disposition.ok_or_else(unreadable)?;
    let is_form_data = disposition.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("form-data"));
    let is_file = ["filename", "filename*"].iter().any(|name| parameter(disposition, name).is_some());
    match parameter(disposition, "name").as_deref() {
        Some(PART) if is_form_data => {}
        Some(CHAT_PART) if is_form_data && !is_file => return Ok(FormPart::Chat),
        Some(STOP_NODE_PART) if is_form_data && !is_file => return Ok(FormPart::StopNode),
        Some(BASE64_PART) if is_form_data && !is_file => return Ok(FormPart::Base64),
        _ => return Err(unknown_part()),
    }
    let media_type = media_type.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&^_.+-/".contains(&byte);
    if !media_type.bytes().all(is_token) {
        return Err(unreadable());
    }
    Ok(FormPart::File { name: file_name(disposition)?, media_type: media_type.to_ascii_lowercase() })
}

pub(super) fn unknown_part() -> Refusal {
    malformed("The only parts that are understood are files, chatId and base64.")
}

/// `filename*` counts before `filename`, which stands there for those who cannot read it (RFC 6266, section 4.3).
fn file_name(disposition: &str) -> Result<String, Refusal> {
    let plain = parameter(disposition, "filename");
    let Some(extended) = parameter(disposition, "filename*") else {
        return plain.ok_or_else(|| malformed("A part is no file with a name."));
    };
    match (extended_text(&extended), plain) {
        (Some(name), _) => Ok(name),
        (None, None) => Err(malformed("A file's name cannot be read.")),
        (None, Some(_)) => Err(malformed("A file has two names, and one of them cannot be read.")),
    }
}

/// `UTF-8''gr%C3%BCn.txt` (RFC 8187, section 3.2).
fn extended_text(value: &str) -> Option<String> {
    let mut parts = value.splitn(3, '\'');
    let (charset, _language, encoded) = (parts.next()?, parts.next()?, parts.next()?);
    if !charset.eq_ignore_ascii_case("utf-8") {
        return None;
    }
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            byte if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) => byte,
            _ => return None,
        });
    }
    String::from_utf8(bytes).ok()
}

/// A parameter of a field's value, quoted or not; `None` also if it stands there twice.
pub(super) fn parameter(value: &str, wanted: &str) -> Option<String> {
    let mut rest = value.split_once(';')?.1;
    let mut found = None;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ';']);
        let Some((name, after)) = rest.split_once('=') else { return found };
        let text;
        (text, rest) = if let Some(quoted) = after.strip_prefix('"') {
            unquoted(quoted)?
        } else {
            let (text, rest) = after.split_at(after.find(';').unwrap_or(after.len()));
            (text.trim().to_owned(), rest)
        };
        if name.trim().eq_ignore_ascii_case(wanted) && found.replace(text).is_some() {
            return None;
        }
    }
}

/// The text up to the closing quote, and what follows that.
fn unquoted(quoted: &str) -> Option<(String, &str)> {
    let mut text = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((text, quoted.get(at + 1..)?)),
            '\\' => text.push(letters.next()?.1),
            letter => text.push(letter),
        }
    }
    None
}
