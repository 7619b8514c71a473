// Flows whose models speak their vendors' own tongues, which the stub speaks as well, or are asked at addresses that nobody can choose.
import { PLACEHOLDER } from './sides.mjs'
import { ask, both, changed, image, inputs, load, CALCULATE } from './flows.mjs'

const MODELS = {
  ollama: ['chatOllama', { baseUrl: PLACEHOLDER, modelName: 'stub-model', temperature: 0.1, streaming: true, topP: '0.9', topK: '20', numCtx: '2048', stop: 'END,STOP', allowImageUploads: true }],
  gemini: ['chatGoogleGenerativeAI', { baseUrl: PLACEHOLDER, modelName: 'stub-model', temperature: 0.1, streaming: true, maxOutputTokens: '256', topP: '0.9', topK: '20', allowImageUploads: true }]
}

// The flow with another model in its model's place.
const speaking = (file, [kind, options]) => changed(load(file), (flow) => {
  for (const { data } of flow.nodes) {
    if (data.name === 'chatOpenAI') Object.assign(data, { name: kind, label: kind, inputs: { ...options } })
    for (const key of Object.keys(data.inputs ?? {}).filter((k) => k.endsWith('ModelConfig'))) {
      const name = key.replace(/Config$/, '')
      Object.assign(data.inputs, { [name]: kind, [key]: { ...options, [name]: kind } })
    }
  }
})

const FIELDS = [
  { key: 'answer', type: 'string', enumValues: '', jsonSchema: '', description: 'The "answer"' }, { key: 'n', type: 'number', enumValues: '', jsonSchema: '', description: 'A number' },
  { key: 'kind', type: 'enum', enumValues: 'good, bad', jsonSchema: '', description: 'Which' }, { key: 'is', type: 'boolean', enumValues: '', jsonSchema: '', description: 'Whether' }
]
const structured = (flow) => changed(flow, (f) => (inputs(f, 'llmAgentflow').llmStructuredOutput = FIELDS))
const of = ([name, model]) => [
  { name: `${name}-chain`, flow: speaking('llm-chain', model), steps: [...both('a question', { question: 'Good morning' }), ask('a refusal', { question: 'no [[error=401]]' }), ask('nothing', { question: 'x [[say=]]' })] },
  {
    name: `${name}-conversation`, flow: speaking('conversation-chain', model),
    steps: [ask('turn 1', { question: 'I am Ada.', chatId: '$a' }), ask('turn 2', { question: 'Who am I?', chatId: '$a', streaming: true }), ...(model[1].allowImageUploads ? [ask('an image', { question: 'What is it?', uploads: image })] : [])]
  },
  { name: `${name}-agent`, flow: speaking('tool-agent', model), steps: [...both('a tool', { question: CALCULATE, chatId: '$a' }), ask('no tool', { question: 'Just talk', chatId: '$a', streaming: true })] },
  { name: `${name}-agentflow`, flow: speaking('agentflow-llm', model), steps: [...both('a question', { question: 'Good morning', chatId: '$a' }), ...(model[1].allowImageUploads ? [ask('an image', { question: 'What is it?', uploads: image, chatId: '$b' })] : [])] },
  { name: `${name}-structured`, flow: structured(speaking('agentflow-llm', model)), steps: both('fields', { question: 'Fill in [[tool=extract:{"answer":"a","n":1,"kind":"good","is":true}]]' }) },
  ...(name.endsWith('thinking') ? [{ name: `${name}-aloud`, flow: speaking('agentflow-agent-tool', model), steps: both('it thinks', { question: `${CALCULATE} [[reason=3]]` }) }] : []),
  { name: `${name}-agentflow-agent`, flow: speaking('agentflow-agent-tool', model), steps: [...both('a tool', { question: CALCULATE, chatId: '$a' })] }
]

// Where they are asked is written into Flowise's nodes.
const COMMON = { modelName: 'stub-model', temperature: 0.3, streaming: true }
const VENDORS = {
  anthropic: ['chatAnthropic', { ...COMMON, modelName: 'claude-3-5-haiku-latest', maxTokensToSample: '200', topP: '', topK: '', extendedThinking: '', budgetTokens: 1024, allowImageUploads: true }],
  'anthropic-thinking': ['chatAnthropic', { ...COMMON, modelName: 'claude-3-7-sonnet-latest', temperature: '', maxTokensToSample: '2000', topP: '', topK: '', extendedThinking: true, budgetTokens: '1024' }],
  mistral: ['chatMistralAI', { ...COMMON, maxOutputTokens: '200', topP: '0.9', randomSeed: '7', safeMode: '', overrideEndpoint: '' }],
  groq: ['groqChat', { ...COMMON, maxTokens: '200' }],
  deepseek: ['chatDeepseek', { ...COMMON, maxTokens: '200', topP: '0.9', frequencyPenalty: '', presencePenalty: '', timeout: '', stopSequence: 'END', baseOptions: '' }],
  openrouter: ['chatOpenRouter', { ...COMMON, maxTokens: '200', topP: '', basepath: 'https://openrouter.ai/api/v1', baseOptions: '' }],
  fireworks: ['chatFireworks', { ...COMMON }],
  together: ['chatTogetherAI', { ...COMMON }],
  xai: ['chatXAI', { ...COMMON, maxTokens: '200' }],
  cerebras: ['chatCerebras', { ...COMMON, maxTokens: '200', topP: '' }],
  comet: ['chatCometAPI', { ...COMMON, maxTokens: '200', topP: '', baseOptions: '' }],
  sambanova: ['chatSambanova', { ...COMMON, basepath: 'https://api.sambanova.ai/v1' }],
  perplexity: ['chatPerplexity', { ...COMMON, model: 'sonar', maxTokens: '200', topP: '', topK: '', presencePenalty: '', frequencyPenalty: '', timeout: '' }]
}

export const NATIVE = [
  ...Object.entries(MODELS).flatMap(of), // Flowise calls no tools of Perplexity's, and breaks it in a chain.
  ...Object.entries(VENDORS).flatMap(of).filter(({ name }) => !/^perplexity-(chain|agent|agentflow-agent|structured)$/.test(name)).map((one) => ({ ...one, outside: true }))
]
