//! Names that can stand in a path, a YAML file and on a disk, made of whatever somebody typed.

use std::collections::HashSet;

/// Characters of a name; what makes it unique comes behind.
const LONGEST: usize = 60;
/// Names that mean a device on some systems.
const DEVICES: [&str; 4] = ["con", "prn", "aux", "nul"];

/// Names that were given, so that none is given twice.
#[derive(Debug, Default)]
pub(super) struct UniqueNames {
    taken: HashSet<String>,
}

impl UniqueNames {
    /// With names that nobody gets.
    pub(super) fn without(reserved: &[&str]) -> Self {
        Self { taken: reserved.iter().map(|name| (*name).to_owned()).collect() }
    }

    /// A name as it was given before; `None`: it was given to somebody else meanwhile, or is none that is given here.
    pub(super) fn again(&mut self, name: &str) -> Option<String> {
        (plain(name) == name && self.taken.insert(name.to_owned())).then(|| name.to_owned())
    }

    /// A name made of a text, or of `otherwise` if nothing of the text can stand in one.
    pub(super) fn of(&mut self, text: &str, otherwise: &str) -> String {
        let mut name = plain(text);
        if name.is_empty() {
            name = plain(otherwise);
        }
        if name.is_empty() {
            "flow".clone_into(&mut name);
        }
        let unique = (1_u32..).map(|number| if number == 1 { name.clone() } else { format!("{name}-{number}") });
        let unique = unique.into_iter().find(|unique| !self.taken.contains(unique)).unwrap_or_default();
        self.taken.insert(unique.clone());
        unique
    }
}

/// Small letters and digits, with a dash for what is between them. Only these: no system folds them into another name,
/// and none is hidden or climbs.
fn plain(text: &str) -> String {
    let mut name = String::new();
    for letter in text.chars().flat_map(char::to_lowercase) {
        match letter {
            'a'..='z' | '0'..='9' => name.push(letter),
            letter => match latin(letter) {
                "" if name.is_empty() || name.ends_with('-') => {}
                "" => name.push('-'),
                letters => name.push_str(letters),
            },
        }
        if name.len() >= LONGEST {
            break;
        }
    }
    name.truncate(LONGEST);
    let name = name.trim_end_matches('-').to_owned();
    let is_device = |name: &str| {
        DEVICES.contains(&name)
            || ["com", "lpt"].iter().any(|port| name.strip_prefix(port).is_some_and(|rest| rest.len() == 1))
    };
    if is_device(&name) { format!("flow-{name}") } else { name }
}

/// Letters of Europe as they are written without their signs.
fn latin(letter: char) -> &'static str {
    match letter {
        'à'..='ã' | 'å' | 'ā' | 'ă' | 'ą' => "a",
        'ä' | 'æ' => "ae",
        'ç' | 'ć' | 'č' => "c",
        'ď' | 'đ' | 'ð' => "d",
        'è'..='ë' | 'ē' | 'ė' | 'ę' | 'ě' => "e",
        'ğ' => "g",
        'ì'..='ï' | 'ī' | 'ı' => "i",
        'ł' => "l",
        'ñ' | 'ń' | 'ň' => "n",
        'ò'..='õ' | 'ø' | 'ō' | 'ő' => "o",
        'ö' | 'œ' => "oe",
        'ř' => "r",
        'ß' => "ss",
        'ś' | 'š' | 'ş' | 'ș' => "s",
        'ť' | 'ț' => "t",
        'ù'..='û' | 'ū' | 'ů' | 'ű' => "u",
        'ü' => "ue",
        'ý' | 'ÿ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_typed_becomes_a_name() {
        for (text, name) in [
            ("Support Bot", "support-bot"),
            ("  ../../etc/passwd ", "etc-passwd"),
            ("Größe & Maß", "groesse-mass"),
            (".hidden", "hidden"),
            ("CON", "flow-con"),
            ("com1", "flow-com1"),
            ("a\u{0}b\n\u{202e}c", "a-b-c"),
            ("客服", ""),
            ("---", ""),
            (&"x".repeat(500), &"x".repeat(LONGEST)),
        ] {
            assert_eq!(plain(text), name, "{text:?}");
        }
    }

    #[test]
    fn names_are_given_once() {
        let mut names = UniqueNames::without(&["tools"]);
        assert_eq!(names.again("old").as_deref(), Some("old"));
        assert_eq!(names.again("../old"), None);
        let given = ["Old", "Tools", "a", "A", "a-2", "客服", "客服"].map(|text| names.of(text, "flow-1"));
        assert_eq!(given, ["old-2", "tools-2", "a", "a-2", "a-2-2", "flow-1", "flow-1-2"]);
    }
}
