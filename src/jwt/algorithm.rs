//! How tokens may be signed.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384,
    RSA_PSS_2048_8192_SHA512, RsaParameters, VerificationAlgorithm,
};

/// A signature that only who holds a private key can make (RFC 7518, section 3.1; RFC 8037).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignatureAlgorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    Es512,
    EdDsa,
}

/// A curve on which a key may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyCurve {
    P256,
    P384,
    P521,
    Ed25519,
}

impl SignatureAlgorithm {
    pub(crate) const ALL: [Self; 10] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::Es512,
        Self::EdDsa,
    ];

    /// As `alg` names it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::EdDsa => "EdDSA",
        }
    }

    /// `None`: no such algorithm, or one that takes a secret, or none at all.
    pub(crate) fn named(name: &str) -> Option<Self> {
        // RFC 9864 gives EdDSA with this curve, the only one there is here, a name of its own.
        if name == "Ed25519" {
            return Some(Self::EdDsa);
        }
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// How the library calls it, if it takes RSA keys.
    pub(super) const fn rsa(self) -> Option<&'static RsaParameters> {
        Some(match self {
            Self::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
            Self::Rs384 => &RSA_PKCS1_2048_8192_SHA384,
            Self::Rs512 => &RSA_PKCS1_2048_8192_SHA512,
            Self::Ps256 => &RSA_PSS_2048_8192_SHA256,
            Self::Ps384 => &RSA_PSS_2048_8192_SHA384,
            Self::Ps512 => &RSA_PSS_2048_8192_SHA512,
            Self::Es256 | Self::Es384 | Self::Es512 | Self::EdDsa => return None,
        })
    }

    /// How the library calls it, if it takes keys on that curve.
    pub(super) fn on_curve(self, curve: KeyCurve) -> Option<&'static dyn VerificationAlgorithm> {
        match (self, curve) {
            (Self::Es256, KeyCurve::P256) => Some(&ECDSA_P256_SHA256_FIXED),
            (Self::Es384, KeyCurve::P384) => Some(&ECDSA_P384_SHA384_FIXED),
            (Self::Es512, KeyCurve::P521) => Some(&ECDSA_P521_SHA512_FIXED),
            (Self::EdDsa, KeyCurve::Ed25519) => Some(&ED25519),
            _ => None,
        }
    }
}
