// Prompts that lie with LangFuse, in an LLM Chain.
import { both } from './flows.mjs'
import { MODEL, of, wired } from './wired.mjs'

const flow = (template, promptValues = '') =>
  wired([
    MODEL,
    ['promptLangFuse_0', 'Prompts', { template, promptValues }],
    ['llmChain_0', 'Chains', { model: of(MODEL[0]), prompt: of('promptLangFuse_0'), outputParser: '', inputModeration: '', chainName: '' }, { output: 'llmChain' }]
  ])
const QUESTION = { question: 'a fine day' }
const FLOWS = {
  greeting: [flow('greeting', JSON.stringify({ what: 'hello', name: 'Ada {x}' })), both('two places of its author\'s', QUESTION)],
  question: [flow('greeting', JSON.stringify({ what: '{{question}}', name: 'Ada' })), both('a place with the question', QUESTION)],
  json: [flow('as json', JSON.stringify({ what: 'x', single: 'y' })), both('braces of JSON', QUESTION)],
  plain: [flow('plain'), both('no place at all', QUESTION)],
  missing: [flow('greeting', JSON.stringify({ name: 'Ada' })), both('one place is the question\'s', QUESTION)],
  unknown: [flow('nobody wrote this'), both('no such prompt', QUESTION)],
  chat: [flow('talk'), both('a prompt of several turns', QUESTION)]
}

export const PROMPTS = Object.entries(FLOWS).map(([name, [flow, steps]]) => ({ name: `langfuse-${name}`, outside: true, flow, steps }))
