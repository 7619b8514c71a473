//! Chat models by provider: one file each, all behind `ChatModel`. A new one touches its file and [`KINDS`].

mod anthropic;
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

use super::compile::kind::NodeKind;

/// The kinds of nodes that are chat models.
pub(crate) const KINDS: &[&dyn NodeKind] = &[
    &anthropic::ChatAnthropic,
    &gemini::ChatGemini,
    &llama_index::LlamaAnthropic,
    &llama_index::LlamaAzure,
    &llama_index::LlamaOpenAi,
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
    &completions::AZURE,
    &completions::COHERE,
    &completions::FIREWORKS,
    &completions::HUGGING_FACE,
    &completions::OLLAMA,
    &completions::OPENAI,
    &completions::SAMBANOVA,
    &completions::TOGETHER,
];
