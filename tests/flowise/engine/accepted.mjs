// Differences from Flowise that are meant, with the reason. The same list is in the table of differences in src/engine/README.md.
const HIDDEN = 'Flowise shows visitors the address, options and credential id of the model; the engine keeps them to itself'
export const ACCEPTED = [
  { flow: /^ollama-/, at: /\.options\.stop$/, text: /^nothing/, why: 'Flowise forgets the stop words of a ChatOllama' },
  { flow: /^ollama-/, at: /\.messages\[\d+\]\.(tool_calls|tool_name)$/, text: /^nothing/, why: 'Flowise does not tell Ollama which tool it asked for' },
  { flow: /^gemini-conversation$/, at: /^(status|model calls)$/, text: /^(500 ≠ 200| ≠ \/v1beta)/, why: "Flowise makes a turn of its own of an image, which Google's library refuses after another turn of the user" },
  { flow: /^gemini-chain$/, at: /message$/, text: /Error fetching from/, why: HIDDEN },
  { flow: /./, at: /ModelConfig\.(credential|basepath|baseUrl|baseOptions|proxyUrl|FLOWISE_CREDENTIAL_ID)$/, text: /≠ nothing$/, why: HIDDEN },
  { flow: /./, at: /\.(input\.http\.(url|headers|queryParams|body)|output\.http\.headers)$/, text: /≠ nothing$/, why: 'Flowise shows visitors where an HTTP node calls, and with which credentials; the engine shows what came back' },
  { flow: /./, at: /\.agentSelectedToolConfig\./, text: /≠ nothing$/, why: HIDDEN },
  { flow: /./, at: /\.responseMetadata\.estimatedTokenUsage$/, text: /≠ nothing$/, why: "Flowise's own estimate, counted in its only thread, which one long word freezes; the provider's usage is there" },
  { flow: /./, at: /\.usageMetadata\.(input|output|total|base_input|base_output)_cost$/, text: /≠ nothing$/, why: 'Prices come from a list that Flowise fetched and that nobody keeps up any more' },
  { flow: /-(500|503|cut)$/, at: /^model calls$/, why: 'Flowise asks a model that fails seven times, up to 110 s; the engine tells at once' },
  { flow: /./, at: /(message|error)$/, text: /Troubleshooting URL/, why: "LangChain's \"Troubleshooting URL\" behind a provider's words" },
  { flow: /^(tool-agent|ollama-agent|gemini-agent)$/, at: /^events\.agent_trace\.(action|name|parentRunId)$/, why: "LangChain's own objects and run ids; the tool's name is there where Flowise says unknown-tool" },
  { flow: /./, at: /\.input\.messages\[\d+\]\.additional_kwargs$/, text: /usedTools.*≠ nothing$/, why: 'What a stored turn carried beside its text is not shown again; the model is not sent it either' },
  { flow: /./, at: /^model documents$/, why: 'Flowise embeds all documents anew for each question; the engine once' },
  { flow: /^conversation-chain-images$/, at: /^model#\d body\.messages\[\d\]\.content$/, text: /image_url/, why: 'Chats remember texts, within a bound; images of earlier turns are not sent again' },
  { flow: /./, at: /sourceDocuments\[\d\]\.id$/, text: /^"<uuid>" ≠ nothing$/, why: "A vector database's own id of a passage; the engine has none" },
  { flow: /^retriever-two-stores$/, at: /(text|output\.content|events\.token)$/, why: 'Of several document stores Flowise searches each and keeps what the last one gave; the engine keeps all' },
  { flow: /^retriever-then-model$/, at: /_tokens$/, why: 'The words of these ids' },
  { flow: /^qa-of-a-stores-passages$/, at: /^model#1 body\.input\[\d\]$/, why: "Flowise's database gives passages in any order; the engine in theirs" },
  { flow: /^template-local-qna$/, at: /^model#\d key$/, why: 'Without a credential Flowise sends LocalAI the key "sk-"; the engine none' }
]
