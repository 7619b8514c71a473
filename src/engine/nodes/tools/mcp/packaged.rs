//! Servers that Flowise knows by name: some are elsewhere, others are programs that the configuration has to name.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::inputs::{actions, authorization, configured, place_of, remote, unnamed};
use super::server::{McpTools, ServerPlace};
use crate::config::Secret;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::text::mustache::Mustache;

/// A server that is a program.
pub(super) struct PackagedServer {
    names: &'static [&'static str],
    /// In the configuration.
    name: &'static str,
    example: &'static str,
    /// Fields of credentials, and where they go.
    given: &'static [(&'static str, &'static str, Given)],
}

#[derive(Clone, Copy)]
enum Given {
    Env(&'static str),
    /// Behind all arguments.
    LastArgument,
}

pub(super) static BRAVE_SEARCH: PackagedServer = PackagedServer {
    names: &["braveSearchMCP"],
    name: "braveSearch",
    example: "{ command: npx, args: [-y, \"@brave/brave-search-mcp-server\"] }",
    given: &[("braveSearchApi", "braveApiKey", Given::Env("BRAVE_API_KEY"))],
};

pub(super) static POSTGRES: PackagedServer = PackagedServer {
    names: &["postgreSQLMCP"],
    name: "postgreSQL",
    example: "{ command: npx, args: [-y, \"@modelcontextprotocol/server-postgres\"] }",
    given: &[("PostgresUrl", "postgresUrl", Given::LastArgument)],
};

pub(super) static SEQUENTIAL_THINKING: PackagedServer = PackagedServer {
    names: &["sequentialThinkingMCP"],
    name: "sequentialThinking",
    example: "{ command: npx, args: [-y, \"@modelcontextprotocol/server-sequential-thinking\"] }",
    given: &[],
};

static SLACK: PackagedServer = PackagedServer {
    names: &["slackMCP"],
    name: "slack",
    example: "{ command: npx, args: [-y, \"@modelcontextprotocol/server-slack\"] }",
    given: &[
        ("slackApi", "botToken", Given::Env("SLACK_BOT_TOKEN")),
        ("slackApi", "teamId", Given::Env("SLACK_TEAM_ID")),
    ],
};

impl NodeKind for PackagedServer {
    fn names(&self) -> &'static [&'static str] {
        self.names
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let wanted = Some(actions(inputs));
        let server = configured(self.name, inputs);
        let (mut env, mut args) = (Vec::new(), Vec::new());
        for (credential, field, given) in self.given {
            // What the operator gave himself is not asked for.
            if server.is_some() && inputs.optional_credential(credential, field).is_none() {
                continue;
            }
            let Some(value) = inputs.credential(credential, field) else { continue };
            match given {
                Given::Env(name) => env.push(((*name).to_owned(), value)),
                Given::LastArgument => args.push(value),
            }
        }
        let Some(server) = server else { return Some(unnamed(self.name, self.example, inputs)) };
        let place = place_of(self.name, server, env, args, Vec::new(), inputs)?;
        Some(McpTools::new(place, wanted).part())
    }
}

/// The node `githubMCP`: GitHub's own server, or the one that the configuration names.
pub(super) struct GithubMcp;

impl NodeKind for GithubMcp {
    fn names(&self) -> &'static [&'static str] {
        &["githubMCP"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let wanted = Some(actions(inputs));
        let enterprise = inputs.text("githubEnterpriseUrl");
        let place = if let Some(server) = configured("github", inputs) {
            let token = inputs.optional_credential("githubApi", "accessToken");
            let env = token.clone().map(|token| ("GITHUB_PERSONAL_ACCESS_TOKEN".to_owned(), token));
            let own = token.and_then(|token| bearer(&token, inputs));
            place_of("github", server, env.into_iter().collect(), Vec::new(), own.into_iter().collect(), inputs)
        } else {
            let token = inputs.credential("githubApi", "accessToken");
            let own = token.and_then(|token| bearer(&token, inputs)).into_iter().collect();
            let url =
                enterprise.as_deref().map_or_else(|| "https://api.githubcopilot.com/mcp/".to_owned(), enterprise_url);
            remote("githubEnterpriseUrl", &Mustache::plain(&url), Vec::new(), own, inputs)
        };
        Some(McpTools::new(place?, wanted).part())
    }
}

/// `https://octocorp.ghe.com` is reached at `https://copilot-api.octocorp.ghe.com/mcp`.
fn enterprise_url(url: &str) -> String {
    let url = url.trim().trim_end_matches('/');
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
            format!("{scheme}://copilot-api.{host}/mcp")
        }
        None => format!("{url}/mcp"),
    }
}

fn bearer(token: &Secret, inputs: &mut Inputs<'_, '_, '_>) -> Option<(http::HeaderName, http::HeaderValue)> {
    authorization(&format!("Bearer {}", token.expose()), inputs)
}

/// The node `browserlessMCP`.
pub(super) struct BrowserlessMcp;

impl NodeKind for BrowserlessMcp {
    fn names(&self) -> &'static [&'static str] {
        &["browserlessMCP"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let wanted = Some(actions(inputs));
        let token = inputs.credential("browserlessApi", "browserlessApiToken");
        let place = elsewhere("browserless", "https://mcp.browserless.io/mcp", token, inputs)?;
        Some(McpTools::new(place, wanted).part())
    }
}

/// As the configuration names it, else where Flowise finds it.
fn elsewhere(name: &str, url: &str, token: Option<Secret>, inputs: &mut Inputs<'_, '_, '_>) -> Option<ServerPlace> {
    let own: Vec<_> = token.and_then(|token| bearer(&token, inputs)).into_iter().collect();
    match configured(name, inputs) {
        Some(server) => place_of(name, server, Vec::new(), Vec::new(), own, inputs),
        None => remote("credential", &Mustache::plain(url), Vec::new(), own, inputs),
    }
}

/// The node `slackMCP`: Slack's own server for who has signed in, a program for a bot.
pub(super) struct SlackMcp;

impl NodeKind for SlackMcp {
    fn names(&self) -> &'static [&'static str] {
        &["slackMCP"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let fields = ["access_token", "accessToken"];
        let token = fields.iter().find_map(|field| inputs.optional_credential("slackOAuth2", field));
        let Some(token) = token else { return SLACK.build(inputs) };
        let wanted = Some(actions(inputs));
        let place = elsewhere("slack", "https://mcp.slack.com/mcp", Some(token), inputs)?;
        Some(McpTools::new(place, wanted).part())
    }
}

/// The node `teradataMCP`.
pub(super) struct TeradataMcp;

impl NodeKind for TeradataMcp {
    fn names(&self) -> &'static [&'static str] {
        &["teradataMCP"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let wanted = Some(actions(inputs));
        let url = inputs.mustache("mcpUrl");
        let url = url.unwrap_or_else(|| Mustache::plain("http://teradata-mcp-server:8001/mcp"));
        if let Some(token) = inputs.text("bearerToken") {
            let header = inputs.mustache_in("bearerToken", &format!("Bearer {token}"));
            let place = remote("mcpUrl", &url, vec![(http::header::AUTHORIZATION, header)], Vec::new(), inputs)?;
            return Some(McpTools::new(place, wanted).part());
        }
        let own = if let Some(token) = inputs.optional_credential("teradataBearerToken", "token") {
            bearer(&token, inputs)
        } else {
            let user = inputs.credential("teradataTD2Auth", "tdUsername");
            let password = inputs.credential("teradataTD2Auth", "tdPassword");
            match (user, password) {
                (Some(user), Some(password)) => {
                    let both = STANDARD.encode(format!("{}:{}", user.expose(), password.expose()));
                    authorization(&format!("Basic {both}"), inputs)
                }
                _ => None,
            }
        };
        let place = match configured("teradata", inputs) {
            Some(server) => place_of("teradata", server, Vec::new(), Vec::new(), own.into_iter().collect(), inputs)?,
            None => remote("mcpUrl", &url, Vec::new(), own.into_iter().collect(), inputs)?,
        };
        Some(McpTools::new(place, wanted).part())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enterprises_have_servers_of_their_own() {
        assert_eq!(enterprise_url(" https://octocorp.ghe.com/ "), "https://copilot-api.octocorp.ghe.com/mcp");
        assert_eq!(enterprise_url("octocorp.ghe.com"), "octocorp.ghe.com/mcp");
    }
}
