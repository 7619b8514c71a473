// Kinds of answers in which the engine once differed from Flowise, a small flow for each.
import { chat, drawn, form, http, joined, judging, llm, reply, when } from './drawn.mjs'
import { EARLIER, ask, both, changed, inputs, load } from './flows.mjs'
import { PLACEHOLDER } from './sides.mjs'

const asking = (flow, steps, more = {}) => ({ flow, steps, ...more })

// What an HTTP node got, and where it led.
const STATUSES = ['200', '404', '404-text', '500-html', '503-empty', '204-empty', '410'].map((status) => [
  `http-${status}`,
  asking(
    drawn(
      [chat(), http(`/status/${status}`), when(['number', '{{ httpAgentflow_0.output.http.status }}', 'equal', '200']), reply('found {{ httpAgentflow_0 }}'), reply('none {{ httpAgentflow_0 }} {{ httpAgentflow_0.output.http.data.message }}')],
      ['start_0 -> http_0', 'http_0 -> condition_0', 'condition_0#0 -> directReply_0', 'condition_0#1 -> directReply_1']
    ),
    both('a question', { question: 'order 7' })
  )
])

const LEFT_OVER = [
  ['left-over-edge-to-a-branch', drawn([chat(), when(['string', '{{ question }}', 'contains', 'alpha']), reply('one'), llm()], ['start_0 -> condition_0', 'condition_0#0 -> directReply_0', 'condition_0#2 -> llm_0', 'condition_0#1 -> llm_0'])],
  ['left-over-edge-alone', drawn([chat(), when(['string', '{{ question }}', 'contains', 'alpha']), reply('one'), reply('two'), reply('three')], ['start_0 -> condition_0', 'condition_0#0 -> directReply_0', 'condition_0#1 -> directReply_1', 'condition_0#7 -> directReply_2'])]
].map(([name, flow]) => [name, asking(flow, [...both('the first', { question: 'alpha' }), ...both('the other', { question: 'beta' })])])

const PARENT = [
  ['child-that-fails', asking(drawn([chat(), llm()], ['start_0 -> llm_0']), [ask('a question', { question: 'hello' })])],
  ['parent-of-one-that-fails', asking(
    drawn([chat({ startState: [{ key: 'r', value: '' }] }), ['executeFlow', { executeFlowSelectedFlow: 'FLOWID:child-that-fails', executeFlowInput: '{{ question }}', executeFlowOverrideConfig: '', executeFlowBaseURL: '', executeFlowReturnResponseAs: 'userMessage', executeFlowUpdateState: [{ key: 'r', value: '{{ output }}' }] }], llm({ llmMessages: [{ role: 'system', content: 'The child said {{ executeFlowAgentflow_0 }}, state {{ $flow.state.r }}' }] })], ['start_0 -> executeFlow_0', 'executeFlow_0 -> llm_0']),
    [ask('it answers', { question: 'hello' }), ...both('it fails', { question: 'bad [[error=400]]' })]
  )]
]

const vectors = { name: 'memoryVectorStore', category: 'Vector Stores', inputs: { topK: '', document: '', embeddings: '{{openAIEmbeddings_9.data.instance}}' }, outputs: { output: 'retriever' } }
const embeddings = { name: 'openAIEmbeddings', category: 'Embeddings', inputs: { modelName: 'm', basepath: `${PLACEHOLDER}/v1` } }
const loose = (flow) => {
  joined(joined(flow, vectors), { ...embeddings, to: 'memoryVectorStore_9', as: 'embeddings' })
  return flow
}
const model = (set) => changed(load('llm-chain'), (f) => Object.assign(inputs(f, 'chatOpenAI'), set))
const STREAMS = [
  ['stream-with-a-loose-store', loose(load('conversation-chain'))],
  ['stream-unset', model({ streaming: '' })],
  ['stream-text', model({ streaming: 'true' })],
  ['stream-left-out', changed(load('llm-chain'), (f) => delete inputs(f, 'chatOpenAI').streaming)],
  ['stream-with-a-loose-model', changed(load('llm-chain'), (f) => joined(f, { name: 'chatOpenAI', category: 'Chat Models', inputs: { streaming: false, modelName: 'm' } }))]
].map(([name, flow]) => [name, asking(flow, [ask('a stream', { question: 'Hi', streaming: true })])])

const showing = (file, kind, memory) => changed(load(file), (f) => {
  Object.assign(inputs(f, kind), { promptValues: JSON.stringify({ h: '{{chat_history}}' }), ...(kind === 'promptTemplate' ? { template: '{h} | {question}' } : {}) })
  if (memory) Object.assign(f.nodes.find((n) => n.data.name === 'bufferMemory').data, { name: 'bufferWindowMemory', type: 'BufferWindowMemory', inputs: { k: memory, sessionId: '', memoryKey: 'chat_history' } })
})
const windowed = (k) => changed(load('conversation-chain'), (f) => {
  joined(f, { name: 'chatPromptTemplate', category: 'Prompts', inputs: { systemMessagePrompt: 'Before: {h}', humanMessagePrompt: '{input}', promptValues: '{"h":"{{chat_history}}"}' }, to: 'conversationChain_0', as: 'chatPromptTemplate' })
  Object.assign(f.nodes.find((n) => n.data.name === 'bufferMemory').data, { name: 'bufferWindowMemory', type: 'BufferWindowMemory', inputs: { k, sessionId: '', memoryKey: 'chat_history' } })
})
const HISTORY = [
  ['history-in-a-flow-without-memory', asking(showing('llm-chain', 'promptTemplate'), [ask('a question', { question: 'a', chatId: '$h' }), ask('with history', { question: 'b', chatId: '$h', history: EARLIER })])],
  ...['1', '0', ''].map((k) => [`history-window-${k || 'unset'}`, asking(windowed(k), [...['one', 'two', 'three'].map((question) => ask(question, { question, chatId: '$w' })), ask('with history', { question: 'four', chatId: '$w', history: EARLIER })])])
]
const SHAPES = [
  ['with more in it', [{ ...EARLIER[0], id: '1', createdDate: 'x' }, EARLIER[1]]],
  ['by type', [{ type: 'userMessage', content: 'earlier question' }, { type: 'apiMessage', content: 'earlier answer' }]],
  ['of others', [{ role: 'user', content: 'q' }, { role: 'assistant', content: 'a' }]],
  ['older', [{ type: 'userMessage', message: 'earlier question' }]],
  ['without content', [{ role: 'userMessage' }]],
  ['null', [{ role: 'userMessage', content: null }]],
  ['empty', []],
  ['an object', {}],
  ['nothing', '']
]
const shapes = (chatId) => SHAPES.map(([title, history], i) => ask(title, { question: 'Third', chatId: `${chatId}${i}`, history }))
const HISTORIES = [
  ['history-shapes-chain', asking(load('conversation-chain'), shapes('$h'))],
  ['history-shapes-shown', asking(windowed('3'), shapes('$s'))],
  ['history-shapes-agentflow', asking(drawn([chat(), llm()], ['start_0 -> llm_0']), shapes('$a'))]
]

const FORMS = [
  ['form-of-lists', asking(
    drawn([form('a', 'b'), llm({ llmMessages: [{ role: 'system', content: 'a is {{ $form.a }}, of it {{ $form.a.x }} {{ $form.a[1] }}' }] })], ['start_0 -> llm_0']),
    [['x', 'y'], [], [1, [2, null]], { x: 1 }, null, true, 5, ''].map((a, i) => ask(JSON.stringify(a), { form: { a, b: 'z' }, chatId: `$f${i}` }))
  )],
  ['form-kept', asking(drawn([form('a', 'b'), llm({ llmMessages: [{ role: 'system', content: '{{ $form.a }} {{ $form.b }}' }] })], ['start_0 -> llm_0']), [
    ask('a form', { form: { a: true, b: 5 }, chatId: '$k' }), ask('its next turn', { question: 'more', chatId: '$k' }), ask('another form', { form: { a: 'x', b: 'y' }, chatId: '$k' }), ask('the turn after it', { question: 'more', chatId: '$k' })
  ])]
]

const OVERRIDDEN = ['', 0, false, null, '0']
const OVERRIDES = [
  ['override-with-nothing', asking(load('llm-chain'), OVERRIDDEN.flatMap((value) => [
    ask(`temperature ${JSON.stringify(value)}`, { question: 'Q', overrideConfig: { temperature: value } }), ask(`template ${JSON.stringify(value)}`, { question: 'Q', overrideConfig: { template: value } })
  ]), { overridable: { 'Prompt Template': ['promptValues', 'template'], OpenAI: ['temperature'] }, allow: ['promptValues', 'template', 'temperature', 'temperature.chatOpenAI_0'] })],
  ['override-by-node', asking(load('llm-chain'), [0, 0.5].map((value) => ask(`temperature ${value}`, { question: 'Q', overrideConfig: { temperature: { chatOpenAI_0: value } } })), { overridable: { OpenAI: ['temperature'] }, allow: ['temperature.chatOpenAI_0'] })],
  ['override-names-like-ids', asking(load('llm-chain'), [ask('promptValues', { question: 'Q', overrideConfig: { promptValues: { user_1: 'x', userId: 'y' } } }), ask('only such', { question: 'Q', overrideConfig: { promptValues: { user_1: 'x' } } })], { overridable: { 'Prompt Template': ['promptValues'] }, allow: ['promptValues'] })],
  ['override-sources', asking(changed(load('retrieval-qa'), (f) => (inputs(f, 'conversationalRetrievalQAChain').returnSourceDocuments = true)), [false, 'false', true].map((value) => ask(JSON.stringify(value), { question: 'Aurora', overrideConfig: { returnSourceDocuments: value } })), { overridable: { 'Conversational Retrieval QA Chain': ['returnSourceDocuments'] }, allow: ['returnSourceDocuments'] })]
]

const NUMBERS = [
  ['12abc', '12'], ['1e3', '1000'], [' 5', '5'], ['0x10', '16'], ['0x10', '0'], ['Infinity', '-Infinity'], ['Infinity', 'Infinity'], ['.5', '0.5'], ['5.', '5'], ['-0', '0'], ['1e', '1'], ['1e+2x', '100'], ['-.5e1', '-5'],
  ['', '0'], ['abc', '0'], ['9007199254740993', '9007199254740992'], ['1.2.3', '1.2'], ['\u00a07', '7'], ['1e400', '1e401'], ['-', '0'], ['+5', '5'], ['e5', '0']
].map(([a, b]) => ask(`${JSON.stringify(a)} ${JSON.stringify(b)}`, { form: { a, b } }))
const JUDGED = [
  ...['equal', 'larger', 'smallerEqual', 'contains', 'notContains', 'isEmpty', 'notEmpty'].map((operation) => [`number-${operation}`, asking(judging(['number', '{{ $form.a }}', operation, '{{ $form.b }}']), NUMBERS)]),
  ...['larger', 'smaller'].map((operation) => [`text-${operation}`, asking(judging(['string', '{{ $form.a }}', operation, '{{ $form.b }}']), NUMBERS)])
]

// Patterns as the editor saves them, with texts.
const PATTERNS = [
  ['digits', '^\\\\d+$', ['12', '١٢', '']], ['words', '^\\\\w+$', ['abc_1', 'zażółć']], ['spaces', '^a\\\\sb$', ['a b', 'a\u00a0b', 'a\u0085b', 'a\ufeffb']], ['not-spaces', '^\\\\S$', ['\u0085', '\ufeff']],
  ['any', '^a.b$', ['axb', 'a\nb', 'a\rb', 'a\u2028b', 'aéb']], ['border', '\\\\bcaf\\\\b', ['caf', 'café', 'un caf!']], ['no-border', 'a\\\\Bb', ['ab', 'a b']], ['everything', '^[^]*$', ['a\nb']], ['nothing', '[]', ['a', '']],
  ['set', '^[a&&b]+$', ['a&b', 'a']], ['set-of-brackets', '^[[a]+$', ['[a', 'a']], ['set-dash', '^[\\\\w-]+$', ['a-b', 'a+b']], ['set-tilde', '^[a~~b--c]+$', ['a~b', '-']], ['brace', '^{a}$', ['{a}', 'a']], ['brace-open', 'a{', ['a{', 'a']], ['braces', '^a{,2}$', ['a{,2}', 'aa']],
  ['times', '^a{2}b{1,}c{0,1}$', ['aabb', 'aabc', 'ab']], ['lazy', '^a+?b*?$', ['aab']], ['possessive', 'a++', ['aa']], ['atomic', '(?>a)', ['a']], ['flags', '(?i)abc', ['ABC', 'abc']], ['flags-group', '(?i:abc)', ['ABC']], ['comment', '(?#x)a', ['a']], ['p-name', '(?P<n>a)', ['a']],
  ['name', '^(?<y>a)\\\\k<y>$', ['aa', 'ab']], ['k-without-names', '^\\\\k<y>$', ['k<y>']], ['back', '^(a|b)\\\\1$', ['aa', 'ab']], ['back-to-none', '^(?:(a)|b)\\\\1c$', ['bc', 'aac', 'ac']], ['forward', '^\\\\1(a)$', ['a']], ['octal', '^\\\\101$', ['A']], ['octal-7', '^\\\\7$', ['\u0007', '7']], ['nine', '^\\\\9$', ['9']],
  ['hex', '^\\\\x41\\\\u0042$', ['AB']], ['hex-short', '^\\\\x4$', ['x4']], ['u-braces', '^\\\\u{3}$', ['uuu', '\u0003']], ['control', '^\\\\cJ$', ['\n']], ['null', '^\\\\0$', ['\u0000', '0']], ['letters', '^\\\\a\\\\e\\\\z\\\\A\\\\h\\\\K\\\\G\\\\Z\\\\R\\\\X$', ['aezAhKGZRX']], ['class-p', '^\\\\p{L}$', ['p{L}', 'a']], ['class-b', '^[\\\\b]$', ['\b']],
  ['slash', '^a\\\\/b$', ['a/b']], ['lookbehind', '(?<=a)b', ['aab', 'b']], ['no-lookbehind', '(?<!a)b', ['ab', 'cb']], ['lookahead-times', '(?=a)*b', ['b']], ['end', 'a$', ['a', 'a\n']], ['middle', 'a^b', ['ab']], ['alternatives', '^(?:|a)$', ['', 'a']], ['empty', '', ['x']], ['open-group', '(', ['x']], ['open-set', '\\[', ['[', 'x']], ['close', 'a)', ['a)']], ['close-set', '^]$', [']']], ['nothing-to-repeat', '*a', ['a', '*a']], ['wrong-order', '[z-a]', ['z']], ['too-few', 'a{3,2}', ['aaa']],
  ['set-classes', '^[\\\\d-x]+$', ['1-x', '5y']], ['set-escapes', '^[\\\\]\\\\^\\\\\\\\]+$', [']^']], ['not-set', '^[^a-c]$', ['d', 'a', '\n']], ['emoji', '^.$', ['😀', 'x']], ['emoji-itself', '^😀$', ['😀']], ['emoji-set', '^[😀]$', ['😀']], ['case', 'ß', ['ß', 'SS']], ['dollar', '\\\\$5', ['$5']]
].map(([name, pattern, texts]) => [`pattern-${name}`, asking(judging(['string', '{{ $form.a }}', 'regex', pattern]), texts.map((a) => ask(JSON.stringify(a), { form: { a, b: '' } })))])

const each = (items, text) => drawn(
  [chat(), ['iteration', { iterationInput: items }], reply(text, { parentNode: 'iterationAgentflow_0', extent: 'parent' }), reply('{{ iterationAgentflow_0 }}')],
  ['start_0 -> iteration_0', 'iteration_0 -> directReply_1']
)
const ITERATED = [
  ['iterate-texts', each('["a", "b c", "{{ question }}"]', '<{{ $iteration }}|{{ $iteration.x }}>')],
  ['iterate-numbers', each('[1, 2.5, 1e21, -3]', '<{{ $iteration }}|{{ $iteration.x }}>')],
  ['iterate-empty', each('[0, "", false, null]', '<{{ $iteration }}|{{ $iteration.x }}>')],
  ['iterate-flags', each('[true]', '<{{ $iteration }}|{{ $iteration.x }}>')],
  ['iterate-objects', each('[{"x": 1, "y": [2]}, {"x": null}, [7, 8], {}]', '<{{ $iteration }}|{{ $iteration.x }}|{{ $iteration.y }}|{{ $iteration[0] }}>')],
  ['iterate-loosely', each("['a', 'b',] // c", '<{{ $iteration }}>')],
  ['iterate-nothing', each('[]', '<{{ $iteration }}>')],
  ['iterate-no-list', each('{{ question }}', '<{{ $iteration }}>')]
].map(([name, flow]) => [name, asking(flow, [...both('a list', { question: 'q' }), ask('a list in the question', { question: '["x", 5]' })])])

const BASES = {
  chatOpenAI: {}, chatOpenAICustom: { modelName: 'm', basepath: `${PLACEHOLDER}/v1` }, chatLocalAI: { modelName: 'm', basePath: `${PLACEHOLDER}/v1` },
  chatOpenRouter: { modelName: 'm', basepath: `${PLACEHOLDER}/v1` }, chatLitellm: { modelName: 'm', basePath: `${PLACEHOLDER}/v1` }, chatOllama: { baseUrl: PLACEHOLDER, modelName: 'm' }, chatGoogleGenerativeAI: { baseUrl: PLACEHOLDER, modelName: 'm' }
}
const THOUGHTS = Object.entries(BASES).flatMap(([kind, model]) => [
  [`thoughts-${kind}`, asking(drawn([chat(), llm({}, { ...model, temperature: 0.1, streaming: true }, kind)], ['start_0 -> llm_0']), both('it thinks', { question: 'why [[reason=3]]' }), { mayBeRefused: true })],
  [`thoughts-whole-${kind}`, asking(drawn([chat(), llm({}, { ...model, temperature: 0.1, streaming: false }, kind)], ['start_0 -> llm_0']), both('it thinks', { question: 'why [[reason=3]]' }), { mayBeRefused: true })],
  [`thoughts-agent-${kind}`, asking(drawn([chat(), ['agent', { agentModel: kind, agentMessages: '', agentTools: '', agentKnowledgeDocumentStores: '', agentEnableMemory: true, agentMemoryType: 'allMessages', agentUserMessage: '', agentReturnResponseAs: 'userMessage', agentUpdateState: '', agentModelConfig: { ...(kind === 'chatOpenAI' ? { modelName: 'm', basepath: `${PLACEHOLDER}/v1` } : model), temperature: 0.1, streaming: true, agentModel: kind } }]], ['start_0 -> agent_0']), both('it thinks', { question: 'why [[reason=3]]' }), { mayBeRefused: true })]
])

const parsed = (schema) => changed(load('llm-chain'), (f) => {
  joined(f, { name: 'advancedStructuredOutputParser', category: 'Output Parsers', inputs: { autofixParser: '', exampleJson: schema }, to: 'llmChain_0', as: 'outputParser' })
  Object.assign(inputs(f, 'promptTemplate'), { template: '{question}', promptValues: '' })
})
const SCHEMAS = [
  ['quotes', 'z.object({ a: z.string().describe("the \\"best\\" title"), b: z.string().describe(\'it\\\'s\') })'], ['nullable', 'z.object({ a: z.string().nullable(), b: z.number().nullable().describe("n"), c: z.string().nullable().optional() })'],
 ['nullish', 'z.object({ a: z.string().nullish() })'], ['backslashes', 'z.object({ a: z.string().describe("C:\\\\x\\n") })']
].map(([name, schema]) => [`zod-${name}`, asking(parsed(schema), [ask('an answer', { question: '[[say={"a":null,"b":1,"o":null,"l":null,"e":null}]]' }), ask('texts', { question: '[[say={"a":"x","b":"y"}]]' })])])

const CLOSED = 'http://127.0.0.1:9'
const tool = (url) => changed(load('tool-agent'), (f) => joined(f, { name: 'requestsGet', category: 'Tools', inputs: { requestsGetUrl: url, requestsGetName: 'look', requestsGetDescription: 'looks', requestsGetHeaders: '', requestsGetQueryParamsSchema: '', requestsGetMaxOutputLength: '2000' }, to: 'toolAgent_0', as: 'tools', isList: true }))
const LOOK = { question: 'Look [[tool=look:{}]]' }
const UNREACHED = [
  ['tool-unreachable', asking(tool(`${CLOSED}/x`), both('a call', LOOK))],
  ['tool-no-such-host', asking(tool('http://no-such-host.invalid/x'), both('a call', LOOK))],
  ['tool-404', asking(tool(`${PLACEHOLDER}/status/404`), both('a call', LOOK))],
  ['tool-unknown', asking(load('tool-agent'), both('a call', { question: 'Do [[tool=nothing:{}]]' }))],
  ['http-unreachable', asking(drawn([chat(), ['http', { method: 'GET', url: `${CLOSED}/x`, headers: '', queryParams: '', bodyType: '', body: '', responseType: 'json' }], reply('x')], ['start_0 -> http_0', 'http_0 -> directReply_0']), both('a call', { question: 'q' }))],
  ['model-unreachable', asking(model({ basepath: `${CLOSED}/v1` }), [ask('a question', { question: 'q' })], { timeout: 250000 })]
]

const BETTER = [
  ['two-outputs-to-one', asking(drawn([chat(), when(['string', '{{ question }}', 'contains', 'alpha']), reply('one')], ['start_0 -> condition_0', 'condition_0#0 -> directReply_0', 'condition_0#1 -> directReply_0']), [ask('the first', { question: 'alpha' }), ask('the other', { question: 'beta' })])],
  ['one-output-to-two', asking(drawn([chat(), when(['string', '{{ question }}', 'contains', 'alpha']), reply('one'), reply('two'), reply('three')], ['start_0 -> condition_0', 'condition_0#0 -> directReply_0', 'condition_0#0 -> directReply_1', 'condition_0#1 -> directReply_2']), [ask('the first', { question: 'alpha' }), ask('the other', { question: 'beta' })])],
  ['dollars', asking(drawn([chat(), reply('<{{ question }}>')], ['start_0 -> directReply_0']), ["$$", "$&", "$'", '$1'].map((question) => ask(question, { question })))],
  ['boolean', asking(judging(['boolean', '{{ $form.a }}', 'equal', true]), [true, false, 'true'].map((a) => ask(JSON.stringify(a), { form: { a, b: '' } })))],
  // Flowise never answers: after a minute beside the other flows the stub would have forgotten what its model was asked.
  ['parser-in-a-stream', asking(parsed('z.object({ a: z.string() })'), [ask('no JSON, stream', { question: 'x', streaming: true })], { timeout: 10000 })]
]

const all = [...STATUSES, ...LEFT_OVER, ...PARENT, ...STREAMS, ...HISTORY, ...HISTORIES, ...FORMS, ...OVERRIDES, ...JUDGED, ...PATTERNS, ...ITERATED, ...THOUGHTS, ...SCHEMAS, ...UNREACHED, ...BETTER]
export const KINDS = all.map(([name, one]) => ({ name, ...one }))
