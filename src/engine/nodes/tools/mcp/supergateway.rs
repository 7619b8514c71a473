//! The node `supergatewayMCP`: a program that speaks to a server elsewhere on behalf of whoever speaks to it. The engine
//! speaks to that server itself; whatever else the program could do, starting others among it, only the configuration
//! can name.

use http::HeaderName;

use super::inputs::{actions, configured, place_of, remote, unnamed};
use super::server::McpTools;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;

/// See the module.
pub(super) struct SupergatewayMcp;

const NAME: &str = "supergateway";
const EXAMPLE: &str = "{ command: npx, args: [-y, supergateway, ...] }";

impl NodeKind for SupergatewayMcp {
    fn names(&self) -> &'static [&'static str] {
        &["supergatewayMCP"]
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let wanted = Some(actions(inputs));
        let arguments = inputs.text("arguments").unwrap_or_default();
        inputs.fills(&["arguments"]);
        if let Some(server) = configured(NAME, inputs) {
            inputs.pass_over("arguments", "the program is given the args that the configuration names, and no others");
            let place = place_of(NAME, server, Vec::new(), Vec::new(), Vec::new(), inputs)?;
            return Some(McpTools::new(place, wanted).part());
        }
        let Some(Elsewhere { url, headers }) = Elsewhere::read(&arguments) else {
            return Some(unnamed(NAME, EXAMPLE, inputs));
        };
        let url = inputs.mustache_in("arguments", &url);
        let mut named = Vec::new();
        for (name, value) in headers {
            let Ok(name) = name.parse::<HeaderName>() else {
                inputs.refuse("arguments", format!("{name} is no header"));
                return None;
            };
            named.push((name, inputs.mustache_in("arguments", &value)));
        }
        let place = remote("arguments", &url, named, Vec::new(), inputs)?;
        Some(McpTools::new(place, wanted).part())
    }
}

/// A server that the arguments lead to.
#[derive(Debug, PartialEq, Eq)]
struct Elsewhere {
    url: String,
    headers: Vec<(String, String)>,
}

impl Elsewhere {
    /// `None`: they ask for something else.
    fn read(arguments: &str) -> Option<Self> {
        let unquoted = |text: &str| {
            let inner = ['"', '\''].iter().find_map(|mark| text.strip_prefix(*mark)?.strip_suffix(*mark));
            inner.unwrap_or(text).to_owned()
        };
        let mut words = arguments.split_whitespace().map(unquoted);
        let (mut url, mut headers) = (None, Vec::new());
        while let Some(word) = words.next() {
            match word.as_str() {
                "--sse" | "--streamableHttp" if url.is_none() => url = Some(words.next()?),
                "--oauth2Bearer" => headers.push(("authorization".to_owned(), format!("Bearer {}", words.next()?))),
                "--header" => {
                    let header = words.next()?;
                    let (name, value) = header.split_once(':')?;
                    headers.push((name.trim().to_owned(), value.trim().to_owned()));
                }
                "--logLevel" | "--outputTransport" => _ = words.next()?,
                _ => return None,
            }
        }
        Some(Self { url: url?, headers })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_leads_elsewhere_is_read() {
        let found = Elsewhere::read("--sse \"https://x.example/sse\" --header X-Key:1 --oauth2Bearer t").unwrap();
        assert_eq!(found.url, "https://x.example/sse");
        let headers: Vec<_> = found.headers.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(headers, ["X-Key=1", "authorization=Bearer t"]);
        for other in ["--stdio \"rm -rf /\"", "", "--sse", "--sse https://x --port 1"] {
            assert_eq!(Elsewhere::read(other), None, "{other}");
        }
    }
}
