//! Kinds of files that may be uploaded, told by extension, declared media type and content, which must agree
//! (CVE-2026-30821, CVE-2026-41269, CVE-2025-61687).
//!
//! Flowise's own table of extensions and media types, without what a browser would run: HTML, SVG, XML, scripts. A
//! sender that does not know the type, or knows it by another name, is no liar: what goes on is [`FileKind::media_type`].

/// Media types that say nothing, as browsers send them of what their system has no name for, and many HTTP libraries of
/// everything: then the name and the content tell the kind.
const SILENT: [&str; 3] = ["", "application/octet-stream", "binary/octet-stream"];
/// What any kind of text may be called.
const PLAIN: &str = "text/plain";
/// Extensions of recordings, whatever was recorded.
const SOUNDS: [&str; 11] = ["wav", "webm", "ogg", "oga", "opus", "mp3", "mpga", "mpeg", "m4a", "mp4", "flac"];

/// Bytes of a file's beginning by which its kind is known.
pub(super) const TELLING: usize = 8192;

/// How the content shows its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileSignature {
    /// One of these at the start.
    Starts(&'static [&'static [u8]]),
    /// A container of four letters, its size, and this.
    Riff(&'static [u8]),
    /// An ISO media file: its first box says so.
    IsoMedia,
    /// A ZIP archive with files in this folder, and with a list of what they are, which some programs put at its end.
    Office(&'static [u8]),
    /// Text in whatever encoding: no bytes that only binary files have.
    Text,
}

/// One kind of file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FileKind {
    extensions: &'static [&'static str],
    /// As Flowise calls it, the usual one first.
    media_types: &'static [&'static str],
    /// As others call it, which Flowise does not know, or takes for another kind's.
    aliases: &'static [&'static str],
    shape: FileSignature,
}

const fn kind(
    extensions: &'static [&'static str],
    media_types: &'static [&'static str],
    shape: FileSignature,
) -> FileKind {
    FileKind { extensions, media_types, aliases: &[], shape }
}

/// What systems without an office suite see in its files.
const ZIP: &[&str] = &["application/zip", "application/x-zip-compressed"];

/// Of Microsoft's older formats.
const COMPOUND: FileSignature = FileSignature::Starts(&[b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"]);

const KINDS: &[FileKind] = &[
    kind(&["png"], &["image/png"], FileSignature::Starts(&[b"\x89PNG\r\n\x1a\n"])),
    kind(&["jpg", "jpeg"], &["image/jpeg", "image/jpg"], FileSignature::Starts(&[b"\xff\xd8\xff"]))
        .or(&["image/pjpeg"]),
    kind(&["gif"], &["image/gif"], FileSignature::Starts(&[b"GIF87a", b"GIF89a"])),
    kind(&["webp"], &["image/webp"], FileSignature::Riff(b"WEBP")),
    kind(&["pdf"], &["application/pdf"], FileSignature::Starts(&[b"%PDF-"])).or(&["application/x-pdf"]),
    kind(&["txt"], &[PLAIN], FileSignature::Text),
    kind(&["md"], &["text/markdown", "text/x-markdown"], FileSignature::Text),
    // Windows with Excel has the first for it.
    kind(&["csv"], &["text/csv"], FileSignature::Text).or(&[
        "application/vnd.ms-excel",
        "application/csv",
        "text/x-csv",
    ]),
    kind(&["json"], &["application/json"], FileSignature::Text).or(&["text/json"]),
    kind(&["jsonl"], &["application/jsonl", "application/json-lines", "text/jsonl"], FileSignature::Text)
        .or(&["application/x-ndjson", "application/x-jsonlines"]),
    kind(
        &["yaml"],
        &["application/x-yaml", "application/vnd.yaml", "text/yaml", "text/x-yaml", "text/vnd.yaml"],
        FileSignature::Text,
    )
    .or(&["application/yaml"]),
    kind(&["sql"], &["application/sql", "text/x-sql"], FileSignature::Text).or(&["application/x-sql"]),
    kind(&["rtf"], &["application/rtf"], FileSignature::Starts(&[b"{\\rtf"])).or(&["text/rtf"]),
    kind(
        &["docx"],
        &["application/vnd.openxmlformats-officedocument.wordprocessingml.document"],
        FileSignature::Office(b"word/"),
    )
    .or(ZIP),
    kind(
        &["xlsx"],
        &["application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"],
        FileSignature::Office(b"xl/"),
    )
    .or(ZIP),
    kind(
        &["pptx"],
        &["application/vnd.openxmlformats-officedocument.presentationml.presentation"],
        FileSignature::Office(b"ppt/"),
    )
    .or(ZIP),
    kind(&["doc"], &["application/msword"], COMPOUND),
    kind(&["xls"], &["application/vnd.ms-excel"], COMPOUND),
    kind(&["ppt"], &["application/vnd.ms-powerpoint"], COMPOUND),
    kind(&["webm"], &["audio/webm", "video/webm"], FileSignature::Starts(&[b"\x1a\x45\xdf\xa3"])),
    kind(
        &["mp3"],
        &["audio/mpeg", "audio/mp3"],
        FileSignature::Starts(&[b"ID3", b"\xff\xfb", b"\xff\xfa", b"\xff\xf3", b"\xff\xf2"]),
    )
    .or(&["audio/mpga", "audio/x-mpeg", "audio/x-mp3"]),
    kind(&["wav"], &["audio/wav", "audio/wave", "audio/x-wav"], FileSignature::Riff(b"WAVE")).or(&["audio/vnd.wave"]),
    kind(&["ogg", "oga"], &["audio/ogg", "audio/oga"], FileSignature::Starts(&[b"OggS"]))
        .or(&["application/ogg", "audio/opus"]),
    kind(&["flac"], &["audio/flac"], FileSignature::Starts(&[b"fLaC"])).or(&["audio/x-flac"]),
    kind(&["m4a"], &["audio/mp4", "audio/x-m4a"], FileSignature::IsoMedia).or(&["audio/m4a"]),
    kind(&["mp4"], &["video/mp4"], FileSignature::IsoMedia).or(&["audio/mp4"]),
];

impl FileKind {
    const fn or(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// Whether Flowise reads it as text.
    pub(crate) fn is_text(&self) -> bool {
        self.shape == FileSignature::Text
    }

    /// Whether both are told by the same content, and are text or not.
    pub(crate) fn is_alike(&self, other: &Self) -> bool {
        self.shape == other.shape
    }

    fn is_audio(&self) -> bool {
        self.media_types.iter().chain(self.aliases).any(|media_type| media_type.starts_with("audio/"))
    }

    /// What Flowise is told: the declared type if it is Flowise's own name of the kind, else the usual one.
    pub(crate) fn media_type(&self, declared: &str) -> &'static str {
        let declared = essence(declared);
        let own = self.media_types.iter().find(|own| own.eq_ignore_ascii_case(declared));
        own.or(self.media_types.first()).copied().unwrap_or_default()
    }

    fn is_called(&self, essence: &str) -> bool {
        is_one_of(self.media_types, essence)
            || is_one_of(self.aliases, essence)
            || (self.is_text() && PLAIN.eq_ignore_ascii_case(essence))
    }
}

/// The kind of a whole file; name, declared media type and content must agree on it. `Err` is a sentence for people.
/// Names are [cleaned](super::file_name::cleaned), here and below.
pub(crate) fn check_file(name: &str, media_type: &str, content: &[u8]) -> Result<&'static FileKind, &'static str> {
    let kind = check_name_and_type(name, media_type)?;
    check_content(kind, content)?;
    Ok(kind)
}

/// As [`check_file`], where the content is not at hand: what is sent is text that was taken from the file.
pub(crate) fn check_name_and_type(name: &str, media_type: &str) -> Result<&'static FileKind, &'static str> {
    let essence = essence(media_type);
    let kind = kind_of_name(name).ok_or(UNKNOWN_KIND)?;
    if is_one_of(&SILENT, essence) || kind.is_called(essence) {
        Ok(kind)
    } else {
        Err("The file's media type does not belong to its name's extension.")
    }
}

/// The kind of sound that a media type, or else a name, stands for.
///
/// Flowise's recorders, in its widget and in its own pages, name whatever a browser has recorded `audio_<time>.wav`: of
/// a recording the name says no more than that it is one.
pub(crate) fn sound_of(name: &str, media_type: &str) -> Option<&'static FileKind> {
    let essence = essence(media_type);
    if is_one_of(&SILENT, essence) {
        return kind_of_name(name).filter(|kind| kind.is_audio());
    }
    KINDS.iter().find(|kind| kind.is_audio() && kind.is_called(essence))
}

/// A whole recording, which [`sound_of`] has found to be of that kind.
pub(crate) fn check_recording(kind: &FileKind, name: &str, content: &[u8]) -> Result<(), &'static str> {
    if !is_one_of(&SOUNDS, extension(name)) {
        return Err(UNKNOWN_KIND);
    }
    check_content(kind, content)
}

const UNKNOWN_KIND: &str = "Files of this kind are not accepted.";

/// The content alone.
pub(crate) fn check_content(kind: &FileKind, content: &[u8]) -> Result<(), &'static str> {
    if is_shaped(content, kind.shape) { Ok(()) } else { Err("The content of the file is not of the kind it claims.") }
}

fn kind_of_name(name: &str) -> Option<&'static FileKind> {
    KINDS.iter().find(|kind| is_one_of(kind.extensions, extension(name)))
}

fn extension(name: &str) -> &str {
    name.rsplit_once('.').map_or("", |(_, extension)| extension)
}

/// A media type without its parameters.
fn essence(media_type: &str) -> &str {
    media_type.split_once(';').map_or(media_type, |(essence, _)| essence).trim()
}

fn is_one_of(names: &[&str], name: &str) -> bool {
    names.iter().any(|one| one.eq_ignore_ascii_case(name))
}

fn is_shaped(content: &[u8], shape: FileSignature) -> bool {
    match shape {
        FileSignature::Starts(starts) => starts.iter().any(|start| content.starts_with(start)),
        FileSignature::Riff(form) => content.starts_with(b"RIFF") && content.get(8..12) == Some(form),
        FileSignature::IsoMedia => content.get(4..8) == Some(b"ftyp"),
        FileSignature::Office(folder) => {
            content.starts_with(b"PK\x03\x04")
                && (content.len() >= TELLING || memchr::memmem::find(content, b"[Content_Types].xml").is_some())
                && memchr::memmem::find(content, folder).is_some()
        }
        FileSignature::Text => is_wide_text(content) || !content.iter().any(|byte| is_binary(u16::from(*byte))),
    }
}

/// What stands in no text.
fn is_binary(unit: u16) -> bool {
    matches!(unit, 0..=8 | 14..=26 | 28..=31 | 127)
}

/// UTF-16 behind its mark, as Windows writes what it calls Unicode. The content may be cut anywhere.
fn is_wide_text(content: &[u8]) -> bool {
    let unit: fn([u8; 2]) -> u16 = match content {
        [0xff, 0xfe, ..] => u16::from_le_bytes,
        [0xfe, 0xff, ..] => u16::from_be_bytes,
        _ => return false,
    };
    let units = content.chunks_exact(2).filter_map(|pair| Some(unit(*pair.first_chunk()?)));
    let mut letters = char::decode_utf16(units).peekable();
    while let Some(letter) = letters.next() {
        let is_sound = match letter {
            Ok(letter) => !u16::try_from(u32::from(letter)).is_ok_and(|unit| is_binary(unit) || unit == 0xfffe),
            // Half a character is what the end may have cut.
            Err(_) => letters.peek().is_none(),
        };
        if !is_sound {
            return false;
        }
    }
    true
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
            ("a.md", "", b"# x"),
            ("a.md", "application/octet-stream", b"# x"),
            ("a.md", "text/plain", b"# x"),
            ("a.png", "", PNG),
            ("a.csv", "application/vnd.ms-excel", b"a,b\r\n"),
            ("a.txt", "text/plain", b"\xff\xfeh\0i\0"),
            ("a.txt", "text/plain", b"\xfe\xff\0h\0i\0"),
            ("a.docx", "application/zip", &office("word/")),
            ("a.mp4", "audio/mp4", b"\0\0\0\x1cftypisom"),
        ] {
            assert!(check_file(name, media_type, content).is_ok(), "{name} {media_type}");
        }
        for (name, media_type, content) in [
            ("a.png", "image/png", b"\xff\xd8\xff".as_slice()),
            ("a.png", "image/jpeg", PNG),
            ("a.jpg", "image/png", PNG),
            ("a.jpg", "", PNG),
            ("a.html", "", b"<p>"),
            ("a.md", "text/html", b"# x"),
            ("a.xls", "application/vnd.ms-excel", b"a,b\r\n"),
            ("a.csv", "application/vnd.ms-excel", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
            ("a.txt", "text/plain", b"\xff\xfeh\0\x01\0"),
            ("a.txt", "text/plain", b"\xff\xfe\0\xdch\0"),
            ("a.txt", "text/plain", b"h\0i\0"),
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
        // As SheetJS writes them: the list comes last, behind all that is looked at.
        let listed_last = [b"PK\x03\x04....xl/worksheets/sheet1.xml".as_slice(), &[7; TELLING]].concat();
        assert!(check_file("a.xlsx", "", &listed_last).is_ok() && check_file("a.docx", "", &listed_last).is_err());
    }

    #[test]
    fn what_goes_on_is_what_flowise_calls_it() {
        for (name, declared, told) in [
            ("a.csv", "application/vnd.ms-excel", "text/csv"),
            ("a.md", "", "text/markdown"),
            ("a.md", "text/X-markdown; charset=utf-8", "text/x-markdown"),
            ("a.docx", "application/octet-stream", KINDS[13].media_types[0]),
            ("a.yaml", "text/yaml", "text/yaml"),
        ] {
            assert_eq!(check_name_and_type(name, declared).unwrap().media_type(declared), told, "{name} {declared}");
        }
    }
}
