// Services outside, as far as flows ask them: search, vector databases, rerankers, memories, pages. By host, what each answers to
// { side, method, path, query, headers, body }; `undefined` leaves it to the stub's other tongues. A question that holds "nothing" finds nothing,
// and one that holds "forbidden" is refused where a service refuses.
import { DATABASES } from './databases.mjs'
import { MEMORIES } from './memories.mjs'
import { PAGES } from './pages.mjs'

const says = (word, text) => String(text ?? '').includes(word)
const refused = (status, body) => ({ status, body })
// Of each what the question asks for, by the words in it.
const found = (question, pages) => (says('nothing', question) ? [] : pages)

const entry = (n, title) => `<entry><id>http://arxiv.org/abs/2401.0000${n}v1</id><updated>2024-01-0${n}T00:00:00Z</updated><published>2024-01-0${n}T00:00:00Z</published><title>${title}</title><summary>  A summary of ${title}, with an &lt;angle&gt; and\n two lines. </summary><author><name>Ada ${n}</name></author><author><name>Bob</name></author><category term="cs.AI" scheme="http://arxiv.org/schemas/atom"/></entry>`
const arxiv = ({ query }) => ({
  type: 'application/atom+xml',
  body: `<?xml version="1.0" encoding="UTF-8"?><feed xmlns="http://www.w3.org/2005/Atom"><title>ArXiv</title>${found(query.get('search_query') ?? query.get('id_list'), [1, 2]).map((n) => entry(n, `Paper ${n}`)).join('')}</feed>`
})

const rerank = (body, index = 'index') => {
  const words = String(body.query ?? '').toLowerCase().match(/[a-z]+/g) ?? []
  const scored = (body.documents ?? []).map((document, at) => {
    const text = String(document.text ?? document).toLowerCase()
    return { [index]: at, relevance_score: words.filter((word) => text.includes(word)).length / 10 + 0.05 }
  })
  return scored.sort((a, b) => b.relevance_score - a.relevance_score || a[index] - b[index]).slice(0, body.top_n ?? body.top_k ?? scored.length)
}

// What LangFuse keeps, by name.
const PROMPTS = {
  greeting: { type: 'text', prompt: 'Say {{what}} to {{name}}. It is {{question}}.' },
  'as json': { type: 'text', prompt: 'Answer as {"a": {"b": "{{what}}"}, \'c\': 1} to {{question}}, {single} too.' },
  plain: { type: 'text', prompt: 'Be brief.' },
  talk: { type: 'chat', prompt: [{ role: 'system', content: 'Be brief.' }, { role: 'user', content: '{{question}}' }] }
}
const langfuse = ({ path }) => {
  const name = decodeURIComponent(path.split('/').at(-1))
  const kept = PROMPTS[name]
  return kept ? { body: { id: 'p1', name, version: 3, labels: ['production'], tags: [], config: {}, ...kept } } : refused(404, { message: 'Prompt not found', error: 'LangfuseNotFoundError' })
}

const SERVICES = {
  'langfuse.example': langfuse,
  'api.search.brave.com': ({ query }) => (says('forbidden', query.get('q')) ? refused(429, { type: 'ErrorResponse' }) : { body: { web: { results: found(query.get('q'), [{ title: 'One', url: 'https://one.example', description: 'the <strong>first</strong>' }, { title: 'Two', url: 'https://two.example' }]) } } }),
  'www.googleapis.com': ({ query }) => (says('forbidden', query.get('q')) ? refused(403, { error: { message: 'no' } }) : { body: { items: found(query.get('q'), [{ title: 'One', link: 'https://one.example', snippet: 'the first\n one', kind: 'x' }]) } }),
  'google.serper.dev': ({ body }) =>
    says('forbidden', body.q) ? refused(403, { message: 'Unauthorized.' })
    : { body: says('box', body.q) ? { answerBox: { answer: 'forty-two' } } : { organic: found(body.q, [{ title: 'One', snippet: 'the first' }]) } },
  'www.searchapi.io': ({ query }) =>
    says('forbidden', query.get('q')) ? refused(401, { error: 'bad key' })
    : { body: says('box', query.get('q')) ? { answer_box: { answer: 'forty-two' } } : { organic_results: found(query.get('q'), [{ snippet: 'the first' }, { title: 'x' }, { snippet: 'the third' }]) } },
  'serpapi.com': ({ query }) =>
    says('forbidden', query.get('q')) ? refused(401, { error: 'Invalid API key.' })
    : { body: says('box', query.get('q')) ? { answer_box: { type: 'calculator', result: '42', link: 'https://x' } } : { organic_results: found(query.get('q'), [{ snippet: 'the first', title: 'One' }, { title: 'Two', snippet: 'the second' }]), ...(says('knowledge', query.get('q')) ? { knowledge_graph: { title: 'Ada', type: 'Person', description: 'A mathematician', born: '1815' } } : {}) } },
  'api.tavily.com': ({ body }) => (says('forbidden', body.query) ? refused(401, { detail: { error: 'bad key' } }) : { body: { query: body.query, response_time: 0.5, images: [], results: found(body.query, [{ title: 'One', url: 'https://one.example', content: 'the first', score: 0.9, raw_content: null }]) } }),
  'api.exa.ai': ({ body }) => (says('forbidden', body.query) ? refused(401, { error: 'Unauthorized', message: 'bad key' }) : { body: { results: found(body.query, [{ id: 'a', title: 'One', url: 'https://one.example', text: 'the first', score: 0.9 }]) } }),
  'www.wolframalpha.com': ({ query }) => ({ type: 'text/plain', body: says('forbidden', query.get('input')) ? 'Error 1: Invalid appid' : `Query: "${query.get('input')}"\n\nResult:\n42` }),
  'export.arxiv.org': arxiv,
  'api.cohere.ai': ({ body }) => (body.documents ? { body: { id: 'r', results: rerank(body) } } : undefined),
  'api.jina.ai': ({ body }) => (body.documents ? { body: { results: rerank(body) } } : undefined),
  'api.voyageai.com': ({ body }) => (body.documents ? { body: { object: 'list', data: rerank(body) } } : undefined),
  'api.openai.com': ({ path, body }) => {
    if (!path.endsWith('/moderations')) return undefined
    const flag = (text) => ({ flagged: says('forbidden', text), categories: { violence: says('forbidden', text), hate: false }, category_scores: { violence: says('forbidden', text) ? 0.99 : 0.01, hate: 0.01 } })
    return { body: { id: 'modr-1', model: body.model ?? 'omni-moderation-latest', results: [body.input].flat().map(flag) } }
  },
  'huggingface.co': ({ path }) => {
    const name = path.replace('/api/models/', '')
    const task = name.includes('/') ? 'feature-extraction' : 'text-generation'
    return { body: { id: name, pipeline_tag: task, inferenceProviderMapping: { 'hf-inference': { status: 'live', providerId: name, task } } } }
  },
  ...DATABASES,
  ...MEMORIES,
  ...PAGES
}

// What a service outside answers, if there is one of that name and it knows.
export function serve(host, asked) {
  const answer = SERVICES[host]?.(asked)
  if (!answer) return null
  const { status = 200, type = 'application/json', body, headers = {} } = answer
  return { status, headers: { 'content-type': type, ...headers }, body: typeof body === 'string' ? body : JSON.stringify(body) }
}
