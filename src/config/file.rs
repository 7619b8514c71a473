//! The YAML as written: every field that may stand in it, all optional, none checked.
//!
//! Leaves are located [`Node`]s, so that `resolve` can report all mistakes at once, each in its place. Defaults are
//! applied there too. The fields' documentation is `config/full.yaml`.

use serde::{Deserialize, Deserializer};

use super::yaml::{At, Named, Node};

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "`keys_file` is the name of the field in the file")]
pub(super) struct File {
    pub(super) server: Server,
    pub(super) admin: Admin,
    pub(super) log: Log,
    pub(super) upstreams: Named<Upstream>,
    pub(super) keys_file: Field,
    pub(super) state_dir: Field,
    pub(super) session_secret: Field,
    pub(super) plans: Named<Plan>,
    pub(super) cors: Cors,
    pub(super) auth_failures: AuthFailuresSection,
    pub(super) chatflows: Named<Chatflow>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Server {
    pub(super) listen: Field,
    pub(super) tls: Option<At<Tls>>,
    pub(super) workers: Field,
    pub(super) trusted_proxies: Field,
    pub(super) max_connections: Field,
    pub(super) connections_per_address: Field,
    pub(super) max_body: Field,
    pub(super) max_upload: Field,
    pub(super) max_header_bytes: Field,
    pub(super) header_timeout: Field,
    pub(super) body_timeout: Field,
    pub(super) body_time: Field,
    pub(super) min_body_rate: Field,
    pub(super) send_timeout: Field,
    pub(super) idle_timeout: Field,
    pub(super) shutdown_grace: Field,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Tls {
    pub(super) listen: Field,
    pub(super) cert_file: Field,
    pub(super) key_file: Field,
    pub(super) client_ca_file: Field,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Admin {
    pub(super) listen: Field,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Log {
    pub(super) level: Field,
    pub(super) format: Field,
    pub(super) access: Field,
}

/// One of its fields is given.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Upstream {
    pub(super) flowise: Option<Flowise>,
    pub(super) engine: Option<Engine>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Engine {
    pub(super) flows_dir: Field,
    pub(super) threads: Field,
    pub(super) credentials: Named<Named<Node>>,
    pub(super) allow_networks: Field,
    pub(super) limits: EngineLimits,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct EngineLimits {
    pub(super) time: Field,
    pub(super) steps: Field,
    pub(super) model_calls: Field,
    pub(super) tool_calls: Field,
    pub(super) text: Field,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Flowise {
    pub(super) urls: Field,
    pub(super) api_key: Field,
    pub(super) api_key_file: Field,
    pub(super) ca_file: Field,
    pub(super) connect_timeout: Field,
    pub(super) response_timeout: Field,
    pub(super) stream_idle_timeout: Field,
    pub(super) pass_headers: Field,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Plan {
    pub(super) requests: Field,
    pub(super) burst: Field,
    pub(super) concurrent: Field,
    pub(super) quota: Field,
    pub(super) wait: Field,
    pub(super) queue: Field,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Cors {
    pub(super) allowed_origins: Field,
    pub(super) allow_credentials: Field,
    pub(super) max_age: Field,
    pub(super) allowed_headers: Field,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct AuthFailures {
    pub(super) free: Field,
    pub(super) then: Field,
    pub(super) delay: Field,
}

/// `null` turns it off, which is not the same as leaving it out.
#[derive(Debug)]
pub(super) struct AuthFailuresSection(pub(super) Option<AuthFailures>);

impl Default for AuthFailuresSection {
    fn default() -> Self {
        Self(Some(AuthFailures::default()))
    }
}

impl<'de> Deserialize<'de> for AuthFailuresSection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::deserialize(deserializer).map(Self)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Chatflow {
    pub(super) upstream: Field,
    pub(super) id: Field,
    pub(super) api_key: Field,
    pub(super) access: Field,
    pub(super) allowed_origins: Field,
    pub(super) body: Field,
    pub(super) response: Field,
    pub(super) events: Field,
    pub(super) override_config: Field,
    pub(super) max_question_chars: Field,
    pub(super) max_word_chars: Field,
    pub(super) vars: Field,
    pub(super) force_override: Field,
    pub(super) isolate_sessions: Field,
    pub(super) plan: Field,
}

/// A field that may be absent, which is not the same as a field that says `null`.
#[derive(Debug, Default)]
pub(super) struct Field(pub(super) Option<Node>);

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Node::deserialize(deserializer).map(|node| Self(Some(node)))
    }
}
