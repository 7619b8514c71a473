// Differences from Flowise that are meant, with the reason. The same list is in src/engine/DIFFERENCES.md.
const HIDDEN = 'Flowise shows visitors the address, options and credential id of the model; the engine keeps them to itself'
export const ACCEPTED = [
  { flow: /^ollama-/, at: /\.options\.stop$/, text: /^nothing/, why: 'Flowise forgets the stop words of a ChatOllama' },
  { flow: /^ollama-/, at: /\.messages\[\d+\]\.(tool_calls|tool_name)$/, text: /^nothing/, why: 'Flowise does not tell Ollama which tool it asked for' },
  { flow: /^gemini-conversation$/, at: /^(status|model calls)$/, text: /^(500 ≠ 200| ≠ \/v1beta)/, why: "Flowise makes a turn of its own of an image, which Google's library refuses after another turn of the user" },
  { flow: /^gemini-chain$/, at: /message$/, text: /Error fetching from/, why: HIDDEN },
  { flow: /./, at: /ModelConfig\.(credential|basepath|baseUrl|baseOptions|proxyUrl|basePath|FLOWISE_CREDENTIAL_ID)$/, text: /≠ nothing$/, why: HIDDEN },
  { flow: /./, at: /\.(input\.http\.(url|headers|queryParams|body)|output\.http\.headers)$/, text: /≠ nothing$/, why: 'Flowise shows visitors where an HTTP node calls, and with which credentials; the engine shows what came back' },
  { flow: /./, at: /\.agentSelectedToolConfig\./, text: /≠ nothing$/, why: HIDDEN },
  { flow: /./, at: /\.responseMetadata\.estimatedTokenUsage$/, text: /≠ nothing$/, why: "Flowise's own estimate, counted in its only thread, which one long word freezes; the provider's usage is there" },
  { flow: /./, at: /\.usageMetadata\.(input|output|total|base_input|base_output)_cost$/, text: /≠ nothing$/, why: 'Prices come from a list that Flowise fetched and that nobody keeps up any more' },
  { flow: /-(500|503|cut)$/, at: /^model calls$/, why: 'Flowise asks a model that fails seven times, up to 110 s; the engine tells at once' },
  { flow: /./, at: /(message|error)$/, text: /Troubleshooting URL/, why: "LangChain's \"Troubleshooting URL\" behind a provider's words" },
  { flow: /^(tool-agent|ollama-agent|gemini-agent|tool-chain)$/, at: /^events\.agent_trace\.(action|name|parentRunId)$/, why: "LangChain's own objects and run ids; the tool's name is there where Flowise says unknown-tool" },
  { flow: /./, at: /\.input\.messages\[\d+\]\.additional_kwargs$/, text: /usedTools.*≠ nothing$/, why: 'What a stored turn carried beside its text is not shown again; the model is not sent it either' },
  { flow: /^memory-summary$/, at: /^events$/, text: /^start token/, isChance: true, why: 'Flowise tells a stream the words of the summary as well; the engine the answer' },
  { flow: /^agents-part-and-join$/, at: /^model#\d body\.messages\[0\]\.content$/, text: /^"[bc]" ≠ "[bc]"$/, isChance: true, why: 'Of branches that run beside each other either may ask first' },
  { flow: /^documents-web-crawl/, at: /^model pages$/, why: 'Flowise reads each page of a crawl once for its links and once for its text; the engine once' },
  { flow: /./, at: /^model documents$/, why: 'Flowise embeds all documents anew for each question; the engine once' },
  { flow: /^conversation-chain-images$/, at: /^model#\d body\.messages\[\d\]\.content$/, text: /image_url/, why: 'Chats remember texts, within a bound; images of earlier turns are not sent again' },
  { flow: /./, at: /sourceDocuments\[\d\]\.id$/, text: /^"<uuid>" ≠ nothing$/, why: "A vector database's own id of a passage; the engine has none" },
  { flow: /^retriever-two-stores$/, at: /(text|output\.content|events\.token)$/, why: 'Of several document stores Flowise searches each and keeps what the last one gave; the engine keeps all' },
  { flow: /^retriever-then-model$/, at: /_tokens$/, why: 'The words of these ids' },
  { flow: /^qa-of-a-stores-passages$/, at: /^model#1 body\.input\[\d\]$/, why: "Flowise's database gives passages in any order; the engine in theirs" },
  { flow: /^(template-local-qna|thoughts-.*chatLocalAI)$/, at: /^model#\d key$/, why: 'Without a credential Flowise sends LocalAI the key "sk-"; the engine none' }
]
ACCEPTED.push({ flow: /^(code-|agentflow-code$)/, at: /\.input\.code$/, text: /≠ nothing$/, why: 'Flowise shows visitors the code of a flow, with whatever keys it holds; the engine what it was given and what it gave' })
const EDGES = 'Flowise skips nodes, by the first edge of each output that is not chosen, where the engine follows edges'
const REACHED = 'Words of a connection that fails name no address, to the model or to visitors'
const BROKEN_JSON = "A list that a question goes into is read before; what is none is told in three words, without JSON5's advice"
ACCEPTED.push(
  { flow: /./, at: /\.output\.http\.data$/, text: /≠ nothing$/, why: 'What an API says where it fails is for the flow; visitors see the status' },
  { flow: /^stream-text$/, at: /^(events|model#1 body\.stream(_options)?)$/, why: 'Streaming that is switched on by a text ends in a stream without a word; the engine takes the text for what it says' },
  { flow: /^form-of-lists$/, at: /./, text: /\[object Object\]|^\d+ ≠ \d+$/, why: 'An object in a form is "[object Object]" to the model; the engine tells it as JSON' },
  { flow: /^iterate-empty$/, at: /./, text: /\{\{ \$iteration \}\}/, why: 'Items that are 0, empty, false or null leave {{ $iteration }} standing; the engine fills them in' },
  { flow: /^iterate-objects$/, at: /./, text: /undefined>.*7>|undefined>" ≠/, why: '{{ $iteration[0] }} is undefined; the engine gives what is there' },
  { flow: /^iterate-texts$/, request: /^a list in the question$/, at: /./, why: BROKEN_JSON },
  { flow: /^iterate-no-list$/, at: /(message|error)$/, why: BROKEN_JSON },
  { flow: /^zod-(quotes|backslashes)$/, at: /^model#1 body\.messages\[0\]\.content$/, why: 'Backslashes before quotation marks are told to the model; the engine takes them off' },
  { flow: /^zod-null/, request: /^an answer$/, at: /./, why: 'A value that may be null is refused if it is; the engine takes it' },
  { flow: /^(tool|http)-(unreachable|no-such-host)$/, at: /./, text: /ECONNREFUSED|ENOTFOUND|token×/, why: REACHED },
  { flow: /^tool-404$/, at: /^events\.agent_trace\.(action|name|parentRunId)$/, why: "LangChain's own objects and run ids; the tool's name is there where Flowise says unknown-tool" },
  { flow: /^(two-outputs-to-one|one-output-to-two)$/, at: /./, why: EDGES },
  { flow: /^boolean$/, at: /./, why: 'A switch of a form is never equal to true or false, as one is a text and the other is not; the engine compares what they say' },
  { flow: /^dollars$/, at: /./, why: "$$ and $& in a text are read as JavaScript's marks in replacements; the engine keeps them" },
  { flow: /^parser-in-a-stream$/, at: /^(status|answer message)$/, why: 'A parser that fails in a stream ends the connection without a word; the engine answers 500 with it' }
)
ACCEPTED.push(
  { flow: /^agents-ask$/, at: /\.tool_calls\[0\]\.index$/, text: /≠ nothing$/, why: 'A call that was kept comes back with its place in the stream that it came in' },
  { flow: /^agents-ask$/, at: /\.tool_call_id$/, text: /^nothing/, why: 'The result of a call has lost its call when it was kept, which providers refuse; the engine keeps it' }
)
