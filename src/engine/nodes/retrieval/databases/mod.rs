//! Databases of passages, searched where they are: each by its HTTP interface, or in its own protocol.

mod astra;
mod chroma;
mod couchbase;
mod database;
mod elastic;
mod http;
mod kendra;
mod meilisearch;
mod milvus;
mod mongo;
mod node;
mod pinecone;
mod postgres;
mod qdrant;
mod recorded;
mod redis;
mod relevance;
mod singlestore;
mod store;
mod supabase;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod upstash;
mod vectara;
mod weaviate;
mod zep;

use serde_json::{Map, Value};

use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;

pub(in crate::engine::nodes) const KINDS: &[&dyn NodeKind] = &[
    &astra::AstraNode,
    &chroma::ChromaNode,
    &couchbase::CouchbaseNode { address_input: "" },
    &elastic::ELASTICSEARCH,
    &elastic::OPEN_SEARCH,
    &kendra::KendraNode { address_input: "" },
    &meilisearch::MeilisearchNode,
    &milvus::MilvusNode,
    &mongo::MongoNode,
    &pinecone::PineconeNode { api_input: "" },
    &postgres::PostgresNode,
    &qdrant::QdrantNode,
    &redis::RedisNode,
    &singlestore::SingleStoreNode,
    &supabase::SupabaseNode,
    &upstash::UpstashNode,
    &vectara::VectaraNode { address_input: "" },
    &vectara::VectaraChain,
    &weaviate::WeaviateNode,
    &zep::ZepNode,
];

/// Databases that want a credential, and the field that says that it is there.
const CREDENTIALS: &[(&str, &str, &str)] = &[
    ("Astra", "AstraDBApi", "applicationToken"),
    ("chroma", "chromaApi", "chromaApiKey"),
    ("couchbase", "couchbaseApi", "connectionString"),
    ("elasticsearch", "elasticsearchApi", "endpoint"),
    ("kendra", "awsApi", "awsKey"),
    ("meilisearch", "meilisearchApi", "meilisearchSearchApiKey"),
    ("milvus", "milvusAuth", "milvusUser"),
    ("mongoDBAtlas", "mongoDBUrlApi", "mongoDBConnectUrl"),
    ("openSearch", "openSearchUrl", "openSearchUrl"),
    ("pinecone", "pineconeApi", "pineconeApiKey"),
    ("postgres", "PostgresApi", "password"),
    ("qdrant", "qdrantApi", "qdrantApiKey"),
    ("redis", "redisCacheApi", "redisCacheHost"),
    ("redis", "redisCacheUrlApi", "redisUrl"),
    ("singlestore", "singleStoreApi", "user"),
    ("supabase", "supabaseApi", "supabaseApiKey"),
    ("upstash", "upstashVectorApi", "UPSTASH_VECTOR_REST_TOKEN"),
    ("vectara", "vectaraApi", "apiKey"),
    ("weaviate", "weaviateApi", "weaviateApiKey"),
    ("zep", "zepMemoryApi", "apiKey"),
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
