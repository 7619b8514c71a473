//! Its vector stores and embeddings, which are those of other nodes under names of their own.

use std::sync::Arc;

use serde_json::Map;

use super::IndexRetriever;
use crate::engine::compile::flowise;
use crate::engine::compile::inputs::Inputs;
use crate::engine::compile::kind::NodeKind;
use crate::engine::compile::part::Part;
use crate::engine::contract::node::Retriever;

/// A node that stands for another.
pub(super) struct Alias {
    names: &'static [&'static str],
    /// Whose it is.
    kind: &'static str,
    /// Inputs that both have.
    inputs: &'static [&'static str],
}

pub(super) static OPENAI_EMBEDDING: Alias = Alias {
    names: &["openAIEmbedding_LlamaIndex"],
    kind: "openAIEmbeddings",
    inputs: &["modelName", "basepath", "timeout"],
};
pub(super) static AZURE_EMBEDDING: Alias =
    Alias { names: &["azureOpenAIEmbeddingsLlamaIndex"], kind: "azureOpenAIEmbeddings", inputs: &["timeout"] };

impl Alias {
    fn part(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let Some(kind) = inputs.compiler.kinds.find(self.kind) else {
            let why = flowise::why_unknown(self.kind, "");
            inputs.compiler.of_node(inputs.node, None, format!("{}: {why}", self.kind));
            return None;
        };
        let own = self.inputs.iter().filter_map(|name| Some(((*name).to_owned(), inputs.value(name)?)));
        let mut config: Map<_, _> = own.collect();
        inputs.fills(self.inputs);
        inputs.ignore(&["credential", "FLOWISE_CREDENTIAL_ID"]);
        let chosen = inputs.node.data.credential.as_deref();
        config.extend(chosen.map(|id| ("FLOWISE_CREDENTIAL_ID".to_owned(), id.into())));
        inputs.part_inside(kind, self.kind, config)
    }
}

impl NodeKind for Alias {
    fn names(&self) -> &'static [&'static str] {
        self.names
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        self.part(inputs)
    }
}

/// The node `pineconeLlamaIndex`.
pub(super) struct PineconeIndex;

static PINECONE: Alias = Alias {
    names: &["pineconeLlamaIndex"],
    kind: "pinecone",
    inputs: &["document", "embeddings", "pineconeIndex", "pineconeNamespace", "pineconeMetadataFilter", "topK"],
};

impl NodeKind for PineconeIndex {
    fn names(&self) -> &'static [&'static str] {
        PINECONE.names
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        PINECONE.index(inputs)
    }
}

/// The node `simpleStoreLlamaIndex`: what Flowise wrote into its folder is made again of the documents, in memory.
pub(super) struct SimpleStore;

static SIMPLE: Alias =
    Alias { names: &["simpleStoreLlamaIndex"], kind: "memoryVectorStore", inputs: &["document", "embeddings", "topK"] };

impl NodeKind for SimpleStore {
    fn names(&self) -> &'static [&'static str] {
        SIMPLE.names
    }

    fn build(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        inputs.ignore(&["basePath"]);
        if inputs.references("document").is_empty() {
            // Flowise reads it of its disk.
            inputs.lacks("document");
        }
        SIMPLE.index(inputs)
    }
}

impl Alias {
    /// The same with the model that comes along.
    fn index(&self, inputs: &mut Inputs<'_, '_, '_>) -> Option<Part> {
        let model = inputs.model("model");
        let retriever: Arc<dyn Retriever> = match self.part(inputs)? {
            Part::VectorStore(store) => store,
            part => part.into_retriever()?,
        };
        Some(Part::Own(Arc::new(IndexRetriever { retriever, model: model? })))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::engine::testing::flow;

    const MODEL: &str = "{{m_0.data.instance}}";

    fn loaded(nodes: &[(&str, &str, Value)]) -> Result<(), String> {
        let mut all = vec![
            ("m_0", "testModel", json!({})),
            ("e_0", "openAIEmbedding_LlamaIndex", json!({ "modelName": "text-embedding-ada-002" })),
        ];
        all.extend_from_slice(nodes);
        flow(&all).map(|_| ())
    }

    #[test]
    fn nodes_of_the_family_are_those_of_others() {
        let store = json!({ "document": ["{{t_0.data.instance}}"], "embeddings": "{{e_0.data.instance}}" });
        let chain = json!({ "model": MODEL, "vectorStoreRetriever": "{{s_0.data.instance}}" });
        let nodes = [
            ("t_0", "plainText", json!({ "text": "x" })),
            ("s_0", "memoryVectorStore", store),
            ("c_0", "retrievalQAChain", chain),
        ];
        assert_eq!(loaded(&nodes), Ok(()));
        let document = json!(["{{t_0.data.instance}}"]);
        let simple =
            json!({ "document": document, "embeddings": "{{e_0.data.instance}}", "model": MODEL, "basePath": "/x" });
        let engine = json!({ "vectorStoreRetriever": "{{s_0.data.instance}}" });
        let text = ("t_0", "plainText", json!({ "text": "x" }));
        let nodes = [text, ("s_0", "simpleStoreLlamaIndex", simple), ("q_0", "queryEngine", engine)];
        assert_eq!(loaded(&nodes), Ok(()));
        let engine = json!({ "vectorStoreRetriever": MODEL });
        let refused = loaded(&[("q_0", "queryEngine", engine)]).unwrap_err();
        assert!(refused.contains("input vectorStoreRetriever: expected a retriever of LlamaIndex"), "{refused}");
    }
}
