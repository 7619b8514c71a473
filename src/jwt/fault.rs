//! Why a token does not count.

macro_rules! faults {
    ($($variant:ident $name:literal $what:literal)*) => {
        /// Clients are told none of it; log and metric are.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum TokenFault {
            $(#[doc = $what] $variant,)*
        }

        impl TokenFault {
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$variant,)*];

            /// As log and metric show it.
            pub(crate) const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

faults! {
    Malformed "malformed" "No token: parts, base64 or JSON are wrong, or it is too long."
    Algorithm "alg" "Signed in a way that is not allowed, or not at all, or not as its key is for."
    Critical "crit" "It has parts that must be understood, and are not."
    Kind "typ" "It is a token for something else."
    Issuer "issuer" "No provider has this issuer."
    UnknownKey "kid" "The issuer publishes no such key."
    Signature "signature" "Not signed with the issuer's key."
    Expired "expired" "Its time is over."
    NotYet "nbf" "Its time has not come."
    Times "times" "It does not say until when it counts, or says it wrongly."
    Audience "audience" "It is for somebody else."
    Subject "subject" "It does not say for whom it is."
    Bound "cnf" "It is bound to a key or certificate, which the gateway cannot ask for."
    Required "require" "A claim holds none of what is required."
    Plan "plan" "It names no plan that there is."
    Chatflows "chatflows" "It does not say which chatflows may be called."
    Variables "vars" "It lacks a claim that a variable is made of."
    NoKeys "no_keys" "The issuer's keys could not be read yet."
}

impl TokenFault {
    /// Whether who sends it may be guessing: the issuer has signed it otherwise.
    pub(crate) const fn is_guess(self) -> bool {
        matches!(
            self,
            Self::Malformed
                | Self::Algorithm
                | Self::Critical
                | Self::Kind
                | Self::Issuer
                | Self::UnknownKey
                | Self::Signature
        )
    }
}

#[cfg(test)]
mod tests {
    use super::TokenFault;

    #[test]
    fn every_reason_has_its_row() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/config/IDENTITY.md");
        let page = std::fs::read_to_string(page).unwrap();
        let (_, table) = page.split_once("| reason of a token |").unwrap();
        let rows = table.lines().take_while(|line| line.starts_with('|') || line.contains("what is wrong"));
        let first = rows.filter_map(|row| row.split('|').nth(1));
        let told: Vec<_> = first.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
        let reasons: Vec<_> = TokenFault::ALL.iter().map(|fault| fault.name()).collect();
        for reason in &reasons {
            assert!(told.contains(reason), "{reason}");
        }
        assert_eq!(told.len(), reasons.len(), "{told:?}");
    }
}
