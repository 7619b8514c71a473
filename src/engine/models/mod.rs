//! Chat models by provider: one file each, all behind `ChatModel`. A new one touches its file and [`KINDS`].

mod anthropic;
pub(crate) mod aws;
mod bedrock;
mod cohere;
mod completions;
pub(crate) mod connection;
mod gathering;
mod gemini;
#[cfg(test)]
pub(crate) mod lab;
mod llama_index;
mod mistral;
pub(crate) mod ollama;
pub(crate) mod openai;
mod plain;
mod replicate;
mod request;
mod row;
pub(crate) mod tokens;
pub(crate) mod vertex;
pub(crate) mod watsonx;

use super::compile::kind::NodeKind;

/// The kinds of nodes that are chat models.
pub(crate) const KINDS: &[&dyn NodeKind] = &[
    &anthropic::ChatAnthropic,
    &bedrock::CHAT_BEDROCK,
    &bedrock::BEDROCK,
    &cohere::CHAT_COHERE,
    &gemini::ChatGemini,
    &llama_index::LlamaAnthropic,
    &llama_index::LlamaAzure,
    &llama_index::LlamaOllama,
    &llama_index::LlamaOpenAi,
    &llama_index::GROQ,
    &llama_index::MISTRAL,
    &llama_index::TOGETHER,
    &mistral::ChatMistral,
    &ollama::ChatOllama,
    &openai::AzureChatOpenAi,
    &openai::ChatLocalAi,
    &openai::ChatOpenAi,
    &openai::ChatOpenAiCustom,
    &openai::relatives::CEREBRAS,
    &openai::relatives::COMET,
    &openai::relatives::DEEPSEEK,
    &openai::relatives::FIREWORKS,
    &openai::relatives::GROQ,
    &openai::relatives::LITELLM,
    &openai::relatives::NVIDIA,
    &openai::relatives::OPEN_ROUTER,
    &openai::relatives::PERPLEXITY,
    &openai::relatives::SAMBANOVA,
    &openai::relatives::TOGETHER,
    &openai::relatives::XAI,
    &plain::CLOUDFLARE,
    &plain::HUGGING_FACE,
    &plain::NEMO,
    &plain::TONGYI,
    &replicate::REPLICATE,
    &vertex::CHAT_VERTEX,
    &vertex::VERTEX,
    &watsonx::CHAT_WATSONX,
    &watsonx::WATSONX,
    &completions::AZURE,
    &completions::COHERE,
    &completions::FIREWORKS,
    &completions::HUGGING_FACE,
    &completions::OLLAMA,
    &completions::OPENAI,
    &completions::SAMBANOVA,
    &completions::TOGETHER,
];
