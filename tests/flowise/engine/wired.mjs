// Draws chatflows as Flowise's editor saves them: [id, category, inputs, outputs], `kind_0` being of the kind `kind`. Where an input
// is `of(id)`, or a list or a text with that in it, an edge leads there.
import { PLACEHOLDER } from './sides.mjs'

export const of = (id) => `{{${id}.data.instance}}`
export const kindOf = (id) => id.replace(/_\d+$/, '')

export function wired(nodes) {
  const edges = []
  const outputOf = Object.fromEntries(nodes.map(([id, , , outputs]) => [id, outputs?.output ?? kindOf(id)]))
  const drawn = nodes.map(([id, category, inputs = {}, outputs = {}]) => {
    const name = kindOf(id)
    for (const [key, value] of Object.entries(inputs))
      for (const one of [value].flat())
        for (const [, source] of typeof one === 'string' ? one.matchAll(/\{\{(\w+_\d+)\.data\.instance\}\}/g) : [])
          edges.push({ id: `e${edges.length}`, source, sourceHandle: `${source}-output-${outputOf[source]}-x`, target: id, targetHandle: `${id}-input-${key}-x`, type: 'buttonedge', data: {} })
    const params = Object.keys(inputs).map((key) => ({ name: key, label: key, type: 'string', ...(['promptValues', 'functionInputVariables'].includes(key) ? { acceptVariable: true } : {}) }))
    return { id, type: 'customNode', position: { x: 0, y: 0 }, data: { id, label: id, name, type: name, version: 1, category, baseClasses: [name], inputs, inputParams: params, inputAnchors: [], outputs, outputAnchors: [{ id: `${id}-output-${name}-x`, name, label: name, type: name }] } }
  })
  return { nodes: drawn, edges }
}

// Nodes that many have.
export const MODEL = ['chatOpenAI_0', 'Chat Models', { cache: '', modelName: 'stub-model', temperature: 0.1, streaming: true, basepath: `${PLACEHOLDER}/v1` }]
export const EMBEDDINGS = ['openAIEmbeddings_0', 'Embeddings', { modelName: 'stub-embedding', basepath: `${PLACEHOLDER}/v1` }]
export const TEXT = ['plainText_0', 'Document Loaders', {
  text: 'The Aurora gateway listens on port 8443 by default and was released in the spring.\n\nOtters sleep while holding hands so that the river does not carry them apart.\n\nThe warranty of the Borealis kettle lasts twenty four months from the day of purchase.',
  textSplitter: of('recursiveCharacterTextSplitter_0'), metadata: '{"source":"handbook"}', omitMetadataKeys: ''
}, { output: 'document' }]
export const SPLITTER = ['recursiveCharacterTextSplitter_0', 'Text Splitters', { chunkSize: '100', chunkOverlap: '1', separators: '' }]
export const store = (output = 'retriever', topK = '3') => ['memoryVectorStore_0', 'Vector Stores', { document: [of('plainText_0')], embeddings: of('openAIEmbeddings_0'), topK }, { output }]
// A store in memory with what it is made of.
export const STORED = (output, topK) => [EMBEDDINGS, SPLITTER, TEXT, store(output, topK)]
export const QA = (retriever, more = {}) => ['conversationalRetrievalQAChain_0', 'Chains', {
  model: of('chatOpenAI_0'), vectorStoreRetriever: retriever, memory: '', returnSourceDocuments: true, rephrasePrompt: 'Rephrase.\n{chat_history}\nFollow up: {question}\nAlone:',
  responsePrompt: 'Answer from this.\n{context}', inputModeration: '', ...more
}]
