// Differences from Flowise that are meant, with the reason. The same list is in src/engine/DIFFERENCES.md.
const HIDDEN = 'Flowise shows visitors the address, options and credential id of the model; the engine keeps them to itself'
export const ACCEPTED = [
  { flow: /^ollama-/, at: /\.options\.stop$/, text: /^nothing/, why: 'Flowise forgets the stop words of a ChatOllama' },
  { flow: /^ollama-/, at: /\.messages\[\d+\]\.(tool_calls|tool_name)$/, text: /^nothing/, why: 'Flowise does not tell Ollama which tool it asked for' },
  { flow: /^gemini-(conversation|agentflow)$/, at: /^(status|model calls)$/, text: /^(500 ≠ 200| ≠ \/v1beta)/, why: "Flowise makes a turn of its own of an image, which Google's library refuses after another turn of the user" },
  { flow: /^gemini-chain$/, at: /message$/, text: /Error fetching from/, why: HIDDEN },
  { flow: /./, at: /ModelConfig\.(credential|basepath|baseUrl|baseOptions|proxyUrl|basePath|overrideEndpoint|FLOWISE_CREDENTIAL_ID)$/, text: /≠ nothing$/, why: HIDDEN },
  { flow: /./, at: /\.(input\.http\.(url|headers|queryParams|body)|output\.http\.headers)$/, text: /≠ nothing$/, why: 'Flowise shows visitors where an HTTP node calls, and with which credentials; the engine shows what came back' },
  { flow: /./, at: /\.agentSelectedToolConfig\./, text: /≠ nothing$/, why: HIDDEN },
  { flow: /./, at: /\.input\.agentKnowledgeVSEmbeddings$/, text: /≠ nothing$/, why: HIDDEN },
  { flow: /./, at: /\.responseMetadata\.estimatedTokenUsage$/, text: /≠ nothing$/, why: "Flowise's own estimate, counted in its only thread, which one long word freezes; the provider's usage is there" },
  { flow: /./, at: /\.usageMetadata\.(input|output|total|base_input|base_output)_cost$/, text: /≠ nothing$/, why: 'Prices come from a list that Flowise fetched and that nobody keeps up any more' },
  { flow: /-(500|503|cut)$/, at: /^model calls$/, why: 'Flowise asks a model that fails seven times, up to 110 s; the engine tells at once' },
  { flow: /./, at: /(message|error)$/, text: /Troubleshooting URL|OUTPUT_PARSING_FAILURE/, why: "LangChain's \"Troubleshooting URL\" behind a provider's words" },
  { flow: /./, at: /^events\.agent_trace\.(action|name|parentRunId)$/, why: "LangChain's own objects and run ids; the tool's name is there where Flowise says unknown-tool" },
  { flow: /./, at: /\.input\.messages\[\d+\]\.additional_kwargs$/, text: /usedTools.*≠ nothing$/, why: 'What a stored turn carried beside its text is not shown again; the model is not sent it either' },
  { flow: /^memory-summary$/, at: /^events$/, text: /^start token/, isChance: true, why: 'Flowise tells a stream the words of the summary as well; the engine the answer' },
  { flow: /^agents-part-and-join$/, at: /^model#\d body\.messages\[0\]\.content$/, text: /^"[bc]" ≠ "[bc]"$/, isChance: true, why: 'Of branches that run beside each other either may ask first' },
  { flow: /^documents-web-crawl/, at: /^model pages$/, why: 'Flowise reads each page of a crawl once for its links and once for its text; the engine once' },
  { flow: /./, at: /^model documents$/, why: 'Flowise embeds all documents anew for each question; the engine once' },
  { flow: /^conversation-chain-images$/, at: /^model#\d body\.messages\[\d\]\.content$/, text: /image_url/, why: 'Chats remember texts, within a bound; images of earlier turns are not sent again' },
  { flow: /./, at: /sourceDocuments\[\d\]\.(id|metadata\._id)$/, text: /^"[^"]*" ≠ nothing$/, why: "A vector database's own id of a passage; the engine has none" },
  { flow: /^retriever-two-stores$/, at: /(text|output\.content|events\.token)$/, why: 'Of several document stores Flowise searches each and keeps what the last one gave; the engine keeps all' },
  { flow: /^retriever-then-model$/, at: /_tokens$/, why: 'The words of these ids' },
  { flow: /^qa-of-a-stores-passages$/, at: /^model documents body\.input\[\d\]$/, isChance: true, why: "Flowise's database gives passages in any order; the engine in theirs" },
  { flow: /^(template-local-qna|thoughts-.*chatLocalAI|embeddings-localAIEmbeddings)$/, at: /^model(#\d| documents) key$/, why: 'Without a credential Flowise sends LocalAI the key "sk-"; the engine none' }
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
  { flow: /^(two-outputs-to-one|one-output-to-two)$/, at: /./, why: EDGES },
  { flow: /^boolean$/, at: /./, why: 'A switch of a form is never equal to true or false, as one is a text and the other is not; the engine compares what they say' },
  { flow: /^dollars$/, at: /./, why: "$$ and $& in a text are read as JavaScript's marks in replacements; the engine keeps them" },
  { flow: /^parser-in-a-stream$/, at: /^(status|answer message)$/, why: 'A parser that fails in a stream leaves the connection open without a word; the engine answers 500 with it' }
)
ACCEPTED.push(
  { flow: /^agents-ask$/, at: /\.tool_calls\[0\]\.index$/, text: /≠ nothing$/, why: 'A call that was kept comes back with its place in the stream that it came in' },
  { flow: /^agents-ask$/, at: /\.tool_call_id$/, text: /^nothing/, why: 'The result of a call has lost its call when it was kept, which providers refuse; the engine keeps it' }
)
const COPIED = "Flowise copies the chain, and with it a client of OpenAI's embeddings that has been used, which then fails"
ACCEPTED.push(
  { flow: /^chain-(retrieval-qa|vector-db-qa|multi-retrieval-qa)$/, at: /^(status|model calls)$/, why: COPIED },
  { flow: /^retriever-custom$/, at: /./, why: "A Custom Retriever's format and Top K are forgotten where a chain asks it; the engine does as it says" },
  { flow: /^retriever-rrf$/, at: /^model/, why: 'Flowise searches for the question as well, and keeps only what that finds' },
  { flow: /^chain-qa-with-cleared-prompts$/, at: /^model#\d body\.messages\[0\]\.content$/, why: 'A prompt that was cleared tells the model nothing of what was found; the engine takes the usual one' },
  { flow: /^mcp-before$/, at: /./, why: "Flowise cannot read the stream of the protocol's first version: \"expected a web ReadableStream\"" },
  { flow: /^tool-ChatflowTool-directly$/, at: /^events$/, text: /usedTools token.*token usedTools/, why: 'What a tool answers itself is told before which tools were used' },
  { flow: /^chain-multi-retrieval-qa/, at: /./, request: /^none/, why: 'Flowise answers nothing where the model chooses none' },
  { flow: /^web-browser$/, at: /./, text: /bold stray cell/, why: 'What a page leaves open is opened again after a block; the engine takes it for closed' },
  { flow: /./, at: /^model lookups$/, text: /^asked anew/, why: 'What a service only tells, such as where an index is or what a memory holds, Flowise asks for again in one request, and in the next; the engine knows it' },
  { flow: /^memory-zep/, at: /^model lookups$/, text: /healthz ≠ nothing$/, why: 'Flowise asks Zep first whether it is there' },
  { flow: /^memory-upstash-redis/, at: /^model lookups$/, text: /stub-redis/, why: 'Of a session the newest 200 turns are read' },
  { flow: /^(database|records)-(qdrant|elasticsearch|Astra)/, at: /^model lookups$/, text: /^@\/[\w.]+\/(collections|idx|api\/json\/v1\/default_keyspace)? ≠ nothing$/, why: 'Flowise looks whether a collection is there, and makes it if it is not; the engine takes it for being there' },
  { flow: /^memory-mem0/, at: /^(status|answer|events|model#\d body\.messages)/, why: 'A memory in Mem0 fails in Flowise after each answer' },
  { flow: /./, at: /^events\.agent_trace\.output$/, text: /FLOWISE_SOURCE_DOCUMENTS/, why: "Flowise's mark between what a tool says and its sources is its own" },
  { flow: /pinecone|^llama/, at: /^model lookups$/, text: /^(known|nothing) ≠ /, why: "Where a Pinecone index is, Flowise's client remembers for all flows, and the engine for each" },
  { flow: /^chain-multi-retrieval-qa-pinecone$/, at: /^events$/, text: /sourceDocuments×/, why: 'Several events of sources, most of them empty; the engine tells them once' },
  { flow: /^rerank-voyage$/, at: /sourceDocuments|^model#\d body\.messages/, why: 'Flowise looks for what Voyage answers in the wrong field, and keeps the order and the number of before' },
  { flow: /^llama-/, at: /^model#\d body\.input$/, text: /^\["/, why: "LlamaIndex embeds a question as a list of one" },
  { flow: /^llama-/, at: /^model (lookups|#\d body\.includeMetadata)|^model#\d body\.includeMetadata$/, text: /vectors\/fetch|≠ true$/, why: 'LlamaIndex asks Pinecone for what it found once more; the engine is told with the search' },
  { flow: /^llama-\w+-agent$/, at: /^answer text$|^model#\d body\.messages\[\d\](\.content\[0\])?\.content$/, request: /^a call/, text: /\\\\n/, why: "LlamaIndex tells its model what a tool gave as JSON without its quotation marks, `\\n` for a new line" },
  { flow: /^llama-anthropic-agent$/, at: /^model#\d path$|is_error$/, text: /beta=tools|^false ≠ nothing$/, why: "What LlamaIndex's library of Anthropic still says of tools" },
  { flow: /^llama-openai-agent$/, at: /^events$/, request: /^a call, stream$/, text: /^start usedTools token/, why: 'What was used is told after the first token; the engine tells it after the last' },
  { flow: /^langfuse-unknown$/, at: /message$|error$/, text: /Prompt not found/, why: "LangFuse's words on a prompt that is not there; the engine's for all services" },
  { flow: /^langfuse-chat$/, at: /message$|error$/, text: /input\.replace is not a function/, why: 'A prompt of several turns is no text; the engine says so' }
)
const VENDORS = /^(anthropic|anthropic-thinking|mistral|groq|deepseek|openrouter|fireworks|together|xai|cerebras|comet|sambanova|perplexity)-/
ACCEPTED.push(
  { flow: VENDORS, at: /\.(responseMetadata|additional_kwargs)\b|usage_?[mM]etadata\b|messages\[\d\]\.id$/, why: "What a vendor's own library tells of an answer beside its words, and how it counts; the engine tells the same of all, and the vendor's count" },
  { flow: /^groq-/, at: /^events$/, text: /calledTools (nextAgentFlow|token).* ≠ .*/, why: "Groq's library tells a stream no counts; the engine does" },
  { flow: /^(mistral|perplexity)-/, at: /^events(\.start)?$/, why: "Mistral's and Perplexity's libraries leave out pieces without a word" },
  { flow: /^mistral-agent/, at: /\.tool_call(s\[\d\]\.id|_id)$/, text: /^"\w{9}" ≠ "\w{9}"$/, why: 'Ids of calls, which Mistral wants to have nine letters' },
  { flow: /^mistral-chain$/, at: /./, request: /^nothing$/, why: "Mistral's library fails on an answer without a word" },
  { flow: /^(anthropic(-thinking)?|mistral|groq)-chain$/, at: /message$/, request: /^a refusal$/, why: "A vendor's library shows all that the provider answered; the engine its message" },
  { flow: /^anthropic-conversation$/, at: /^(model#\d body\.messages|answer text)/, request: /^an image$/, why: "A conversation's image is a turn of its own for every model, as Flowise has it for OpenAI's" },
  { flow: /^perplexity-/, at: /ModelConfig\.model$/, why: HIDDEN },
  { flow: /hugging-?Face/i, at: /^model lookups$/, isChance: true, text: /huggingface\.co/, why: 'Flowise looks up who serves a model; the engine asks hf-inference' },
  { flow: /^(database-chroma-upsert$|records-chroma)/, at: /^model lookups$/, text: /pre-flight-checks ≠ nothing$/, why: "Chroma's client asks how many passages it may send at once" },
  { flow: /^(database-supabase-upsert$|records-supabase)/, at: /^model#\d path$/, text: /columns=/, why: "Supabase's client names the columns, and wants the rows back" },
  { flow: /^(database-elasticsearch-upsert$|records-elasticsearch)/, at: /metadata\.loc$/, text: /^nothing/, why: 'Where a passage lies in its file is left out of Elasticsearch; the engine keeps it' },
  { flow: /^(database-(elasticsearch|openSearch)-upsert$|records-elasticsearch)/, at: /^model (lookups|#\d path)|^model#\d path$/, text: /\/(idx|_refresh|_bulk)\b/, why: 'How is asked whether an index is there, and that what was put in is found' },
  { flow: /^database-Astra-upsert$/, at: /^model#\d body\.insertMany\.options$/, why: "Astra's client lets other passages in where one is refused" },
  { flow: /^anthropic(-thinking)?-structured$/, at: /./, why: "A stream of Anthropic's with the fields that were asked for is no JSON to Flowise" },
  { flow: /^anthropic-thinking-aloud$/, at: /^model#2 body\.messages\[\d\]\.content/, why: 'Thoughts before a call, without which Anthropic refuses its result, are forgotten' },
  { flow: /^anthropic-thinking-aloud$/, at: /^events$/, text: /thinking/, why: 'A piece without a word beside each thought' }
)
const TAKEN_OUT = 'Databases are told to let go of nothing as well, which Chroma refuses; of Supabase each passage by itself'
ACCEPTED.push(
  { flow: /^records-chroma-(full|incremental)$/, at: /./, text: /^500 ≠ 200$|non-empty list|^nothing ≠|\/delete ≠ $/, why: TAKEN_OUT },
  { flow: /^records-(chroma|supabase|upstash)-(full|incremental)$/, at: /^model calls$/, why: TAKEN_OUT },
  { flow: /^chain-open-api$/, at: /^model#1 body\.(functions|tools)/, why: 'Operations are told of as functions; the engine tells of them as tools, which newer models know' },
  { flow: /^followups-fail$/, at: /./, why: 'Follow-up prompts that cannot be made take the answer with them; the engine leaves them out' },
  { flow: /^followups-/, at: /^model#2 (body\.(stream|stream_options|think)|path)$/, why: 'What might be asked next is asked for in one piece, of Ollama without a word on thinking; the engine asks for a stream, as for all else' },
  { flow: /^chain-open-api$/, at: /message$/, request: /^no call$/, text: /No function_call in message/, why: 'The whole message of a model that calls nothing is told; the engine says that it calls nothing' },
  { flow: /^database-qdrant-narrowed/, at: /^model#\d body\.filter/, why: "A tool's own filter is forgotten over a Qdrant" },
  { flow: /^database-vectara-chain$/, at: /message$/, request: /^(no such prompt|more than it sums up)$/, why: "The words of what Vectara refuses" }
)
