// Embeddings in the tongues of Cohere, Google, Hugging Face, Ollama and Jina: does one speak at this path, and the answer.
const texts = (value) => [value ?? []].flat()

const EMBEDDINGS = [
  {
    speaks: (path) => /\/v\d\/embed$/.test(path),
    answer: (body, embed) => {
      const vectors = texts(body.texts).map(embed)
      return { id: 'e', texts: body.texts, response_type: body.embedding_types ? 'embeddings_by_type' : 'embeddings_floats', embeddings: body.embedding_types ? { float: vectors } : vectors, meta: { api_version: { version: '2' } } }
    }
  },
  { speaks: (path) => path.endsWith('/api/embed'), answer: (body, embed) => ({ model: body.model, embeddings: texts(body.input).map(embed) }) },
  { speaks: (path) => path.endsWith(':embedContent'), answer: (body, embed) => ({ embedding: { values: embed(body.content.parts.map((p) => p.text).join('')) } }) },
  { speaks: (path) => path.endsWith(':batchEmbedContents'), answer: (body, embed) => ({ embeddings: body.requests.map((one) => ({ values: embed(one.content.parts.map((p) => p.text).join('')) })) }) },
  { speaks: (path) => path.endsWith('/pipeline/feature-extraction'), answer: (body, embed) => (Array.isArray(body.inputs) ? body.inputs.map(embed) : embed(body.inputs)) }
]

export function embeddings(path, body, embed) {
  const one = EMBEDDINGS.find(({ speaks }) => speaks(path))
  return one && body ? one.answer(body, embed) : null
}
