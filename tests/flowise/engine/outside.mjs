// What else is asked outside: embeddings and moderation of providers whose addresses cannot be chosen, chains over APIs, pages.
import { ask, both, load, changed } from './flows.mjs'
import { acting, calling } from './acting.mjs'
import { joined } from './drawn.mjs'
import { PLACEHOLDER } from './sides.mjs'
import { MODEL, QA, SPLITTER, TEXT, of, store, wired } from './wired.mjs'

const model = of('chatOpenAI_0')
const PORT = { question: 'On which port does the Aurora gateway listen?' }
const EMBEDDINGS = {
  cohereEmbeddings: { modelName: 'embed-english-v3.0', inputType: 'search_query' },
  jinaEmbeddings: { modelName: 'jina-embeddings-v3', modelDimensions: 1024, allowLateChunking: false },
  voyageAIEmbeddings: { modelName: 'voyage-2' },
  mistralAIEmbeddings: { modelName: 'mistral-embed', batchSize: 512, stripNewLines: true, overrideEndpoint: '' },
  togetherAIEmbedding: { cache: '', modelName: 'm' },
  googleGenerativeAiEmbeddings: { modelName: 'gemini-embedding-001', tasktype: 'RETRIEVAL_QUERY', stripNewLines: '' },
  huggingFaceInferenceEmbeddings: { modelName: 'sentence-transformers/all-MiniLM-L6-v2', endpoint: '' },
  openAIEmbeddings: { modelName: 'text-embedding-3-small', stripNewLines: '', batchSize: '', timeout: '', basepath: '', dimensions: '64', encodingFormat: '' },
  ollamaEmbedding: { baseUrl: PLACEHOLDER, modelName: 'm', numGpu: '', numThread: '', useMMap: true },
  localAIEmbeddings: { basePath: `${PLACEHOLDER}/v1`, modelName: 'm' }
}
const embedded = (name, inputs) => {
  const [id, category, given, outputs] = store()
  return wired([MODEL, [`${name}_0`, 'Embeddings', inputs], SPLITTER, TEXT, [id, category, { ...given, embeddings: of(`${name}_0`) }, outputs], QA(of(id))])
}

const moderated = (name, inputs) => changed(load('llm-chain'), (flow) => joined(flow, { name, category: 'Moderation', inputs, to: 'llmChain_0', as: 'inputModeration', isList: true }))
const moderate = [...both('a good question', { question: 'What is a gateway?' }), ...both('a bad one', { question: 'something forbidden and secret' })]

const DOCS = `BASE URL: ${PLACEHOLDER}/api/\n\nThe API endpoint /api/weather returns the weather of a city.\nParameters: city`
const api = (name, more) => wired([MODEL, [`${name}_0`, 'Chains', { model, apiDocs: DOCS, headers: '{"X-Key":"of the author"}', ...more }]])
const URL_ = `${PLACEHOLDER}/api/weather?city=Ada`

// A small API, by its document.
const OPENAPI = `openapi: 3.0.3
info: { title: things, version: '1' }
servers: [{ url: ${PLACEHOLDER} }]
paths:
  /api/things/{id}:
    get:
      operationId: getThing
      summary: Gets a thing
      parameters:
        - { name: id, in: path, required: true, description: Its number, schema: { type: integer } }
        - { name: colour, in: query, description: Of the thing, schema: { type: string, enum: [red, blue] } }
    put:
      operationId: putThing
      description: Puts a thing
      parameters: [{ name: id, in: path, required: true, schema: { type: integer } }]
      requestBody: { content: { application/json: { schema: { type: object, required: [name], properties: { name: { type: string }, tags: { type: array, items: { type: string } } } } } } }
`
const documented = wired([MODEL, ['openApiChain_0', 'Chains', { model, yamlLink: '', yamlFile: `data:application/yaml;base64,${Buffer.from(OPENAPI).toString('base64')},filename:things.yaml`, headers: '{"X-Key":"of the author"}', inputModeration: '' }]])
const asks = (title, name, args) => ask(title, { question: `A thing [[tool=${name}:${JSON.stringify(args)}]]` })

export const OUTSIDE = [
  ...Object.entries(EMBEDDINGS).map(([name, inputs]) => ({ name: `embeddings-${name}`, outside: true, flow: embedded(name, inputs), // Together's library embeds passages one by one.
    steps: [ask('a question', PORT), ...(name === 'togetherAIEmbedding' ? [] : [ask('another', { question: 'The kettle?' })])]
  })),
  { name: 'moderation-openai', outside: true, flow: moderated('inputModerationOpenAI', { moderationErrorMessage: 'Not that.' }), steps: moderate },
  { name: 'moderation-simple', flow: moderated('inputModerationSimple', { denyList: 'secret\nhidden', model: '', moderationErrorMessage: 'Not that.' }), steps: moderate },
  { name: 'moderation-simple-model', flow: changed(moderated('inputModerationSimple', { denyList: 'secret', model, moderationErrorMessage: 'Not that.' }), (f) => f.edges.push({ id: 'e-m', source: 'chatOpenAI_0', sourceHandle: 'chatOpenAI_0-output-chatOpenAI-x', target: 'inputModerationSimple_9', targetHandle: 'inputModerationSimple_9-input-model-x', type: 'buttonedge', data: {} })), steps: [...moderate, ask('the model says yes', { question: 'something else [[say=Yes]]' })] },
  { name: 'chain-get-api', flow: api('getApiChain', { urlPrompt: 'Docs: {api_docs}\nQuestion: {question}\nURL:', ansPrompt: 'Docs: {api_docs}\n{question} {api_url} {api_response}' }), steps: both('a question', { question: `Weather? [[say=${URL_}]]` }) },
  { name: 'chain-post-api', flow: api('postApiChain', { urlPrompt: 'Docs: {api_docs}\nQuestion: {question}\nJSON:', ansPrompt: 'Docs: {api_docs}\n{question} {api_url_body} {api_response}' }), steps: both('a question', { question: `Weather? [[say={"url":"${URL_}","data":{"city":"Ada"}}]]` }) },
  {
    name: 'chain-open-api', flow: documented, steps: [
      asks('a path and a query', 'getThing', { path_params: { id: 7 }, params: { colour: 'red & blue' } }), asks('a body', 'putThing', { path_params: { id: 7 }, data: { name: 'Kettle', tags: ['a'] } }),
      ask('no call', { question: 'Just talk' }), ask('a stream', { question: 'A thing [[tool=getThing:{"path_params":{"id":7}}]]', streaming: true })
    ]
  },
  { name: 'web-scraper-node', flow: calling('webScraperTool', { scrapeMode: 'recursive', maxDepth: 1, maxPages: 3, timeoutS: 60, description: '' }, 'input', `${PLACEHOLDER}/site/two`), steps: [ask('pages', { question: 'x' })] },
  { name: 'web-scraper-sitemap', flow: calling('webScraperTool', { scrapeMode: 'sitemap', maxDepth: 1, maxPages: 3, timeoutS: 60, description: '' }, 'input', `${PLACEHOLDER}/site/sitemap.xml`), steps: [ask('pages', { question: 'x' })] },
  { name: 'web-scraper-agent', flow: acting(['webScraperTool', { scrapeMode: 'recursive', maxDepth: 0, maxPages: 1, timeoutS: 60, description: '' }]), steps: both('a page', { question: `Read [[tool=web_scraper_tool:{"input":"${PLACEHOLDER}/site/one"}]]` }) },
  {
    name: 'web-browser', flow: changed(joined(load('tool-agent'), { name: 'webBrowser', category: 'Tools', inputs: { model, embeddings: of('openAIEmbeddings_0') }, to: 'toolAgent_0', as: 'tools', isList: true }), (f) => {
      const { nodes } = wired([['openAIEmbeddings_0', 'Embeddings', { modelName: 'stub-embedding', basepath: `${PLACEHOLDER}/v1` }]])
      f.nodes.push(...nodes)
      for (const [source, input] of [['chatOpenAI_0', 'model'], ['openAIEmbeddings_0', 'embeddings']]) f.edges.push({ id: `e-${input}`, source, sourceHandle: `${source}-output-x-x`, target: 'webBrowser_9', targetHandle: `webBrowser_9-input-${input}-x`, type: 'buttonedge', data: {} })
    }),
    steps: [ask('a page', { question: `Read [[tool=web-browser:{"input":"${PLACEHOLDER}/site/one,kettles"}]]` }), ask('a summary', { question: `Read [[tool=web-browser:{"input":"${PLACEHOLDER}/site/one"}]]` })]
  }
]
