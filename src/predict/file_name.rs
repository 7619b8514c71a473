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
mod tests;
