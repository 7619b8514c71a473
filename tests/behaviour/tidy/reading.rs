//! Where the engine reads texts.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::{files, source};

/// Where the engine reads a text as something else than a text, and whose text that is. What a user, a model or an API
/// says is read as a whole or not at all; no text that a value was filled into is read.
const READ: &[(&str, &str)] = &[
    ("agentflow/changes.rs", "all that a node said, where an author's path leads into it"),
    ("agentflow/inputs.rs", "an author's table"),
    ("agentflow/nodes/body.rs", "all of a raw body, to see whether it is JSON as it stands"),
    ("agentflow/nodes/choices.rs", "all that a model said"),
    ("agentflow/nodes/http.rs", "an author's address; all that an API answered"),
    ("agentflow/nodes/speaker.rs", "all that a model said"),
    ("agentflow/nodes/tool.rs", "an author's arguments"),
    ("agentflow/plain.rs", "an author's pattern, in which values match themselves"),
    ("agentflow/runtime.rs", "a state of the author's or the client's own"),
    ("agentflow/structured.rs", "an author's schema"),
    ("agentflow/tools.rs", "an author's description"),
    ("agentflow/written.rs", "what the engine wrote"),
    ("compile/remote_flow.rs", "all that another flow answered"),
    ("compile/export.rs", "an export"),
    ("compile/inputs.rs", "an author's input"),
    ("compile/inputs/overridden.rs", "a setting that a request overrides"),
    ("compile/inputs/places.rs", "an author's input"),
    ("compile/varied.rs", "an author's setting"),
    ("contract/prompt_values.rs", "all that a node gave, where an author's path leads into it"),
    ("documents/office/sections.rs", "the engine's own pattern"),
    ("documents/stores.rs", "an export"),
    ("documents/tools.rs", "an export"),
    ("flow/flows/files.rs", "an export"),
    ("flow/follow_ups.rs", "Flowise's settings of a flow; all that a model said"),
    ("mcp/message.rs", "all that a server answered"),
    ("memory/disk.rs", "what the engine wrote"),
    ("memory/in_store.rs", "what the engine wrote"),
    ("memory/remote.rs", "what the engine wrote"),
    ("models/gathering.rs", "a tool's arguments, all that a model said"),
    ("models/gemini/request.rs", "all that a tool gave"),
    ("models/openai/answer.rs", "all that a provider answered"),
    ("models/vertex/access.rs", "a credential's file; all that Google answered"),
    ("nodes/agents/conversational.rs", "all that a model said"),
    ("nodes/agents/react.rs", "the engine's own pattern"),
    ("nodes/agents/work.rs", "a tool's arguments, all that a model said"),
    ("nodes/caches/elsewhere.rs", "what the engine or Flowise wrote"),
    ("nodes/memory/dynamo.rs", "all that a database answered"),
    ("nodes/retrieval/retrievers/bedrock.rs", "all that a service answered"),
    ("nodes/chains/api.rs", "all that a model said"),
    ("nodes/chains/openapi/document.rs", "an author's document"),
    ("nodes/chains/router.rs", "all that a model said"),
    ("nodes/embeddings/mod.rs", "an author's options; all that a provider answered"),
    ("nodes/embeddings/providers.rs", "all that a provider answered"),
    ("nodes/engines/questions.rs", "all that a model said"),
    ("nodes/files.rs", "an author's list of files"),
    ("nodes/graphs/neo4j.rs", "all that a database answered"),
    ("nodes/memory/redis.rs", "a turn that Flowise or the engine wrote"),
    ("nodes/memory/upstash.rs", "a turn that Flowise or the engine wrote"),
    ("nodes/memory/zep.rs", "all that an API answered"),
    ("nodes/parsers/repair.rs", "an author's JSON, or all that a model said"),
    ("nodes/parsers/structured.rs", "an author's schema, or all that a model said"),
    ("nodes/parsers/zod.rs", "an author's schema"),
    ("nodes/prompts/few_shot.rs", "an author's examples"),
    ("nodes/prompts/langfuse.rs", "an author's prompt that lies elsewhere, all of it"),
    ("nodes/retrieval/databases/database.rs", "all that a database answered"),
    ("nodes/retrieval/databases/http.rs", "all that a database answered"),
    ("nodes/retrieval/databases/milvus.rs", "a field of metadata, all of it"),
    ("nodes/retrieval/databases/postgres.rs", "all that a database answered"),
    ("nodes/retrieval/databases/redis.rs", "a field of metadata, all of it"),
    ("nodes/retrieval/databases/singlestore.rs", "a column of metadata, all of it"),
    ("nodes/retrieval/json.rs", "an author's document"),
    ("nodes/retrieval/loaders/services/asked.rs", "all that an API answered"),
    ("nodes/retrieval/loaders/services/api.rs", "all that an API answered"),
    ("nodes/retrieval/loaders/services/confluence.rs", "the engine's own pattern"),
    ("nodes/retrieval/loaders/services/google.rs", "an author's choice"),
    ("nodes/retrieval/loaders/services/notion/blocks.rs", "the engine's own pattern"),
    ("nodes/retrieval/stores.rs", "what Flowise wrote"),
    ("nodes/retrieval/splitters.rs", "the engine's own table"),
    ("nodes/retrieval/retrievers/extracting.rs", "all that a model said"),
    ("nodes/retrieval/retrievers/rerank.rs", "all that a provider answered"),
    ("nodes/tools/aws.rs", "all that a service answered"),
    ("nodes/tools/custom.rs", "an author's schema"),
    ("nodes/tools/composio.rs", "an author's choice; all that an API answered"),
    ("nodes/tools/json_path.rs", "JSON of a model, out of which a value is told"),
    ("nodes/tools/mcp/inputs.rs", "an author's choice"),
    ("nodes/tools/openapi/document.rs", "an author's document"),
    ("nodes/tools/openapi/mod.rs", "all that an API answered"),
    ("nodes/tools/requests/mod.rs", "an author's input"),
    ("nodes/tools/fitted.rs", "all of an argument that a model wrote as a text"),
    ("nodes/tools/office/call.rs", "all that a service answered"),
    ("nodes/tools/office/docs.rs", "all that a service answered"),
    ("nodes/tools/office/oauth.rs", "all that an issuer of tokens answered"),
    ("nodes/tools/office/params.rs", "all of an argument that is a table in JSON"),
    ("nodes/tools/office/service.rs", "an author's choice"),
    ("nodes/tools/office/tool.rs", "the engine's own schema"),
    ("nodes/tools/stripe.rs", "an author's choice; all that Stripe answered"),
    ("nodes/utilities/given.rs", "an author's input"),
    ("nodes/tools/search/answers.rs", "all that a service answered"),
    ("nodes/tools/search/tavily.rs", "the engine's own schema"),
    ("nodes/words.rs", "the engine's own prompts"),
    ("postgres/values.rs", "a value of a database, all of it"),
    ("provider/incoming.rs", "all that a provider answered"),
    ("scripts/post_processor.rs", "Flowise's settings of a flow"),
    ("scripts/databases.rs", "a request of an author's code"),
    ("scripts/mod.rs", "all that an author's code gave or asks for"),
    ("scripts/requests.rs", "a request of an author's code"),
    ("sequential/checkpoint.rs", "what the engine wrote"),
    ("sequential/nodes/state.rs", "an author's default"),
    ("sequential/structured.rs", "all that a model said"),
    ("text/mustache/fields.rs", "an author's names and values"),
    ("text/mustache/json.rs", "an author's JSON; a value that is all of its place"),
    ("text/mustache/lenient.rs", "an author's JSON"),
    ("text/mustache/mod.rs", "the reader of what authors wrote"),
    ("text/tokens/mod.rs", "the engine's own patterns"),
    ("text/variables.rs", "an author's input"),
];

const READERS: [&str; 12] = [
    "json::read(",
    "json::read_answer",
    "json::read_str",
    "serde_json::from_str",
    "serde_json::from_slice",
    "read_json",
    "lenient::parse",
    "repair::read",
    "zod::parse",
    "Mustache::parse",
    "Template::parse",
    "Regex::new",
];

#[test]
fn the_engine_reads_what_authors_wrote_and_nothing_that_was_filled_in() {
    let engine = source().join("engine");
    let is_for_tests = |file: &Path| {
        let of_tests = ["stage", "tests", "tests.rs", "testing.rs", "lab.rs", "transcripts.rs", "fuzz.rs"];
        file.components().any(|part| of_tests.contains(&part.as_os_str().to_str().unwrap()))
    };
    let mut reading = BTreeSet::new();
    for file in files(&engine).iter().filter(|file| !is_for_tests(file)) {
        let text = fs::read_to_string(file).unwrap();
        let code = text.split("#[cfg(test)]\nmod").next().unwrap_or_default();
        let code = code.lines().filter(|line| !line.trim_start().starts_with("//") && !line.contains(" fn "));
        if code.into_iter().any(|line| READERS.iter().any(|reader| line.contains(reader))) {
            reading.insert(file.strip_prefix(&engine).unwrap().to_str().unwrap().to_owned());
        }
    }
    let known: BTreeSet<String> = READ.iter().map(|(file, _)| (*file).to_owned()).collect();
    assert_eq!(reading, known, "say whose text it is that is read");
}
