// Follow-up prompts: what a model is asked after an answer, and what becomes of it.
import { ask, both, changed, load } from './flows.mjs'
import { PLACEHOLDER } from './sides.mjs'

const PROVIDERS = {
  chatAnthropic: { credentialId: 'CREDENTIAL anthropicApi', modelName: 'claude-3-haiku', temperature: '0.4' },
  chatGoogleGenerativeAI: { credentialId: 'CREDENTIAL googleGenerativeAI', modelName: 'gemini-1.5-flash', temperature: '0.4' },
  chatMistralAI: { credentialId: 'CREDENTIAL mistralAIApi', modelName: 'mistral-small', temperature: '0.4' },
  groqChat: { credentialId: 'CREDENTIAL groqApi', modelName: 'llama3', temperature: '0.4' },
  ollama: { baseUrl: PLACEHOLDER, modelName: 'llama3', temperature: '0.4' }
}
const asking = (flow, selectedProvider, more = {}) => changed(load(flow), (f) => {
  const prompt = 'Given this: {history} What else might be asked of {history}?'
  f.followUpPrompts = { status: true, selectedProvider, [selectedProvider]: { ...PROVIDERS[selectedProvider], prompt, ...more } }
})
const QUESTION = both('a question', { question: 'What is a gateway?' })

export const FOLLOWUPS = [
  ...Object.keys(PROVIDERS).map((name) => ({ name: `followups-${name}`, outside: true, flow: asking('llm-chain', name), steps: QUESTION })),
  { name: 'followups-agentflow', outside: true, flow: asking('agentflow-llm', 'groqChat'), steps: QUESTION },
  { name: 'followups-off', outside: true, flow: changed(asking('llm-chain', 'groqChat'), (f) => (f.followUpPrompts.status = false)), steps: QUESTION },
  { name: 'followups-fail', outside: true, flow: asking('llm-chain', 'groqChat', { prompt: '{history} [[error=401]]' }), steps: [ask('a question', { question: 'What is a gateway?' })] }
]
