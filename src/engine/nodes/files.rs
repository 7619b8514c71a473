//! Files that a flow brings along: inside the export as data URIs, or, where Flowise kept them in its own storage, in
//! the folder beside the export that has the flow's name.

use std::io::ErrorKind;
use std::path::{Component, Path};

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::config::content::{self, MOST_DOCUMENT, TooLarge};
use crate::engine::compile::inputs::Inputs;
use crate::wire::json;

/// Where Flowise keeps files by name.
pub(crate) const STORAGE: &str = "FILE-STORAGE::";

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A file that a flow brings along.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FlowFile {
    /// Empty: nobody says.
    pub(crate) name: String,
    /// Its media type, if it came inside the export.
    pub(crate) media_type: String,
    pub(crate) bytes: Vec<u8>,
}

impl FlowFile {
    pub(crate) fn text(&self) -> String {
        decoded(&self.bytes)
    }

    /// What is told of it where it is the matter.
    pub(crate) fn told(&self) -> String {
        if self.name.is_empty() { String::new() } else { format!(" \"{}\"", self.name) }
    }
}

/// The texts of the files that an input names, in order, as [`all`].
pub(crate) fn texts(inputs: &mut Inputs<'_, '_, '_>, name: &str) -> Option<Vec<String>> {
    Some(all(inputs, name)?.iter().map(FlowFile::text).collect())
}

/// The files that an input names, in order. `None`: it names none, which is noted as missing, or one that cannot be
/// read, which is refused.
pub(crate) fn all(inputs: &mut Inputs<'_, '_, '_>, name: &str) -> Option<Vec<FlowFile>> {
    let Some(text) = inputs.text(name) else {
        inputs.lacks_file(name);
        return None;
    };
    let stored = text.strip_prefix(STORAGE);
    let names = match listed(stored.unwrap_or(&text)) {
        Ok(names) => names,
        Err(problem) => {
            inputs.refuse(name, problem);
            return None;
        }
    };
    let mut files = Vec::with_capacity(names.len());
    for file in names.into_iter().filter(|file| !file.is_empty()) {
        let read = match stored {
            Some(_) => from_folder(inputs.compiler.export.folder.as_deref(), &file).map(|bytes| FlowFile {
                name: file,
                bytes,
                ..FlowFile::default()
            }),
            None => from_data_uri(&file),
        };
        match read {
            Ok(file) => files.push(file),
            Err(problem) => {
                inputs.refuse(name, problem);
                return None;
            }
        }
    }
    Some(files)
}

/// A file that an operator has put beside the export, by its name; `None`: nobody has.
pub(crate) fn beside(inputs: &mut Inputs<'_, '_, '_>, input: &str, name: &str) -> Option<Vec<u8>> {
    let path = inputs.compiler.export.folder.as_deref()?.join(name);
    match content::read(&path, MOST_DOCUMENT) {
        Ok(bytes) => Some(bytes),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => None,
        Err(error) => {
            inputs.refuse(input, format!("the file \"{name}\" beside the export cannot be read: {error}"));
            None
        }
    }
}

/// One file, or a JSON list of them.
fn listed(text: &str) -> Result<Vec<String>, String> {
    if text.starts_with('[') && text.ends_with(']') {
        return json::read_str(text).map_err(|_| "expected a list of files".to_owned());
    }
    Ok(vec![text.to_owned()])
}

/// `data:TYPE;base64,DATA`, behind which Flowise writes `,filename:NAME`.
fn from_data_uri(uri: &str) -> Result<FlowFile, String> {
    let problem = || "expected a file as data:TYPE;base64,DATA".to_owned();
    let (head, data) = uri.split_once(',').ok_or_else(problem)?;
    let kind = head.strip_prefix("data:").and_then(|head| head.strip_suffix(";base64")).ok_or_else(problem)?;
    let (data, name) = data.split_once(',').unwrap_or((data, ""));
    if data.len() / 4 * 3 > MOST_DOCUMENT {
        return Err(TooLarge(MOST_DOCUMENT).to_string());
    }
    let bytes = BASE64.decode(data.trim()).map_err(|_| problem())?;
    let name = name.strip_prefix("filename:").unwrap_or_default().to_owned();
    Ok(FlowFile { name, media_type: kind.to_owned(), bytes })
}

fn from_folder(folder: Option<&Path>, name: &str) -> Result<Vec<u8>, String> {
    let mut parts = Path::new(name).components();
    if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) {
        return Err(format!("\"{name}\" is no name of a file"));
    }
    let beside = folder.and_then(Path::file_name).and_then(|folder| folder.to_str());
    let place = beside.unwrap_or("the export's name without .json");
    let absent = format!(
        "the file \"{name}\" is not in the export, but in Flowise's storage: put it beside the export, as {place}/{name}"
    );
    let Some(folder) = folder else { return Err(absent) };
    let path = folder.join(name);
    content::read(&path, MOST_DOCUMENT).map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => absent,
        _ if content::is_refused(&error) => error.to_string(),
        _ => format!("the file \"{name}\" cannot be read: {error}"),
    })
}

/// UTF-8 without its mark, or UTF-16 with one.
fn decoded(bytes: &[u8]) -> String {
    let wide = |unit: fn([u8; 2]) -> u16, rest: &[u8]| {
        let units = rest.chunks_exact(2).filter_map(|pair| Some(unit(*pair.first_chunk()?)));
        char::decode_utf16(units).map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => return wide(u16::from_le_bytes, rest),
        [0xfe, 0xff, rest @ ..] => return wide(u16::from_be_bytes, rest),
        _ => {}
    }
    let text = String::from_utf8_lossy(bytes);
    text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_uris_are_read_with_and_without_a_name() {
        for uri in ["data:text/plain;base64,aGVsbG8=", "data:text/plain;base64,aGVsbG8,filename:a,b.txt"] {
            assert_eq!(from_data_uri(uri).unwrap().bytes, b"hello", "{uri}");
        }
        for uri in ["hello", "data:text/plain,hello", "data:text/plain;base64,%%"] {
            assert!(from_data_uri(uri).is_err(), "{uri}");
        }
        let named = from_data_uri("data:text/plain;base64,aGVsbG8,filename:a,b.txt").unwrap();
        assert_eq!((named.name.as_str(), named.media_type.as_str()), ("a,b.txt", "text/plain"));
        assert_eq!(decoded(b"\xef\xbb\xbfa\xff"), "a\u{fffd}");
        assert_eq!((decoded(b"\xff\xfea\0\xe4\0"), decoded(b"\xfe\xff\0a\0")), ("a\u{e4}".to_owned(), "a".to_owned()));
    }

    #[test]
    fn stored_files_lie_in_the_flows_folder_and_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let flow = folder.path().join("support");
        std::fs::create_dir(&flow).unwrap();
        std::fs::write(flow.join("a.txt"), "A").unwrap();
        std::fs::write(folder.path().join("secret"), "S").unwrap();
        assert_eq!(from_folder(Some(&flow), "a.txt").unwrap(), b"A");
        for name in ["../secret", "/etc/passwd", "", "..", "./../secret", "a/b"] {
            assert!(from_folder(Some(&flow), name).unwrap_err().contains("no name"), "{name}");
        }
        let absent = from_folder(Some(&flow), "b.txt").unwrap_err();
        assert!(absent.contains("\"b.txt\" is not in the export") && absent.ends_with(" as support/b.txt"), "{absent}");
        assert!(from_folder(None, "a.txt").is_err());
    }
}
