use proptest::prelude::*;

use super::*;

fn decode(text: &[u8]) -> [u8; 32] {
    let mut bytes = [0u8; 32];
    for character in text {
        let digit = ALPHABET.iter().position(|other| other == character).unwrap();
        let mut carry = u32::try_from(digit).unwrap();
        for byte in bytes.iter_mut().rev() {
            let value = u32::from(*byte) * 62 + carry;
            *byte = (value & 0xFF) as u8;
            carry = value >> 8;
        }
        assert_eq!(carry, 0);
    }
    bytes
}

#[test]
fn the_checksum_is_the_crc_everybody_knows() {
    assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
}

#[test]
fn the_digest_is_sha_256() {
    let [first, .., last] = digest("password");
    assert_eq!((first, last), (0x5e, 0xd8));
    assert_eq!(digest("")[..4], [0xe3, 0xb0, 0xc4, 0x42]);
}

#[test]
fn made_keys_are_plausible_unlike_each_other_and_not_printed() {
    let (one, other) = (generate(KeyKind::Secret).unwrap(), generate(KeyKind::Secret).unwrap());
    assert_ne!(one, other);
    assert_eq!(one.expose().len(), 55);
    assert!(one.expose().starts_with("fg_sk_"));
    assert!(has_valid_checksum(one.expose()) && is_plausible(one.expose()));
    assert_eq!(format!("{one:?}"), "[redacted]");
    assert!(generate(KeyKind::Publishable).unwrap().expose().starts_with("fg_pk_"));
}

#[test]
fn only_well_formed_strings_are_plausible() {
    let key = generate(KeyKind::Secret).unwrap();
    let key = key.expose();
    let other_kind = key.replacen("fg_sk_", "fg_pk_", 1);
    for bad in [&key[..54], &format!("{key}0"), &other_kind, "fg_sk_", "fg_pk_aaaaaaaaaaaaaaaaaaaaaaaa", "", "short"] {
        assert!(!is_plausible(bad), "{bad}");
    }
    assert!(!is_plausible("sixteen or more, but spaces"));
    assert!(!is_plausible("sixteen-or-more-\u{e4}"));
    assert!(!is_plausible(&"x".repeat(257)));
    assert!(is_plausible(&"x".repeat(256)));
    assert!(is_plausible("0123456789abcdef"));
    assert!(!is_plausible("0123456789abcde"));
    assert!(!has_valid_checksum("0123456789abcdef"));
    assert!(!has_valid_checksum(&format!("fg_sk_{}", "\u{e4}".repeat(24) + "x")));
}

proptest! {
    #[test]
    fn every_number_survives_base62(bytes: [u8; 32]) {
        prop_assert_eq!(decode(&*base62_of_random(&bytes)), bytes);
    }

    #[test]
    fn one_wrong_character_is_noticed(bytes: [u8; 32], at in 6usize..55, digit in 0usize..62) {
        let key = assemble(KeyKind::Secret, &bytes);
        prop_assert!(has_valid_checksum(&key));
        let mut typo = key.clone().into_bytes();
        typo[at] = ALPHABET[digit];
        let typo = String::from_utf8(typo).unwrap();
        prop_assert_eq!(has_valid_checksum(&typo), typo == key);
    }

    #[test]
    fn no_string_makes_it_panic(text in "\\PC*") {
        let _ = is_plausible(&format!("fg_sk_{text}")) | is_plausible(&text);
        let _ = digest(&text);
    }
}
