//! What a gateway runs on comes in parts: on a reload each is taken over, or keeps what it was, by itself.

/// A kind of file; the label `file` of metrics and log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum ConfigPart {
    Config,
    Keys,
    Certificates,
    /// What the configuration names beside: `api_key_file`, `ca_file`, credentials in files.
    Secrets,
    Flows,
}

impl ConfigPart {
    pub(crate) const ALL: [Self; 5] = [Self::Config, Self::Keys, Self::Certificates, Self::Secrets, Self::Flows];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Keys => "keys",
            Self::Certificates => "certificates",
            Self::Secrets => "secrets",
            Self::Flows => "flows",
        }
    }
}
