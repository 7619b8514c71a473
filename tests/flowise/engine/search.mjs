// Search engines, and other services that are asked with a text: what they are asked and what a model is told.
import { acting, calling } from './acting.mjs'
import { joined } from './drawn.mjs'
import { ask, both, load } from './flows.mjs'

const use = (name, args) => `Look [[tool=${name}:${JSON.stringify(args)}]]`
// Node, the tool's name to models, the name of its argument.
const KINDS = {
  braveSearchAPI: ['brave-search'], googleCustomSearch: ['google-custom-search'], serper: ['search'], searchAPI: ['search'], serpAPI: ['search'],
  wolframAlpha: ['wolfram_alpha'],
  tavilyAPI: ['tavily-search', 'query', { topic: 'general', searchDepth: 'basic', chunksPerSource: '3', maxResults: '4', includeAnswer: true, includeDomains: 'one.example, two.example' }],
  exaSearch: ['exa_search', 'input', { description: 'Searches.', numResults: '3', type: 'neural', useAutoprompt: '', includeDomains: 'one.example', startPublishedDate: '' }],
  arxiv: ['arxiv_search', 'query', { arxivName: 'arxiv_search', arxivDescription: 'Searches papers.', topKResults: '2', maxQueryLength: '300', docContentCharsMax: '5000', loadFullContent: false, continueOnFailure: true }]
}

export const SEARCH = Object.entries(KINDS).flatMap(([kind, [name, argument = 'input', config = {}]]) => [
  {
    name: `search-${kind}`, outside: true,
    flow: joined(load('tool-agent'), { name: kind, category: 'Tools', inputs: config, to: 'toolAgent_0', as: 'tools', isList: true }),
    steps: [
      ...both('a search', { question: use(name, { [argument]: "cats & dogs' Zażółć+x" }) }),
      ...['box', 'knowledge', 'nothing', 'forbidden'].map((word) => ask(word, { question: use(name, { [argument]: `the ${word} of it` }) })),
      ask('no search', { question: 'Hello' })
    ]
  },
  { name: `search-${kind}-agent`, outside: true, flow: acting([kind, config]), steps: [ask('a search, stream', { question: use(name, { [argument]: 'cats' }), streaming: true }), ask('forbidden', { question: use(name, { [argument]: 'forbidden' }) })] },
  { name: `search-${kind}-node`, outside: true, flow: calling(kind, config, argument, '{{ question }}'), steps: [ask('a search', { question: 'cats' })] }
])
