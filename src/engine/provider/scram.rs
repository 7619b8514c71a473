//! SCRAM (RFC 5802 and 7677), as a client.

use aws_lc_rs::digest::{self, digest};
use aws_lc_rs::{hmac, pbkdf2, rand};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// Rounds that a server may ask for: less is no protection, more takes too long.
const ROUNDS: std::ops::RangeInclusive<u32> = 4096..=200_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mechanism {
    Sha1,
    Sha256,
}

impl Mechanism {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "SCRAM-SHA-1",
            Self::Sha256 => "SCRAM-SHA-256",
        }
    }

    fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => hmac::HMAC_SHA256,
        }
    }

    fn digest(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
        }
    }

    fn rounds(self) -> pbkdf2::Algorithm {
        match self {
            Self::Sha1 => pbkdf2::PBKDF2_HMAC_SHA1,
            Self::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
        }
    }
}

/// A conversation.
pub(crate) struct Scram {
    mechanism: Mechanism,
    /// What is said of the user and the nonce, which is signed too.
    bare: String,
    nonce: String,
    /// As this mechanism takes it.
    password: String,
}

/// What is answered to a challenge.
pub(crate) struct Proof {
    pub(crate) last: String,
    /// What the server must say to show that it knows the password as well.
    pub(crate) expected: String,
    /// What the password became, behind what it became so for.
    pub(crate) salted: (Vec<u8>, Vec<u8>),
}

impl Scram {
    /// With `MongoDB`'s way with passwords of the older mechanism.
    pub(crate) fn begin(mechanism: Mechanism, user: &str, password: &str) -> Option<Self> {
        let password = match mechanism {
            Mechanism::Sha1 => format!("{:x}", md5::compute(format!("{user}:mongo:{password}"))),
            Mechanism::Sha256 => password.to_owned(),
        };
        let mut bytes = [0_u8; 24];
        rand::fill(&mut bytes).ok()?;
        let nonce = BASE64_STANDARD.encode(bytes);
        let user = user.replace('=', "=3D").replace(',', "=2C");
        Some(Self { mechanism, bare: format!("n={user},r={nonce}"), nonce, password })
    }

    pub(crate) fn first(&self) -> String {
        format!("n,,{}", self.bare)
    }

    /// `None`: the challenge is none. `known`: what the password became the last time.
    pub(crate) fn answer(&self, challenge: &str, known: Option<(Vec<u8>, Vec<u8>)>) -> Option<Proof> {
        let field = |name: &str| challenge.split(',').find_map(|part| part.strip_prefix(name));
        let (nonce, salt, rounds) = (field("r=")?, BASE64_STANDARD.decode(field("s=")?).ok()?, field("i=")?);
        let rounds: u32 = rounds.parse().ok()?;
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() || !ROUNDS.contains(&rounds) {
            return None;
        }
        let made_for = [self.mechanism.name().as_bytes(), &rounds.to_le_bytes(), &salt].concat();
        let salted = match known {
            Some((known_for, salted)) if known_for == made_for => salted,
            _ => {
                let mut salted = vec![0_u8; self.mechanism.digest().output_len()];
                let rounds = std::num::NonZeroU32::new(rounds)?;
                pbkdf2::derive(self.mechanism.rounds(), rounds, &salt, self.password.as_bytes(), &mut salted);
                salted
            }
        };
        let signed = |key: &[u8], text: &[u8]| hmac::sign(&hmac::Key::new(self.mechanism.hmac(), key), text);
        let unproven = format!("c=biws,r={nonce}");
        let all = format!("{},{challenge},{unproven}", self.bare);
        let key = signed(&salted, b"Client Key");
        let stored = digest(self.mechanism.digest(), key.as_ref());
        let signature = signed(stored.as_ref(), all.as_bytes());
        let proof: Vec<u8> = key.as_ref().iter().zip(signature.as_ref()).map(|(one, other)| one ^ other).collect();
        let server = signed(signed(&salted, b"Server Key").as_ref(), all.as_bytes());
        Some(Proof {
            last: format!("{unproven},p={}", BASE64_STANDARD.encode(proof)),
            expected: format!("v={}", BASE64_STANDARD.encode(server.as_ref())),
            salted: (made_for, salted),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(mechanism: Mechanism, password: &str, nonce: &str) -> Scram {
        let (nonce, password) = (nonce.to_owned(), password.to_owned());
        Scram { mechanism, bare: format!("n=user,r={nonce}"), nonce, password }
    }

    #[test]
    fn the_standards_examples() {
        // RFC 7677, section 3.
        let scram = at(Mechanism::Sha256, "pencil", "rOprNGfwEbeRWgbNEkqO");
        let challenge = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let proof = scram.answer(challenge, None).unwrap();
        assert!(proof.last.ends_with(",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="), "{}", proof.last);
        assert_eq!(proof.expected, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        let again = scram.answer(challenge, Some(proof.salted)).unwrap();
        assert_eq!(again.last, proof.last);
        // RFC 5802, section 5.
        let scram = at(Mechanism::Sha1, "pencil", "fyko+d2lbbFgONRv9qkxdawL");
        let challenge = "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096";
        let proof = scram.answer(challenge, None).unwrap();
        assert!(proof.last.ends_with(",p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="), "{}", proof.last);
        assert_eq!(proof.expected, "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=");
    }

    #[test]
    fn challenges_that_are_none_are_not_answered() {
        let scram = at(Mechanism::Sha256, "p", "abc");
        for challenge in ["", "r=xyz,s=AAAA,i=4096", "r=abc,s=AAAA,i=4096", "r=abcd,s=AAAA,i=1", "r=abcd,s=!,i=4096"] {
            assert!(scram.answer(challenge, None).is_none(), "{challenge}");
        }
    }
}
