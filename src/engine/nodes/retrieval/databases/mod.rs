//! Databases of passages, searched where they are: each by its HTTP interface, or in its own protocol.

mod astra;
mod chroma;
mod database;
mod elastic;
mod http;
mod milvus;
mod mongo;
mod node;
mod pinecone;
mod postgres;
mod qdrant;
mod recorded;
mod relevance;
mod store;
mod supabase;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod upstash;
mod weaviate;

use serde_json::{Map, Value};

use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;

pub(in crate::engine::nodes) const KINDS: &[&dyn NodeKind] = &[
    &astra::AstraNode,
    &chroma::ChromaNode,
    &elastic::ELASTICSEARCH,
    &elastic::OPEN_SEARCH,
    &milvus::MilvusNode,
    &mongo::MongoNode,
    &pinecone::PineconeNode { api_input: "" },
    &postgres::PostgresNode,
    &qdrant::QdrantNode,
    &supabase::SupabaseNode,
    &upstash::UpstashNode,
    &weaviate::WeaviateNode,
];

/// Databases that want a credential, and the field that says that it is there.
const CREDENTIALS: &[(&str, &str, &str)] = &[
    ("Astra", "AstraDBApi", "applicationToken"),
    ("chroma", "chromaApi", "chromaApiKey"),
    ("elasticsearch", "elasticsearchApi", "endpoint"),
    ("milvus", "milvusAuth", "milvusUser"),
    ("mongoDBAtlas", "mongoDBUrlApi", "mongoDBConnectUrl"),
    ("openSearch", "openSearchUrl", "openSearchUrl"),
    ("pinecone", "pineconeApi", "pineconeApiKey"),
    ("postgres", "PostgresApi", "password"),
    ("qdrant", "qdrantApi", "qdrantApiKey"),
    ("redis", "redisCacheUrlApi", "redisUrl"),
    ("supabase", "supabaseApi", "supabaseApiKey"),
    ("upstash", "upstashVectorApi", "UPSTASH_VECTOR_REST_TOKEN"),
    ("weaviate", "weaviateApi", "weaviateApiKey"),
];

/// The kind of database of that name.
pub(super) fn kind(name: &str) -> Option<&'static dyn NodeKind> {
    KINDS.iter().copied().find(|kind| kind.names().contains(&name))
}

/// Whether the engine has a credential for it, which is there for it to be searched.
pub(super) fn is_at_hand(name: &str, config: &Map<String, Value>, inputs: &Inputs<'_, '_, '_>) -> bool {
    let chosen = ["FLOWISE_CREDENTIAL_ID", "credential"].iter().find_map(|field| config.get(*field)?.as_str());
    let of = CREDENTIALS.iter().filter(|(database, ..)| *database == name);
    let context = inputs.compiler.context;
    of.into_iter().any(|(_, credential, field)| context.credential(chosen, credential, field).is_some())
}
