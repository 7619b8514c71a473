//! Names of files as Flowise stores them.
//!
//! People call files `What?.pdf`, `a..b.txt` or ` draft .md`. Flowise leaves out what some system could not store, and
//! fails where two dots stand in a row. A name goes on as it would store it, so that no signs are left to argue about;
//! what could be read as a path or as markup is refused.

use std::borrow::Cow;

/// Bytes of a file's name.
const LONGEST: usize = 255;

/// The name without what Flowise leaves out. Kinds are told by it, and it is what goes on. `Err` is a sentence for people.
pub(crate) fn cleaned(name: &str) -> Result<Cow<'_, str>, String> {
    if name.len() > LONGEST {
        return Err(format!("The file's name is longer than {LONGEST} bytes: please rename the file."));
    }
    let cleaned = without_odd_signs(name);
    if let Some(part) = refused_part(&cleaned) {
        return Err(format!("The file's name holds {part}: please rename the file."));
    }
    if cleaned.is_empty() {
        return Err("The file has no name: please rename the file.".to_owned());
    }
    Ok(cleaned)
}

fn without_odd_signs(name: &str) -> Cow<'_, str> {
    let is_edge = |sign: char| matches!(sign, '.' | ' ');
    if !name.contains(is_odd) && !name.contains("..") && !name.starts_with(is_edge) && !name.ends_with(is_edge) {
        return Cow::Borrowed(name);
    }
    let mut cleaned = String::with_capacity(name.len());
    for sign in name.chars().filter(|sign| !is_odd(*sign)) {
        if sign != '.' || !cleaned.ends_with('.') {
            cleaned.push(sign);
        }
    }
    Cow::Owned(cleaned.trim_matches(is_edge).to_owned())
}

/// What Windows stores in no name, and what turns the direction of writing round, so that the extension that is seen is
/// another.
fn is_odd(sign: char) -> bool {
    matches!(sign, '"' | ':' | '|' | '?' | '*')
        || matches!(sign, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// What may make a path of a name, also once somebody decodes it, or markup of the prompt that names the file.
fn refused_part(name: &str) -> Option<String> {
    for (at, sign) in name.char_indices() {
        match sign {
            '/' | '\\' | '<' | '>' => return Some(format!("a {sign}")),
            sign if sign.is_control() => return Some("a line break or another control character".to_owned()),
            '%' => {
                let digits = name.get(at + 1..at + 3).filter(|two| two.bytes().all(|byte| byte.is_ascii_hexdigit()));
                let Some(digits) = digits else { continue };
                if let Ok(0..=0x1f | 0x7f | b'%' | b'.' | b'/' | b'\\') = u8::from_str_radix(digits, 16) {
                    return Some(format!("%{digits}, which may be read as a part of a path"));
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn harmless_names_go_on_as_flowise_stores_them() {
        for (name, stored) in [
            ("a.txt", "a.txt"),
            ("Ünïcode – x.txt", "Ünïcode – x.txt"),
            ("a b.txt", "a b.txt"),
            ("100%.txt", "100%.txt"),
            ("a'b.txt", "a'b.txt"),
            ("архив.txt", "архив.txt"),
            ("a%20b%22.txt", "a%20b%22.txt"),
            ("What?.pdf", "What.pdf"),
            ("Say \"hi\"*.pdf", "Say hi.pdf"),
            ("10:30 | notes.txt", "1030  notes.txt"),
            ("a..b.txt", "a.b.txt"),
            ("a.?.txt", "a.txt"),
            (".notes.txt", "notes.txt"),
            ("...a.txt", "a.txt"),
            (" draft .md ", "draft .md"),
            ("a.txt. .", "a.txt"),
            ("\u{200e}WhatsApp Image.jpg", "WhatsApp Image.jpg"),
            ("a\u{202e}gnp.txt", "agnp.txt"),
        ] {
            assert_eq!(cleaned(name).as_deref(), Ok(stored), "{name}");
        }
    }

    #[test]
    fn what_may_be_a_path_or_markup_is_refused_with_what_it_is() {
        let long = "a".repeat(LONGEST) + ".txt";
        for (name, told) in [
            ("../a.txt", "holds a /: please rename the file."),
            ("/etc/passwd", "holds a /:"),
            ("a\\b.txt", "holds a \\:"),
            ("a'><b>.txt", "holds a >:"),
            ("..%2fa.txt", "holds %2f, "),
            ("%2E%2e.txt", "holds %2E, "),
            ("a%252f.txt", "holds %25, "),
            ("a%2?5.txt", "holds %25, "),
            ("a%0D.txt", "holds %0D, "),
            ("a\0.txt", "control character"),
            ("a\n.txt", "control character"),
            ("", "has no name"),
            (".", "has no name"),
            ("..", "has no name"),
            (" ?. ", "has no name"),
            (&long, "longer than 255 bytes"),
        ] {
            let sentence = cleaned(name).unwrap_err();
            assert!(sentence.contains(told), "{name}: {sentence}");
        }
    }

    proptest! {
        #[test]
        fn a_name_stays_in_its_folder_and_as_it_is(name in "[a./\\\\%25EFfe?:\" \u{202e}]{0,12}") {
            if let Ok(name) = cleaned(&name) {
                prop_assert!(!name.is_empty() && !name.contains(['/', '\\', '"']) && !name.contains(".."));
                prop_assert!(!name.starts_with(['.', ' ']) && !name.ends_with(['.', ' ']));
                let again = cleaned(&name);
                prop_assert_eq!(again.as_deref(), Ok(&*name));
                let small = name.to_ascii_lowercase();
                prop_assert!(!["%2f", "%5c", "%2e", "%25"].iter().any(|part| small.contains(part)));
            }
        }
    }
}
