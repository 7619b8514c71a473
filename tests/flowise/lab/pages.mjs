// Services that keep documents: Airtable, GitHub, Spider, Unstructured.
const airtable = ({ body }) => {
  const all = [1, 2, 3].map((n) => ({ id: `rec${n}`, createdTime: '2024-01-01T00:00:00.000Z', fields: { Name: `Thing ${n} "q"`, Price: n } }))
  const page = body.maxRecords ? all.slice(0, body.maxRecords) : body.offset ? all.slice(2) : all.slice(0, 2)
  return { body: { records: page, ...(!body.maxRecords && !body.offset ? { offset: 'next' } : {}) } }
}
const entry = (type, path, more = {}) => ({ type, name: path.split('/').at(-1), path, size: 10, sha: 'x', url: `https://api.github.com/repos/a/b/contents/${path}?ref=main`, html_url: `https://github.com/a/b/blob/main/${path}`, git_url: '', download_url: type === 'file' ? `https://raw.githubusercontent.com/a/b/main/${path}` : null, _links: { self: '', git: '', html: '' }, ...more })
const github = ({ path }) => {
  const at = path.replace(/^\/repos\/a\/b\/contents\/?/, '').replace(/\/$/, '')
  const text = Buffer.from(`text of ${at}`).toString('base64')
  if (at === '') return { body: [entry('file', 'README.md'), entry('dir', 'docs'), entry('file', 'logo.png')] }
  if (at === 'docs') return { body: [entry('file', 'docs/one.txt')] }
  return { body: { ...entry('file', at), encoding: 'base64', content: text } }
}
const spider = ({ body }) => ({ body: [body.url, ...(body.limit > 1 ? [`${body.url}/more`] : [])].map((url) => ({ url, status: 200, error: null, content: `# The page ${url}`, metadata: { title: 'A page' } })) })
const unstructured = () => ({ body: [{ type: 'Title', element_id: '1', text: 'A title', metadata: { filename: 'a.txt', filetype: 'text/plain' } }, { type: 'NarrativeText', element_id: '2', text: 'some words', metadata: { filename: 'a.txt', page_number: 1 } }] })

export const PAGES = {
  'api.airtable.com': airtable, 'api.github.com': github, 'raw.githubusercontent.com': ({ path }) => ({ type: 'text/plain', body: `text of ${path.replace('/a/b/main/', '')}` }),
  'api.spider.cloud': spider, 'api.unstructuredapp.io': unstructured
}
