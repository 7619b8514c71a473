//! Why nodes do not run here, and what does the same.

macro_rules! gone {
    ($instead:literal) => {
        concat!("Flowise 3.1.4 has no such node any more; ", $instead)
    };
}

const NO_PYTHON: &str = "a model writes Python for it, which the engine does not run, and Flowise 3.1.4 no longer has it; a Csv \
                         File in a document store, or Sql Database Chain over a database, answers from the same rows";
const NO_PYTHON_OF_AIRTABLE: &str = "a model writes Python for it, which the engine does not run, and Flowise 3.1.4 no longer has it; the loader Airtable, \
     in a document store, answers from the same rows";
const NO_BAIDU: &str = "the engine does not sign as this interface of Baidu's wants it; its newer one asks for the same models: \
                        ChatOpenAI Custom with the base path https://qianfan.baidubce.com/v2 and an API key of Qianfan";
const NO_BAIDU_EMBEDDINGS: &str = "the engine does not sign as this interface of Baidu's wants it; its newer one has the same models: OpenAI Embeddings \
     Custom with the base path https://qianfan.baidubce.com/v2 and an API key of Qianfan";
const NO_BROWSER: &str =
    "the engine has no browser: Cheerio Web Scraper reads pages that need none, FireCrawl those that do";
const NO_ASSISTANT: &str = "OpenAI has shut down its Assistants API (26 August 2026), so it answers nowhere; an Agent with its \
                            instructions, its files in a document store as knowledge and its functions as Custom Tools does";
const NO_FILES: &str =
    gone!("the engine gives models no files of this machine: Custom MCP with a server of files does");
const AGENTS: &str = gone!("a Tool Agent, or an Agent of Agentflow V2, works through a task with the same tools");
const PALM: &str = gone!("Google has shut PaLM down: ChatGoogleGenerativeAI asks its successor");

/// Kinds that nobody can run, or not here, each with the reason.
const REASONS: &[(&str, &str)] = &[
    ("codeInterpreterE2B", "the engine runs no code but JavaScript: Custom MCP with a server that runs Python does"),
    ("csvAgent", NO_PYTHON),
    ("airtableAgent", NO_PYTHON_OF_AIRTABLE),
    ("chatBaiduWenxin", NO_BAIDU),
    ("baiduQianfanEmbeddings", NO_BAIDU_EMBEDDINGS),
    ("playwrightWebScraper", NO_BROWSER),
    ("puppeteerWebScraper", NO_BROWSER),
    ("openAIAssistant", NO_ASSISTANT),
    ("autoGPT", AGENTS),
    ("babyAGI", AGENTS),
    ("readFile", NO_FILES),
    ("writeFile", NO_FILES),
    ("chatGooglePaLM", PALM),
    ("GooglePaLM", PALM),
    ("googlePaLMEmbeddings", gone!("Google has shut PaLM down: GoogleGenerativeAI Embeddings asks its successor")),
    ("motorheadMemory", gone!("Motorhead is no longer kept up: Buffer Memory, or Zep Memory, remembers as well")),
    (
        "zapierNLA",
        gone!("Zapier has shut this interface down: Custom MCP with Zapier's own server has the same actions"),
    ),
    ("aiPlugin", gone!("OpenAPI Toolkit with the plugin's document has the same operations")),
    (
        "pythonInterpreter",
        gone!("the engine runs no code but JavaScript: Custom MCP with a server that runs Python does"),
    ),
    ("makeWebhook", gone!("Requests Post calls the same webhook")),
    ("unstructuredFolderLoader", gone!("Unstructured File Loader reads the same files")),
];

pub(super) fn of(kind: &str) -> Option<&'static str> {
    REASONS.iter().find(|(known, _)| *known == kind).map(|(_, reason)| *reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::compile::flowise::{GONE, kinds};

    #[test]
    fn what_flowise_has_lost_is_called_so() {
        let lost = REASONS.iter().filter(|(kind, _)| kinds().all(|known| known != *kind));
        for (kind, reason) in lost {
            assert!(reason.starts_with(GONE) || reason.contains("no longer has it"), "{kind}: {reason}");
        }
    }
}
