//! Kinds of files that may be uploaded, told by extension, declared media type and content, which must agree
//! (CVE-2026-30821, CVE-2026-41269, CVE-2025-61687).
//!
//! Flowise's own table of extensions and media types, without what a browser would run: HTML, SVG, XML, scripts.

/// Bytes of a file's name.
const LONGEST_NAME: usize = 255;

/// How the content shows its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// One of these at the start.
    Starts(&'static [&'static [u8]]),
    /// A container of four letters, its size, and this.
    Riff(&'static [u8]),
    /// An ISO media file: its first box says so.
    IsoMedia,
    /// A ZIP archive with files in this folder.
    Office(&'static [u8]),
    /// Text in whatever encoding: no bytes that only binary files have.
    Text,
}

/// One kind of file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    extensions: &'static [&'static str],
    media_types: &'static [&'static str],
    shape: Shape,
}

const fn kind(extensions: &'static [&'static str], media_types: &'static [&'static str], shape: Shape) -> Kind {
    Kind { extensions, media_types, shape }
}

/// Of Microsoft's older formats.
const COMPOUND: Shape = Shape::Starts(&[b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"]);

const KINDS: &[Kind] = &[
    kind(&["png"], &["image/png"], Shape::Starts(&[b"\x89PNG\r\n\x1a\n"])),
    kind(&["jpg", "jpeg"], &["image/jpeg", "image/jpg"], Shape::Starts(&[b"\xff\xd8\xff"])),
    kind(&["gif"], &["image/gif"], Shape::Starts(&[b"GIF87a", b"GIF89a"])),
    kind(&["webp"], &["image/webp"], Shape::Riff(b"WEBP")),
    kind(&["pdf"], &["application/pdf"], Shape::Starts(&[b"%PDF-"])),
    kind(&["txt"], &["text/plain"], Shape::Text),
    kind(&["md"], &["text/markdown", "text/x-markdown"], Shape::Text),
    kind(&["csv"], &["text/csv"], Shape::Text),
    kind(&["json"], &["application/json"], Shape::Text),
    kind(&["jsonl"], &["application/jsonl", "application/json-lines", "text/jsonl"], Shape::Text),
    kind(
        &["yaml"],
        &["application/x-yaml", "application/vnd.yaml", "text/yaml", "text/x-yaml", "text/vnd.yaml"],
        Shape::Text,
    ),
    kind(&["sql"], &["application/sql", "text/x-sql"], Shape::Text),
    kind(&["rtf"], &["application/rtf"], Shape::Starts(&[b"{\\rtf"])),
    kind(
        &["docx"],
        &["application/vnd.openxmlformats-officedocument.wordprocessingml.document"],
        Shape::Office(b"word/"),
    ),
    kind(&["xlsx"], &["application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"], Shape::Office(b"xl/")),
    kind(
        &["pptx"],
        &["application/vnd.openxmlformats-officedocument.presentationml.presentation"],
        Shape::Office(b"ppt/"),
    ),
    kind(&["doc"], &["application/msword"], COMPOUND),
    kind(&["xls"], &["application/vnd.ms-excel"], COMPOUND),
    kind(&["ppt"], &["application/vnd.ms-powerpoint"], COMPOUND),
    kind(&["webm"], &["audio/webm", "video/webm"], Shape::Starts(&[b"\x1a\x45\xdf\xa3"])),
    kind(
        &["mp3"],
        &["audio/mpeg", "audio/mp3"],
        Shape::Starts(&[b"ID3", b"\xff\xfb", b"\xff\xfa", b"\xff\xf3", b"\xff\xf2"]),
    ),
    kind(&["wav"], &["audio/wav", "audio/wave", "audio/x-wav"], Shape::Riff(b"WAVE")),
    kind(&["ogg", "oga"], &["audio/ogg", "audio/oga"], Shape::Starts(&[b"OggS"])),
    kind(&["flac"], &["audio/flac"], Shape::Starts(&[b"fLaC"])),
    kind(&["m4a"], &["audio/mp4", "audio/x-m4a"], Shape::IsoMedia),
    kind(&["mp4"], &["video/mp4"], Shape::IsoMedia),
];

impl Kind {
    /// Whether Flowise reads it as text.
    pub(crate) fn is_text(&self) -> bool {
        self.shape == Shape::Text
    }

    pub(crate) fn is_audio(&self) -> bool {
        self.media_types.iter().any(|media_type| media_type.starts_with("audio/"))
    }
}

/// The kind of a whole file; name, declared media type and content must agree on it. `Err` is a sentence for people.
pub(crate) fn check_file(name: &str, media_type: &str, content: &[u8]) -> Result<&'static Kind, &'static str> {
    let kind = check_name_and_type(name, media_type)?;
    if is_shaped(content, kind.shape) { Ok(kind) } else { Err("The content of the file is not of the kind it claims.") }
}

/// As [`check_file`], where the content is not at hand: what is sent is text that was taken from the file.
pub(crate) fn check_name_and_type(name: &str, media_type: &str) -> Result<&'static Kind, &'static str> {
    check_name(name)?;
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    let essence = media_type.split_once(';').map_or(media_type, |(essence, _)| essence).trim();
    let is_one_of = |names: &[&str], name: &str| names.iter().any(|one| one.eq_ignore_ascii_case(name));
    let kind = KINDS.iter().find(|kind| is_one_of(kind.extensions, extension));
    let kind = kind.ok_or("Files of this kind are not accepted.")?;
    if is_one_of(kind.media_types, essence) {
        Ok(kind)
    } else {
        Err("The file's media type does not belong to its name's extension.")
    }
}

/// A name that is nothing but a name: no path, nothing that is decoded into one, no markup.
pub(crate) fn check_name(name: &str) -> Result<(), &'static str> {
    let is_odd = |c: char| c.is_control() || matches!(c, '/' | '\\' | '<' | '>' | '"' | ':' | '|' | '?' | '*');
    let is_encoded = name
        .as_bytes()
        .windows(3)
        .any(|three| matches!(three, [b'%', a, b] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit()));
    // Nor what turns the direction of writing round, so that the extension that is seen is another.
    let is_turned = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let is_sound = !name.is_empty()
        && name.len() <= LONGEST_NAME
        && !name.starts_with(['.', ' '])
        && !name.ends_with(['.', ' '])
        && !name.contains("..")
        && !is_encoded
        && !name.chars().any(|c| is_odd(c) || is_turned(c));
    if is_sound { Ok(()) } else { Err("The file's name is not accepted.") }
}

fn is_shaped(content: &[u8], shape: Shape) -> bool {
    match shape {
        Shape::Starts(starts) => starts.iter().any(|start| content.starts_with(start)),
        Shape::Riff(form) => content.starts_with(b"RIFF") && content.get(8..12) == Some(form),
        Shape::IsoMedia => content.get(4..8) == Some(b"ftyp"),
        Shape::Office(folder) => {
            content.starts_with(b"PK\x03\x04")
                && memchr::memmem::find(content, b"[Content_Types].xml").is_some()
                && memchr::memmem::find(content, folder).is_some()
        }
        Shape::Text => !content.iter().any(|byte| matches!(byte, 0..=8 | 14..=26 | 28..=31 | 127)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

    #[test]
    fn name_type_and_content_agree() {
        let office = |folder: &str| format!("PK\x03\x04....[Content_Types].xml....{folder}document.xml").into_bytes();
        let word = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
        for (name, media_type, content) in [
            ("dot.png", "image/png", PNG),
            ("Dot.PNG", "Image/PNG", PNG),
            ("a.jpeg", "image/jpeg", b"\xff\xd8\xff\xe0"),
            ("a.webp", "image/webp", b"RIFF\0\0\0\0WEBPVP8 "),
            ("Bob's notes (1).txt", "text/plain; charset=utf-8", "Grüße\n".as_bytes()),
            ("a.csv", "text/csv", b"a;\xe4\r\n"),
            ("empty.txt", "text/plain", b""),
            ("a.pdf", "application/pdf", b"%PDF-1.7"),
            ("a.docx", word, &office("word/")),
            ("audio_1.webm", "audio/webm;codecs=opus", b"\x1a\x45\xdf\xa3\x01"),
            ("a.m4a", "audio/mp4", b"\0\0\0\x1cftypM4A "),
            ("a.wav", "audio/wave", b"RIFF\0\0\0\0WAVEfmt "),
        ] {
            assert!(check_file(name, media_type, content).is_ok(), "{name}");
        }
        for (name, media_type, content) in [
            ("a.png", "image/png", b"\xff\xd8\xff".as_slice()),
            ("a.png", "image/jpeg", PNG),
            ("a.jpg", "image/png", PNG),
            ("a.png", "", PNG),
            ("a.txt", "text/plain", PNG),
            ("a.txt", "text/plain", b"\x7fELF\x02"),
            ("a.txt", "text/plain", b"MZ\x90\0"),
            ("a.js", "text/javascript", b"x"),
            ("a.html", "text/html", b"<p>"),
            ("a.svg", "image/svg+xml", b"<svg>"),
            ("a.js", "text/plain", b"x"),
            ("a", "text/plain", b"x"),
            ("txt", "text/plain", b"x"),
            ("a.docx", word, &office("xl/")),
            ("a.docx", word, b"PK\x03\x04"),
            ("a.wav", "audio/wav", b"RIFF\0\0\0\0AVI "),
        ] {
            assert!(check_file(name, media_type, content).is_err(), "{name} {media_type}");
        }
    }

    #[test]
    fn a_name_is_nothing_but_a_name() {
        for name in ["a.txt", "Ünïcode – x.txt", "a b.txt", "100%.txt", "a'b.txt", "архив.txt"] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        let long = "a".repeat(LONGEST_NAME) + ".txt";
        for name in [
            "",
            "../a.txt",
            "a/../b.txt",
            "/etc/passwd",
            "a\\b.txt",
            "..%2fa.txt",
            "%2e%2e.txt",
            "a\0.txt",
            "a\n.txt",
            "C:a.txt",
            ".txt",
            "a.txt.",
            "a.txt ",
            "a'><b>.txt",
            "a\u{202e}txt.png",
            &long,
        ] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
