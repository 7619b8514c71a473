//! The nodes that Flowise 3.1.4 has, with the inputs that each declares or reads: what stands in an export and not here,
//! Flowise passes over.

use super::reasons;

/// A kind a line: its name, its category, its inputs. Written by `tests/flowise/lab/list-inputs.mjs`.
const NODES: &str = include_str!("flowise.txt");
fn line(kind: &str) -> Option<&'static str> {
    NODES.lines().find_map(|line| line.strip_prefix(kind)?.strip_prefix(' '))
}

/// The drawer of that kind, as exports name it; empty: Flowise does not have it.
#[cfg(test)]
pub(crate) fn category(kind: &str) -> String {
    line(kind).and_then(|line| line.split(' ').next()).unwrap_or_default().replace('_', " ")
}

/// The inputs that Flowise knows of that kind.
#[cfg(test)]
pub(crate) fn inputs(kind: &str) -> impl Iterator<Item = &'static str> {
    line(kind).unwrap_or_default().split(' ').skip(1)
}

/// All kinds of nodes that Flowise has.
#[cfg(test)]
pub(crate) fn kinds() -> impl Iterator<Item = &'static str> {
    NODES.lines().filter_map(|line| line.split(' ').next())
}

/// Whether Flowise has such a kind of node and does not look at that input of it.
pub(crate) fn passes_over(kind: &str, input: &str) -> bool {
    line(kind).is_some_and(|line| line.split(' ').skip(1).all(|known| known != input))
}

/// Whether nodes of that name belong to Agentflow V1, by their category where Flowise has it no more.
pub(crate) fn is_of_agentflow_v1(kind: &str, category: &str) -> bool {
    let own = line(kind).and_then(|line| line.split(' ').next());
    own.is_some_and(is_category_of_v1) || is_category_of_v1(&category.replace(' ', "_"))
}

fn is_category_of_v1(category: &str) -> bool {
    matches!(category, "Sequential_Agents" | "Multi_Agents")
}

/// Whether Flowise does not run nodes of that kind either.
pub(crate) fn is_lost(kind: &str) -> bool {
    kind == "openAIAssistant" || (line(kind).is_none() && kind != "stickyNoteAgentflow")
}

/// What is not there any more.
pub(crate) const GONE: &str = "Flowise 3.1.4 has no such node any more";

/// Why the engine has no such kind of node.
pub(crate) fn why_unknown(kind: &str, category: &str) -> &'static str {
    if is_of_agentflow_v1(kind, category) {
        "it is a node of Agentflow V1, which runs with others of its kind only"
    } else if let Some(reason) = reasons::of(kind) {
        reason
    } else if line(kind).is_none() && kind != "stickyNoteAgentflow" {
        GONE
    } else {
        "the engine does not know this kind of node"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flowises_nodes_are_known_with_their_inputs() {
        assert!(passes_over("bufferMemory", "inputKey"));
        assert!(!passes_over("bufferMemory", "sessionId") && !passes_over("testModel", "x"));
        assert!(is_of_agentflow_v1("seqStart", "") && is_of_agentflow_v1("seqOld", "Sequential Agents"));
        assert!(why_unknown("seqStart", "").contains("Agentflow V1"));
        assert!(why_unknown("zapierNLA", "Tools").contains("no such node any more"));
        assert!(why_unknown("pdfFile", "Document Loaders").contains("does not know"));
        assert!(why_unknown("playwrightWebScraper", "Document Loaders").contains("no browser"));
        assert!(why_unknown("codeInterpreterE2B", "Tools").starts_with("the engine runs no code but JavaScript"));
        assert!(why_unknown("openAIAssistant", "Agents").contains("shut down its Assistants API"));
        assert!(why_unknown("csvAgent", "Agents").contains("Python"));
        assert!(is_lost("csvAgent") && is_lost("zapierNLA") && !is_lost("pinecone") && !is_lost("chatOpenAI"));
    }
}
