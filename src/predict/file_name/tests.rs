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
