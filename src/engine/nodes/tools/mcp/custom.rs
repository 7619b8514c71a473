//! Servers that a flow's author names: by a URL, or by a program that the configuration has to name as well.

use serde_json::Value;

use super::inputs::{actions, configured, place_of, remote, unnamed};
use super::server::McpTools;
use crate::config::McpServer;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::nodes::tools::requests::headers_of;
use crate::engine::text::mustache::{JsonTemplate, Mustache};

/// Programs that run others.
const RUNNERS: [&str; 14] =
    ["npx", "uvx", "node", "python", "python3", "docker", "podman", "bunx", "bun", "deno", "uv", "pipx", "sh", "bash"];
/// As Flowise words what goes wrong before a tool is called.
const TROUBLE: &str = "Invalid MCP Server Config: Error";
const INPUT: &str = "mcpServerConfig";

/// The node `customMCP`.
pub(super) struct CustomMcp;

impl NodeKind for CustomMcp {
    fn names(&self) -> &'static [&'static str] {
        &["customMCP"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let wanted = Some(actions(inputs));
        if !inputs.has(INPUT) {
            inputs.lacks(INPUT);
            return None;
        }
        let Some(fields) = inputs.json_template(INPUT)?.into_fields() else {
            inputs.refuse(INPUT, "expected a JSON object");
            return None;
        };
        let field = |name: &str| fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.clone());
        if let Some(command) = field("command") {
            return program(&command, field("args").as_ref(), field("env").is_some(), wanted, inputs);
        }
        let Some(url) = field("url").as_ref().and_then(text) else {
            inputs.refuse(INPUT, "expected the url of a server, or the command of a program");
            return None;
        };
        let headers = match field("headers").map(JsonTemplate::into_fields) {
            None => Vec::new(),
            Some(Some(headers)) => headers_of(headers, INPUT, inputs),
            Some(None) => {
                inputs.refuse(INPUT, "expected headers as a JSON object");
                return None;
            }
        };
        let place = remote(INPUT, &url, headers, Vec::new(), inputs)?;
        Some(McpTools::new(place, wanted).with_trouble(TROUBLE).part())
    }
}

fn text(template: &JsonTemplate) -> Option<Mustache> {
    match template {
        JsonTemplate::Fixed(Value::String(text)) => Some(Mustache::plain(text)),
        template => template.mustache().cloned(),
    }
}

/// One on this machine: as the configuration names it, if it names the same.
fn program(
    command: &JsonTemplate,
    args: Option<&JsonTemplate>,
    has_env: bool,
    wanted: Option<Vec<String>>,
    inputs: &mut Inputs<'_, '_, '_>,
) -> Option<Part> {
    let command = command.fixed().and_then(Value::as_str).map(str::to_owned);
    let texts = |args: &Value| {
        let args = args.as_array()?.iter().map(|arg| arg.as_str().map(str::to_owned));
        args.collect::<Option<Vec<String>>>()
    };
    let args = args.map_or(Some(Vec::new()), |args| args.fixed().and_then(texts));
    let (Some(command), Some(args)) = (command, args) else {
        inputs.refuse(INPUT, "the command of a program and its args must be written out as texts");
        return None;
    };
    if has_env {
        inputs.pass_over(INPUT, "env of a program: it is given the env that the configuration names, and no other");
    }
    let is_same = |server: &McpServer| matches!(server, McpServer::Program { command: own, args: given, .. } if *own == command && *given == args);
    let servers = &inputs.compiler.context.mcp_servers;
    let found = servers.iter().find(|(_, server)| is_same(server));
    let Some((name, server)) = found.map(|(name, server)| (name.clone(), server.clone())) else {
        let shown = Value::from(args.clone()).to_string();
        return Some(unnamed(&called(&command, &args), &format!("{{ command: {command}, args: {shown} }}"), inputs));
    };
    let place = place_of(&name, server, Vec::new(), Vec::new(), Vec::new(), inputs)?;
    Some(McpTools::new(place, wanted).with_trouble(TROUBLE).part())
}

/// What an operator might call a program: by its package.
fn called(command: &str, args: &[String]) -> String {
    let own = command.rsplit('/').next().unwrap_or(command);
    let args = if RUNNERS.contains(&own) { args } else { &[] };
    let plain = |arg: &&String| !arg.starts_with('-');
    let package = args.iter().filter(plain).find(|arg| arg.contains("mcp") || arg.contains("server"));
    let whole = package.or_else(|| args.iter().find(plain)).map_or(command, String::as_str);
    let last = whole.rsplit(['/', '\\']).find(|part| !part.is_empty()).unwrap_or(whole);
    let last = last.split('@').next().unwrap_or(last);
    let short = ["mcp-server-", "server-", "mcp-"].iter().find_map(|prefix| last.strip_prefix(prefix)).unwrap_or(last);
    let fit: String = short.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-').collect();
    if fit.is_empty() { "server".to_owned() } else { fit }
}

/// The node `customMcpServerTool`: a server of Flowise's database, which no export has.
pub(super) struct CustomMcpServer;

impl NodeKind for CustomMcpServer {
    fn names(&self) -> &'static [&'static str] {
        &["customMcpServerTool"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let wanted = Some(actions(inputs));
        let id = inputs.required_text("mcpServerId")?;
        let Some(server) = configured(&id, inputs) else {
            return Some(unnamed(&id, "{ url: https://..., headers: { ... } }", inputs));
        };
        let place = place_of(&id, server, Vec::new(), Vec::new(), Vec::new(), inputs)?;
        Some(McpTools::new(place, wanted).part())
    }
}

/// The node `mcpToolkit`, which Flowise had before: every tool of a server, unless some are chosen.
pub(super) struct McpToolkit;

impl NodeKind for McpToolkit {
    fn names(&self) -> &'static [&'static str] {
        &["mcpToolkit"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let chosen = inputs.has("mcpActions").then(|| actions(inputs));
        let names = ["mcpServerUrl", "sseUrl", "serverUrl", "url"];
        inputs.fills(&names);
        let urls: Vec<_> = names.iter().filter_map(|name| Some((*name, inputs.mustache(name)?))).collect();
        let Some((input, url)) = urls.into_iter().next() else {
            inputs.lacks("mcpServerUrl");
            return None;
        };
        let place = remote(input, &url, Vec::new(), Vec::new(), inputs)?;
        Some(McpTools::new(place, chosen).part())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_called_by_their_package() {
        let called = |command: &str, args: &[&str]| {
            called(command, &args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(called("npx", &["-y", "@modelcontextprotocol/server-filesystem@1.0", "/data"]), "filesystem");
        assert_eq!(called("docker", &["run", "-i", "--rm", "mcp/github"]), "github");
        assert_eq!(called("uvx", &["mcp-server-fetch"]), "fetch");
        assert_eq!(called("/opt/tool", &[]), "tool");
    }
}
