//! The YAML as written: every field that may stand in it, all optional, none checked.
//!
//! Leaves are located [`YamlNode`]s, so that `resolve` can report all mistakes at once, each in its place. Defaults are
//! applied there too. The fields' documentation is `config/full.yaml`.

use serde::{Deserialize, Deserializer};

use super::yaml::{At, Named, Switched, YamlNode};

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Sections {
    pub(super) server: ServerSection,
    pub(super) admin: AdminSection,
    pub(super) log: LogSection,
    pub(super) upstreams: Named<UpstreamSection>,
    pub(super) keys_file: Field,
    pub(super) state_dir: Field,
    pub(super) state: StateSection,
    pub(super) session_secret: Field,
    pub(super) session_secret_file: Field,
    pub(super) telemetry: TelemetrySection,
    pub(super) plans: Named<PlanSection>,
    pub(super) cors: CorsSection,
    pub(super) auth_failures: AuthFailuresSectionOrNull,
    pub(super) chatflows: Named<ChatflowSection>,
    pub(super) identity: Vec<At<IdentitySection>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ServerSection {
    pub(super) listen: Field,
    pub(super) tls: Option<At<TlsSection>>,
    pub(super) ext_auth: Option<ExtAuthSection>,
    pub(super) workers: Field,
    pub(super) trusted_proxies: Field,
    pub(super) proxy_protocol: Field,
    pub(super) client_address_header: Field,
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
pub(super) struct TlsSection {
    pub(super) listen: Field,
    pub(super) cert_file: Field,
    pub(super) key_file: Field,
    pub(super) client_ca_file: Field,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ExtAuthSection {
    pub(super) listen: Field,
    pub(super) headers: ExtAuthHeadersSection,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ExtAuthHeadersSection {
    pub(super) pass_upstream_key: Field,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct AdminSection {
    pub(super) listen: Field,
    pub(super) console: Field,
    pub(super) token_file: Field,
    pub(super) hosts: Field,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct LogSection {
    pub(super) level: Field,
    pub(super) format: Field,
    pub(super) access: Field,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct TelemetrySection {
    pub(super) otlp: Option<At<OtlpSection>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct OtlpSection {
    pub(super) endpoint: Field,
    pub(super) protocol: Field,
    pub(super) sample: Field,
    pub(super) headers: Named<YamlNode>,
    pub(super) ca_file: Field,
    pub(super) trusted_callers: Field,
    pub(super) resource: Named<YamlNode>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct StateSection {
    pub(super) dir: Field,
    pub(super) valkey: Option<At<ValkeySection>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ValkeySection {
    pub(super) urls: Field,
    pub(super) mode: Field,
    pub(super) master_name: Field,
    pub(super) username: Field,
    pub(super) password: Field,
    pub(super) password_file: Field,
    pub(super) ca_file: Field,
    pub(super) prefix: Field,
    pub(super) connect_timeout: Field,
    pub(super) timeout: Field,
    pub(super) on_loss: OnLossSection,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct OnLossSection {
    pub(super) rates: Field,
    pub(super) quotas: Field,
}

/// One of its fields is given.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct UpstreamSection {
    pub(super) flowise: Option<FlowiseSection>,
    pub(super) engine: Option<EngineSection>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct EngineSection {
    pub(super) flows_dir: Field,
    pub(super) threads: Field,
    pub(super) credentials: Named<Named<YamlNode>>,
    pub(super) credentials_file: Field,
    pub(super) allow_networks: Field,
    pub(super) addresses: Named<YamlNode>,
    pub(super) limits: EngineLimitsSection,
    pub(super) scripts: Switched<ScriptsSection>,
    pub(super) mcp: McpSection,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ScriptsSection {
    pub(super) memory: Field,
    pub(super) compute: Field,
    pub(super) time: Field,
    pub(super) modules: Field,
    pub(super) sql: Field,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct McpSection {
    pub(super) servers: Named<McpServerSection>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct McpServerSection {
    pub(super) command: Field,
    pub(super) args: Field,
    pub(super) env: Named<YamlNode>,
    pub(super) url: Field,
    pub(super) headers: Named<YamlNode>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct EngineLimitsSection {
    pub(super) time: Field,
    pub(super) steps: Field,
    pub(super) model_calls: Field,
    pub(super) tool_calls: Field,
    pub(super) text: Field,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct FlowiseSection {
    pub(super) urls: Field,
    pub(super) api_key: Field,
    pub(super) api_key_file: Field,
    pub(super) ca_file: Field,
    pub(super) connect_timeout: Field,
    pub(super) response_timeout: Field,
    pub(super) stream_idle_timeout: Field,
    pub(super) pass_headers: Field,
    pub(super) health: Switched<HealthCheckSection>,
    pub(super) slow_start: Field,
    pub(super) dns_refresh: Field,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct HealthCheckSection {
    pub(super) path: Field,
    pub(super) interval: Field,
    pub(super) timeout: Field,
    pub(super) healthy_threshold: Field,
    pub(super) unhealthy_threshold: Field,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct PlanSection {
    pub(super) requests: Field,
    pub(super) burst: Field,
    pub(super) concurrent: Field,
    pub(super) quota: Field,
    pub(super) tokens: Field,
    pub(super) wait: Field,
    pub(super) queue: Field,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct CorsSection {
    pub(super) allowed_origins: Field,
    pub(super) allow_credentials: Field,
    pub(super) max_age: Field,
    pub(super) allowed_headers: Field,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct AuthFailuresSection {
    pub(super) free: Field,
    pub(super) then: Field,
    pub(super) delay: Field,
}

/// `null` turns it off, which is not the same as leaving it out.
#[derive(Debug)]
pub(super) struct AuthFailuresSectionOrNull(pub(super) Option<AuthFailuresSection>);

impl Default for AuthFailuresSectionOrNull {
    fn default() -> Self {
        Self(Some(AuthFailuresSection::default()))
    }
}

impl<'de> Deserialize<'de> for AuthFailuresSectionOrNull {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::deserialize(deserializer).map(Self)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ChatflowSection {
    pub(super) upstream: Field,
    pub(super) id: Field,
    pub(super) by_id: Field,
    pub(super) api_key: Field,
    pub(super) api_key_file: Field,
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

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct IdentitySection {
    pub(super) name: Field,
    pub(super) issuer: Field,
    pub(super) jwks_url: Field,
    pub(super) jwks_file: Field,
    pub(super) ca_file: Field,
    pub(super) audience: Field,
    pub(super) algorithms: Field,
    pub(super) chatflows: Field,
    pub(super) chatflows_claim: Field,
    pub(super) plan: Field,
    pub(super) plan_claim: Field,
    pub(super) subject: Field,
    pub(super) vars: Field,
    pub(super) require: Field,
}

/// A field that may be absent, which is not the same as a field that says `null`.
#[derive(Debug, Default)]
pub(super) struct Field(pub(super) Option<YamlNode>);

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        YamlNode::deserialize(deserializer).map(|node| Self(Some(node)))
    }
}
