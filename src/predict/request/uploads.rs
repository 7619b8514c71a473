//! `uploads`: files sent along, as data or as text that was taken from them. Never by address: Flowise would fetch it
//! from inside its network.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::json::{Json, Object, shown};
use super::super::{file_name, files};
use super::text::TextBounds;
use super::unknown;
use crate::wire::refusal::{Refusal, Rule};

/// Files of one request; each costs Flowise a look into its storage.
const MOST_FILES: usize = 20;

pub(super) fn uploads<'a>(fields: &mut Object<'a>, bounds: &TextBounds<'_>) -> Result<Option<Json<'a>>, Refusal> {
    match fields.take("uploads") {
        None => Ok(None),
        Some(Json::List(mut items)) if items.len() <= MOST_FILES => {
            items.iter_mut().try_for_each(|upload| check(upload, bounds))?;
            Ok(Some(Json::List(items)))
        }
        Some(_) => Err(Refusal::field_type("uploads", "a list of at most 20 files")),
    }
}

fn check(upload: &mut Json<'_>, bounds: &TextBounds<'_>) -> Result<(), Refusal> {
    let Json::Object(fields) = upload else { return Err(Refusal::field_type("uploads", "a list of objects")) };
    for (name, value) in fields.iter() {
        if !matches!(name, "type" | "name" | "data" | "mime") {
            return Err(unknown(&format!("uploads.{name}")));
        }
        if !matches!(value, Json::Text(_)) {
            return Err(Refusal::field_type(&format!("uploads.{}", shown(name)), "a string"));
        }
    }
    let text = |name: &str| match fields.get(name) {
        Some(Json::Text(text)) => Some(&**text),
        _ => None,
    };
    let kind = text("type");
    if kind == Some("url") {
        return Err(by_url());
    }
    let written = text("name").ok_or_else(|| Refusal::field_type("uploads.name", "a string"))?;
    let name = file_name::cleaned(written).map_err(|sentence| Rule::UploadKind.refuse(sentence))?;
    let data = text("data").ok_or_else(|| Refusal::field_type("uploads.data", "a string"))?;
    let retold = match kind {
        Some("file:full") => {
            check_extracted(&name, text("mime"), data, bounds)?;
            Retold::default()
        }
        Some("file" | "file:rag") => check_data(UploadKind::File, &name, text("mime"), data, bounds)?,
        Some("audio") => check_data(UploadKind::Recording, &name, text("mime"), data, bounds)?,
        _ => return Err(Refusal::field_type("uploads.type", "file, file:full, file:rag or audio")),
    };
    if let Some(name) = (*name != *written).then(|| name.into_owned()) {
        fields.set("name", Json::Text(name.into()));
    }
    if let Some(media_type) = retold.media_type {
        fields.set("mime", Json::Text(media_type.into()));
    }
    if let Some(data) = retold.data {
        fields.set("data", Json::Text(data.into()));
    }
    Ok(())
}

/// Whether something was said that Flowise turns into a question.
pub(super) fn is_speech(uploads: &Json<'_>) -> bool {
    let is_audio = |upload: &Json<'_>| match upload {
        Json::Object(fields) => matches!(fields.get("type"), Some(Json::Text(kind)) if kind == "audio"),
        _ => false,
    };
    matches!(uploads, Json::List(items) if items.iter().any(is_audio))
}

/// The text of a file, as `attachments` gave it: it goes into the prompt. The widget knows no media type for some files.
fn check_extracted(name: &str, media_type: Option<&str>, text: &str, bounds: &TextBounds<'_>) -> Result<(), Refusal> {
    if let Some(media_type) = media_type.filter(|media_type| !media_type.is_empty()) {
        files::check_name_and_type(name, media_type).map_err(unfit)?;
    }
    bounds.check_words("uploads.data", text)
}

/// By what the kind of an upload's content is told.
#[derive(Clone, Copy)]
enum UploadKind {
    /// Name, media type and content agree.
    File,
    /// A recording, named by a recorder.
    Recording,
}

impl UploadKind {
    fn told(self, name: &str, declared: &str) -> Result<&'static files::FileKind, Refusal> {
        match self {
            Self::File => files::check_name_and_type(name, declared).map_err(unfit),
            Self::Recording => {
                files::sound_of(name, declared).ok_or_else(|| Refusal::field_type("uploads.mime", "a kind of audio"))
            }
        }
    }
}

/// Fields that are told in other words: a type in Flowise's own, which it goes by.
#[derive(Default)]
struct Retold {
    media_type: Option<&'static str>,
    data: Option<String>,
}

/// `data:<media type>[;parameters];base64,<content>`: what it says of itself, what the field `mime` says, the name and
/// the content agree. Flowise goes by the first, and for recordings by the second.
fn check_data(
    kind: UploadKind,
    name: &str,
    media_type: Option<&str>,
    data: &str,
    bounds: &TextBounds<'_>,
) -> Result<Retold, Refusal> {
    let Some(rest) = data.strip_prefix("data:") else { return Err(by_url_or_ill_formed(data)) };
    // One comma: Flowise splits at each and takes the last part for the content.
    let (head, content) = rest.split_once(',').ok_or_else(ill_formed)?;
    let declared = head.strip_suffix(";base64").ok_or_else(ill_formed)?;
    // Decoded to be looked at; bounded as the body is.
    let decoded = STANDARD.decode(content).map_err(|_| ill_formed())?;
    let found = kind.told(name, declared)?;
    match kind {
        UploadKind::File => files::check_content(found, &decoded),
        UploadKind::Recording => files::check_recording(found, name, &decoded),
    }
    .map_err(unfit)?;
    if found.is_text() {
        bounds.check_words("uploads.data", &String::from_utf8_lossy(&decoded))?;
    }
    let is_told = |media_type| kind.told(name, media_type).is_ok_and(|told| told.is_alike(found));
    if media_type.is_some_and(|media_type| !is_told(media_type)) {
        return Err(unfit("The field mime does not belong to the file."));
    }
    let (essence, parameters) = declared.split_at(declared.find(';').unwrap_or(declared.len()));
    let own = found.media_type(declared);
    Ok(Retold {
        media_type: media_type.and_then(|said| Some(found.media_type(said)).filter(|own| *own != said)),
        data: (essence != own).then(|| format!("data:{own}{parameters};base64,{content}")),
    })
}

fn by_url_or_ill_formed(data: &str) -> Refusal {
    let data = data.trim_start();
    let scheme = data.split_once(':').map_or("", |(scheme, _)| scheme);
    let has_scheme =
        !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    if data.starts_with("//") || has_scheme { by_url() } else { ill_formed() }
}

fn by_url() -> Refusal {
    Rule::UploadByUrl.refuse("Uploads by URL are not allowed.")
}

fn ill_formed() -> Refusal {
    Refusal::field_type("uploads.data", "a data URI such as data:image/png;base64,…")
}

fn unfit(reason: &'static str) -> Refusal {
    Rule::UploadKind.refuse(reason)
}
