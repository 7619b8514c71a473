//! Stored files: how they are named in a query, a body or a path, and how they are handed out.

use std::borrow::Cow;

use http::HeaderMap;
use http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS,
};

use crate::percent::{self, PercentError};
use crate::predict::file_name;
use crate::predict::session::LONGEST_ID;
use crate::wire::refusal::{Refusal, Rule};

/// What `get-upload-file` names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RequestedFile {
    pub(crate) chatflow: String,
    pub(crate) chat: String,
    pub(crate) name: String,
}

/// Reads a query: each name once, each value decoded once, nothing else.
pub(crate) fn wanted(query: &str) -> Result<RequestedFile, Refusal> {
    let (mut chatflow, mut chat, mut name) = (None, None, None);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let slot = match key {
            "chatflowId" => &mut chatflow,
            "chatId" => &mut chat,
            "fileName" => &mut name,
            // Files are always handed out for saving.
            "download" if matches!(value, "true" | "false") => continue,
            _ => return Err(Rule::UnknownField.refuse("The query holds a field that is not known.")),
        };
        if slot.replace(decoded(value)?).is_some() {
            return Err(Rule::AmbiguousField.refuse("The query names a field twice."));
        }
    }
    let (Some(chatflow), Some(chat), Some(name)) = (chatflow, chat, name) else {
        return Err(Rule::FieldRequired.refuse("The query must name chatflowId, chatId and fileName."));
    };
    Ok(RequestedFile { chatflow, chat: chat_id(chat)?, name: stored_name(&name)? })
}

/// A name of a stored file, whatever it was called before it was stored.
pub(crate) fn stored_name(name: &str) -> Result<String, Refusal> {
    file_name::cleaned(name).map(Cow::into_owned).map_err(|sentence| Rule::FileName.refuse(sentence))
}

/// A chat's id from a path.
pub(crate) fn chat_of_path(segment: &str) -> Result<String, Refusal> {
    chat_id(decoded(segment)?)
}

/// An id of a chat that may stand in a path: Flowise makes folders of them (CVE-2025-26319, CVE-2025-71324).
pub(crate) fn chat_id(id: String) -> Result<String, Refusal> {
    let is_odd = |c: char| c.is_control() || matches!(c, '/' | '\\' | '%');
    if id.is_empty() || id.len() > LONGEST_ID || id.contains("..") || id == "." || id.chars().any(is_odd) {
        return Err(Rule::ChatPath.refuse("The id of the chat cannot stand in a path."));
    }
    Ok(id)
}

/// Percent-encoding, taken off once.
fn decoded(text: &str) -> Result<String, Refusal> {
    percent::decoded(text).map_err(|error| {
        Rule::Encoding.refuse(match error {
            PercentError::Digits => "The path or query is not encoded as URLs are.",
            PercentError::Utf8 => "The path or query is not UTF-8.",
        })
    })
}

/// Says what a file is by its name, for saving only: nothing in it may act in the gateway's own origin.
pub(crate) fn hand_out(headers: &mut HeaderMap, name: &str) {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    let media_type = match extension.as_deref() {
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("gif") => "image/gif",
        Some("webp") => "image/webp",
        Some("webm") => "audio/webm",
        Some("mp3") => "audio/mpeg",
        Some("wav") => "audio/wav",
        Some("ogg") => "audio/ogg",
        Some("m4a" | "mp4") => "audio/mp4",
        Some("pdf") => "application/pdf",
        Some("txt" | "md" | "csv" | "json") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    };
    // RFC 6266: quotes and controls are no part of a checked name.
    let plain: String = name.chars().map(|c| if c.is_ascii() { c } else { '_' }).collect();
    let disposition = HeaderValue::from_str(&format!("attachment; filename=\"{plain}\""));
    headers.clear();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CONTENT_DISPOSITION, disposition.unwrap_or(HeaderValue::from_static("attachment")));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_query_names_three_things_once() {
        let read = wanted("chatflowId=support&chatId=a%20b&fileName=n%C3%BC..%3F.txt&download=true").unwrap();
        assert_eq!((&*read.chatflow, &*read.chat, &*read.name), ("support", "a b", "nü.txt"));
        for query in [
            "",
            "chatflowId=a&chatId=b",
            "chatflowId=a&chatId=b&fileName=",
            "chatflowId=a&chatId=&fileName=c",
            "chatflowId=a&chatId=b&fileName=c&fileName=d",
            "chatflowId=a&chatId[]=b&fileName=c",
            "chatflowId=a&chatId=b&fileName=c&orgId=d",
            "chatflowId=a&chatId=../..&fileName=c",
            "chatflowId=a&chatId=..%2f..&fileName=c",
            "chatflowId=a&chatId=%252e%252e&fileName=c",
            "chatflowId=a&chatId=b&fileName=..%2fc",
            "chatflowId=a&chatId=b&fileName=%2fetc%2fpasswd",
            "chatflowId=a&chatId=b&fileName=c%00.txt",
            "chatflowId=a&chatId=b&fileName=%zz",
            "chatflowId=a&chatId=b&fileName=%ff",
        ] {
            assert!(wanted(query).is_err(), "{query}");
        }
    }

    #[test]
    fn files_are_for_saving() {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("text/html"));
        hand_out(&mut headers, "ü.svg");
        assert_eq!(headers["content-type"], "application/octet-stream");
        assert_eq!(headers["content-disposition"], "attachment; filename=\"_.svg\"");
        assert_eq!(headers["x-content-type-options"], "nosniff");
    }

    proptest! {
        #[test]
        fn what_is_read_can_leave_no_folder(query in "(chatflowId|chatId|fileName|x)=[a-z./%0-9\\\\&=]{0,20}(&(chatId|fileName)=[a-z./%0-9\\\\]{0,12}){0,3}") {
            if let Ok(RequestedFile { chat, name, .. }) = wanted(&query) {
                for part in [chat, name] {
                    prop_assert!(!part.contains(['/', '\\']) && !part.contains("..") && !part.is_empty());
                }
            }
        }
    }
}
