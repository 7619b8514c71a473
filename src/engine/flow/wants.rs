//! What nodes ask for and do not get, put together: each thing once, with the places that want it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::engine::compile::context::{Missing, Need};
use crate::engine::compile::problem::printable;
use crate::engine::compile::unset::UnsetField;

/// Flows that are named where many want the same, and nodes of one.
const NAMED: usize = 3;

/// One thing, and where it is wanted.
#[derive(Debug)]
pub(crate) struct Want {
    pub(crate) need: Need,
    /// Of a credential: all of its fields that are wanted.
    fields: BTreeSet<String>,
    /// Labels of nodes, by flow and by the node's id.
    places: BTreeMap<String, BTreeMap<String, String>>,
}

/// All that is missing, with the name of each flow; what most flows want comes first.
pub(crate) fn wants<'m>(missing: impl IntoIterator<Item = (&'m str, &'m Missing)>) -> Vec<Want> {
    let mut wants: BTreeMap<Need, Want> = BTreeMap::new();
    for (flow, Missing { node, label, need }) in missing {
        let (need, field) = match need {
            Need::Credential { name, field } => {
                (Need::Credential { name: name.clone(), field: String::new() }, Some(field.clone()))
            }
            need => (need.clone(), None),
        };
        let new = || Want { need: need.clone(), fields: BTreeSet::new(), places: BTreeMap::new() };
        let want = wants.entry(need.clone()).or_insert_with(new);
        want.fields.extend(field);
        // One that its author gave no name has its id.
        let label = if label.trim().is_empty() { node } else { label };
        want.places.entry(flow.to_owned()).or_default().insert(node.clone(), label.clone());
    }
    let mut wants: Vec<Want> = wants.into_values().collect();
    wants.sort_by_key(|want| std::cmp::Reverse(want.places.len()));
    wants
}

/// How many flows want something of these.
pub(crate) fn wanting(wants: &[Want]) -> usize {
    wants.iter().flat_map(|want| want.places.keys()).collect::<BTreeSet<_>>().len()
}

impl fmt::Display for Want {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Need::Credential { name, .. } = &self.need else { return self.need.fmt(f) };
        let fields: Vec<&str> = self.fields.iter().map(String::as_str).collect();
        write!(f, "credential {} ({})", printable(name), printable(&fields.join(", ")))
    }
}

impl Want {
    pub(crate) fn flows(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn nodes(&self) -> usize {
        self.places.values().map(BTreeMap::len).sum()
    }

    /// Some of the flows, with their nodes: `sales: ChatOpenAI, Embeddings; support: ChatOpenAI (2 nodes); and 34 more`.
    pub(crate) fn places(&self) -> String {
        let named = |(flow, nodes): (&String, &BTreeMap<String, String>)| {
            format!("{}: {}", printable(flow), labels(nodes.values()))
        };
        let some: Vec<String> = self.places.iter().take(NAMED).map(named).collect();
        shortened(some, self.places.len(), "; ")
    }

    /// The nodes, where all of them are of one flow.
    pub(crate) fn labels(&self) -> String {
        labels(self.places.values().flat_map(BTreeMap::values))
    }

    /// With the nodes, where they are what somebody has to look for.
    pub(crate) fn in_its_nodes(&self) -> String {
        match self.need {
            Need::File { path: None, .. } | Need::Setting(_) | Need::Store { name: None } => {
                format!("{self} of {}", self.labels())
            }
            _ => self.to_string(),
        }
    }

    /// What helps, in one line. `engine`: where the engine stands in the configuration, if that is known.
    pub(crate) fn advice(&self, engine: Option<&str>) -> String {
        let at = |field: &str| match engine {
            Some(engine) => format!("upstreams.{engine}.engine.{field}"),
            None => format!("`{field}` of the engine"),
        };
        match &self.need {
            Need::Credential { name, .. } => {
                let fields: Vec<String> = self.fields.iter().map(|field| format!("{field}: ...")).collect();
                let written = format!("{name}: {{ {} }}", fields.join(", "));
                let or_file = if engine.is_some() { ", or into its credentials_file" } else { "" };
                format!("put `{}` under {}{or_file}", printable(&written), at("credentials"))
            }
            Need::Network { host } => format!("put the address of {} into {}", printable(host), at("allow_networks")),
            Need::McpServer { name, example } => format!(
                "put `{}: {}` under {}: the flow is refused without, since a program on this machine is its operator's decision",
                printable(name),
                printable(example),
                at("mcp.servers")
            ),
            Need::Flow { name } => format!("put its export beside the flow, as {}.json", printable(name)),
            Need::Store { name: Some(_) } => exported("document stores"),
            Need::Tool { .. } => exported("custom tools"),
            Need::Store { name: None } => in_editor("choose one"),
            Need::File { path: None, .. } => in_editor("choose it"),
            Need::File { path: Some(_), .. } => {
                "put them there, beside the flow: Flowise read them of its own disk".to_owned()
            }
            Need::Setting(UnsetField { wants: "", .. }) => in_editor("fill it in"),
            Need::Setting(_) => in_editor("connect them"),
        }
    }

    /// Whether it may be that nothing fails without.
    pub(crate) fn is_optional(&self) -> bool {
        matches!(self.need, Need::Credential { .. })
    }
}

fn exported(what: &str) -> String {
    format!("put Flowise's export of its {what} (Settings, Export) beside the flow")
}

fn in_editor(what: &str) -> String {
    format!("{what} in Flowise's editor, and export the flow again")
}

/// What authors call nodes, each name once.
fn labels<'a>(labels: impl Iterator<Item = &'a String>) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    labels.for_each(|label| *counts.entry(label).or_default() += 1);
    let named = |(label, count): (&&str, &usize)| match count {
        1 => printable(label).into_owned(),
        count => format!("{} ({count} nodes)", printable(label)),
    };
    let all = counts.len();
    shortened(counts.iter().take(NAMED).map(named).collect(), all, ", ")
}

fn shortened(mut some: Vec<String>, all: usize, between: &str) -> String {
    if all > some.len() {
        some.push(format!("and {} more", all - some.len()));
    }
    some.join(between)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(node: &str, label: &str, need: Need) -> Missing {
        Missing { node: node.to_owned(), label: label.to_owned(), need }
    }

    fn key(field: &str) -> Need {
        Need::Credential { name: "gmailOAuth2".to_owned(), field: field.to_owned() }
    }

    #[test]
    fn what_many_want_is_one_thing_with_some_of_its_places() {
        let host = missing("h_0", "", Need::Network { host: "10.0.0.1".to_owned() });
        let pair = [missing("g_0", "Gmail", key("clientId")), missing("g_0", "Gmail", key("clientSecret"))];
        let twin = missing("g_1", "Gmail", key("clientId"));
        let mut all = vec![("a", &host), ("a", &pair[0]), ("a", &pair[1]), ("a", &twin)];
        all.extend(["b", "c", "d", "e"].map(|flow| (flow, &pair[0])));
        let wants = wants(all);
        let [gmail, network] = wants.as_slice() else { panic!("{wants:?}") };
        assert_eq!((gmail.flows(), gmail.nodes(), wanting(&wants)), (5, 6, 5));
        assert_eq!(gmail.to_string(), "credential gmailOAuth2 (clientId, clientSecret)");
        assert_eq!(gmail.places(), "a: Gmail (2 nodes); b: Gmail; c: Gmail; and 2 more");
        assert_eq!((network.to_string().as_str(), network.labels().as_str()), ("allow_networks for 10.0.0.1", "h_0"));
        let told = "put `gmailOAuth2: { clientId: ..., clientSecret: ... }` under upstreams.local.engine.credentials, \
                    or into its credentials_file";
        assert_eq!(gmail.advice(Some("local")), told);
        assert_eq!(network.advice(None), "put the address of 10.0.0.1 into `allow_networks` of the engine");
    }
}
