// Documents by every loader that needs no account elsewhere: the passages that reach the embeddings are what is compared.
import fs from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { ask, changed, load } from './flows.mjs'
import { PLACEHOLDER } from './sides.mjs'

const FILES = path.join(path.dirname(fileURLToPath(import.meta.url)), 'files')
const uri = (name, type, bytes) => `data:${type};base64,${Buffer.from(bytes).toString('base64')},filename:${name}`
const file = (name, type) => uri(name, type, fs.readFileSync(path.join(FILES, name)))
const PDF = 'application/pdf'
const DOCX = 'application/vnd.openxmlformats-officedocument.wordprocessingml.document'
const PPTX = 'application/vnd.openxmlformats-officedocument.presentationml.presentation'
const LINES = '{"text":"first line","kind":"a"}\n\n{"text":"second line","kind":"b"}\n'

// The retrieval flow with that loader, and perhaps another splitter.
const of = (name, inputs, splitter) => changed(load('retrieval-qa'), (flow) => {
  const loader = flow.nodes.find((n) => n.id === 'plainText_0').data
  const kept = splitter === null ? '' : loader.inputs.textSplitter
  Object.assign(loader, { name, label: name, inputs: { textSplitter: kept, metadata: '', omitMetadataKeys: '', ...inputs }, outputs: { output: 'document' } })
  if (splitter) Object.assign(flow.nodes.find((n) => n.id === 'recursiveCharacterTextSplitter_0').data, { name: splitter[0], label: splitter[0], inputs: splitter[1] })
})
const XLSX = 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet'
const CSV = 'name,price,"what, it is"\nKettle,12.5,"a ""quoted"" thing"\n"two\nlines",3,\n\nZażółć, 7 ,x\n'
const JSON_TEXT = '{"a":["one","two \\"q\\""],"b":{"c":"three","n":4,"t":true},"list":[{"id":1,"text":"first"},{"id":2,"text":"second"}]}'
const loaders = {
  'pdf-by-page': of('pdfFile', { pdfFile: file('wrapped.pdf', PDF), usage: 'perPage' }),
  'pdf-by-page-whole': of('pdfFile', { pdfFile: file('wrapped.pdf', PDF), usage: 'perPage', omitMetadataKeys: 'pdf' }, null),
  'pdf-by-file': of('pdfFile', { pdfFile: file('wrapped.pdf', PDF), usage: 'perFile', metadata: '{"book":"manual"}' }),
  'pdf-drawn-by-hand': of('pdfFile', { pdfFile: file('drawn.pdf', PDF) }, null),
  'pdf-several': of('pdfFile', { pdfFile: JSON.stringify([file('wrapped.pdf', PDF), file('drawn.pdf', PDF)]), omitMetadataKeys: '*' }),
  docx: of('docxFile', { docxFile: file('sample.docx', DOCX) }),
  word: of('microsoftWord', { docxFile: file('sample.docx', DOCX) }),
  slides: of('microsoftPowerpoint', { powerpointFile: file('deck.pptx', PPTX), metadata: '{"deck":1}' }, null),
  'any-file-slides': of('fileLoader', { file: file('deck.pptx', PPTX) }, null),
  'json-lines': of('jsonlinesFile', { jsonlinesFile: uri('a.jsonl', 'application/jsonl', LINES), pointerName: 'text', metadata: '{"kind":"/kind","own":"x"}' }, null),
  csv: of('csvFile', { csvFile: uri('a.csv', 'text/csv', CSV), columnName: '' }, null),
  'csv-a-column': of('csvFile', { csvFile: uri('a.csv', 'text/csv', CSV.replace('\n\n', '\n')), columnName: 'price', metadata: '{"own":"x"}', omitMetadataKeys: 'line' }),
  'csv-no-such-column': of('csvFile', { csvFile: uri('a.csv', 'text/csv', CSV), columnName: 'nothing' }),
  json: of('jsonFile', { jsonFile: uri('a.json', 'application/json', JSON_TEXT), separateByObject: '', pointersName: '' }, null),
  'json-pointers': of('jsonFile', { jsonFile: uri('a.json', 'application/json', JSON_TEXT), separateByObject: '', pointersName: '/b, /text', metadata: '{"own":"x"}' }),
  'json-objects': of('jsonFile', { jsonFile: uri('a.json', 'application/json', '[{"id":1,"t":"a","in":{"x":[1]}},{"id":2,"t":"b"}]'), separateByObject: true, pointersName: '', metadata: '{"id":"/id","own":"x"}' }, null),
  xlsx: of('microsoftExcel', { excelFile: file('sample.xlsx', XLSX) }, null),
  'xlsx-split': of('microsoftExcel', { excelFile: file('sample.xlsx', XLSX), metadata: '{"own":"x"}', omitMetadataKeys: 'worksheet' }),
  text: of('textFile', { txtFile: uri('a.txt', 'text/plain', '\ufeffone\r\ntwo\n\n\nthree Zażółć') }, null),
  'text-several': of('textFile', { txtFile: JSON.stringify([uri('a.txt', 'text/plain', 'one'), uri('b.txt', 'text/plain', 'two')]), metadata: '{"own":"x"}' }, null),
  'plain-omitting-all': of('plainText', { text: 'some text', metadata: '{"a":{"b":1}}', omitMetadataKeys: '*' }, null),
  'any-file-csv': of('fileLoader', { file: uri('a.csv', 'text/csv', CSV) }, null),
  'any-file-json': of('fileLoader', { file: uri('a.json', 'application/json', JSON_TEXT), pointersName: '' }, null),
  'any-file-xlsx': of('fileLoader', { file: file('sample.xlsx', XLSX) }, null),
  'markdown-split': of('plainText', { text: '# One\n\nSome words here.\n\n## Two\n\n- a\n- b\n\n```js\nlet x = 1\n```\n' }, ['markdownTextSplitter', { chunkSize: '30', chunkOverlap: '5', splitByHeaders: '' }]),
  'character-split': of('plainText', { text: 'a b c|d e f|g h i' }, ['characterTextSplitter', { chunkSize: '6', chunkOverlap: '2', separator: '|' }]),
  'api-post': of('apiLoader', { method: 'POST', url: `${PLACEHOLDER}/api/things`, headers: '{"X-Key":"k"}', body: '{"a":[1]}', caFile: '' }, null),
  'any-file-pdf': of('fileLoader', { file: file('wrapped.pdf', PDF), usage: 'perFile' }),
  'any-file-docx': of('fileLoader', { file: file('sample.docx', DOCX) }),
  'any-file-text': of('fileLoader', { file: uri('a.md', 'text/markdown', '# Head\n\nSome text') }, null),
  'html-to-markdown': of('textFile', { txtFile: uri('a.html', 'text/html', '<h1>Head</h1><p>Some <b>bold</b> text with a_b</p><ul><li>one<li>two</ul><table><tr><th>A</th><th>B</th></tr><tr><td>1</td><td>2</td></tr></table>') }, ['htmlToMarkdownTextSplitter', { chunkSize: '60', chunkOverlap: '10' }]),
  'code-python': of('plainText', { text: 'class A:\n\tdef a(self):\n\t\treturn 1\n\ndef b():\n    return 2\n\ndef c():\n    return 3\n' }, ['codeTextSplitter', { language: 'python', chunkSize: '40', chunkOverlap: '5' }]),
  'web-one-page': of('cheerioWebScraper', { url: `${PLACEHOLDER}/site`, relativeLinksMethod: '', limit: '10', selector: '' }, null),
  'web-selector': of('cheerioWebScraper', { url: `${PLACEHOLDER}/site`, relativeLinksMethod: '', limit: '10', selector: 'main.box' }, null),
  'web-crawl': of('cheerioWebScraper', { url: `${PLACEHOLDER}/site`, relativeLinksMethod: 'webCrawl', limit: '10', selector: '' }, null),
  'web-crawl-limited': of('cheerioWebScraper', { url: `${PLACEHOLDER}/site`, relativeLinksMethod: 'webCrawl', limit: '2', selector: '' }, null),
  'web-sitemap': of('cheerioWebScraper', { url: `${PLACEHOLDER}/site/sitemap.xml`, relativeLinksMethod: 'scrapeXMLSitemap', limit: '1', selector: '' }, null),
  'api-get': of('apiLoader', { method: 'GET', url: `${PLACEHOLDER}/api/things?x=1`, headers: '', body: '', caFile: '' }, null)
}

// Kept by services.
const SERVICES = {
  airtable: of('airtable', { baseId: 'app1', tableId: 'tbl1', viewId: 'viw1', fields: '', returnAll: true, limit: '100', filterByFormula: '' }, null),
  'airtable-limited': of('airtable', { baseId: 'app1', tableId: 'tbl1', viewId: 'viw1', fields: 'Name, Price', returnAll: false, limit: '2', filterByFormula: '{Price} > 1', metadata: '{"own":"x"}' }),
  github: of('github', { repoLink: 'https://github.com/a/b', branch: 'main', recursive: true, maxConcurrency: '', githubBaseUrl: '', githubInstanceApi: '', ignorePath: '', maxRetries: '' }, null),
  'spider-scrape': of('spiderDocumentLoaders', { mode: 'scrape', url: 'https://pages.example/a', limit: '5', additional_metadata: '{"own":"x"}', params: '' }, null),
  'spider-crawl': of('spiderDocumentLoaders', { mode: 'crawl', url: 'https://pages.example/a', limit: '5', additional_metadata: '', params: '{"return_format":"markdown"}' }, null),
  unstructured: of('unstructuredFileLoader', { fileObject: uri('a.txt', 'text/plain', 'some words'), unstructuredAPIUrl: '', strategy: 'fast', encoding: '', skipInferTableTypes: '', hiResModelName: '', chunkingStrategy: 'by_title', ocrLanguages: '', sourceIdKey: 'source', coordinates: false, xmlKeepTags: '', includePageBreaks: '', multiPageSections: '', combineUnderNChars: '', newAfterNChars: '', maxCharacters: '500' }, null)
}

const asked = [ask('a question', { question: 'What is told?' })]
export const DOCUMENTS = [
  // Flowise finds out when it is asked that there is no such column.
  ...Object.entries(loaders).map(([name, flow]) => ({ name: `documents-${name}`, flow, steps: asked, mayBeRefused: name === 'csv-no-such-column' })),
  ...Object.entries(SERVICES).map(([name, flow]) => ({ name: `documents-${name}`, outside: true, flow, steps: asked }))
]
