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
const LINES = '{"text":"first line","kind":"a"}\n\n{"text":"second line","kind":"b"}\n'

// The retrieval flow with that loader, and perhaps another splitter.
const of = (name, inputs, splitter) => changed(load('retrieval-qa'), (flow) => {
  const loader = flow.nodes.find((n) => n.id === 'plainText_0').data
  const kept = splitter === null ? '' : loader.inputs.textSplitter
  Object.assign(loader, { name, label: name, inputs: { textSplitter: kept, metadata: '', omitMetadataKeys: '', ...inputs }, outputs: { output: 'document' } })
  if (splitter) Object.assign(flow.nodes.find((n) => n.id === 'recursiveCharacterTextSplitter_0').data, { name: splitter[0], label: splitter[0], inputs: splitter[1] })
})
const loaders = {
  'pdf-by-page': of('pdfFile', { pdfFile: file('wrapped.pdf', PDF), usage: 'perPage' }),
  'pdf-by-page-whole': of('pdfFile', { pdfFile: file('wrapped.pdf', PDF), usage: 'perPage', omitMetadataKeys: 'pdf' }, null),
  'pdf-by-file': of('pdfFile', { pdfFile: file('wrapped.pdf', PDF), usage: 'perFile', metadata: '{"book":"manual"}' }),
  'pdf-drawn-by-hand': of('pdfFile', { pdfFile: file('drawn.pdf', PDF) }, null),
  'pdf-several': of('pdfFile', { pdfFile: JSON.stringify([file('wrapped.pdf', PDF), file('drawn.pdf', PDF)]), omitMetadataKeys: '*' }),
  docx: of('docxFile', { docxFile: file('sample.docx', DOCX) }),
  'json-lines': of('jsonlinesFile', { jsonlinesFile: uri('a.jsonl', 'application/jsonl', LINES), pointerName: 'text', metadata: '{"kind":"/kind","own":"x"}' }, null),
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

export const DOCUMENTS = Object.entries(loaders).map(([name, flow]) => ({ name: `documents-${name}`, flow, steps: [ask('a question', { question: 'What is told?' })] }))
