// Agentflows of one agent with tools, or of one tool.
import { chat, drawn } from './drawn.mjs'
import { PLACEHOLDER } from './sides.mjs'

const MODEL = { modelName: 'stub-model', temperature: 0.1, streaming: true, basepath: `${PLACEHOLDER}/v1`, agentModel: 'chatOpenAI' }
const agent = (...tools) => ['agent', {
  agentModel: 'chatOpenAI', agentMessages: [], agentEnableMemory: false, agentUserMessage: '', agentReturnResponseAs: 'userMessage', agentStructuredOutput: '', agentUpdateState: '',
  agentTools: tools.map(([kind, config]) => ({ agentSelectedTool: kind, agentSelectedToolRequiresHumanInput: '', agentSelectedToolConfig: { ...config, agentSelectedTool: kind } })),
  agentModelConfig: MODEL
}]
// An agent that knows what a vector database holds.
export const knowing = (store, storeConfig, embeddings, embeddingConfig) => {
  const [kind, inputs] = agent()
  const knowledge = [{ vectorStore: store, vectorStoreConfig: { ...storeConfig, vectorStore: store }, embeddingModel: embeddings, embeddingModelConfig: { ...embeddingConfig, embeddingModel: embeddings }, knowledgeName: 'The manual', knowledgeDescription: 'Knows the manual.', returnSourceDocuments: true }]
  return drawn([chat(), [kind, { ...inputs, agentTools: '', agentKnowledgeVSEmbeddings: knowledge }]], ['start_0 -> agent_0'])
}
const tool = (kind, config, name, value) => ['tool', {
  toolAgentflowSelectedTool: kind, toolAgentflowSelectedToolConfig: { ...config, toolAgentflowSelectedTool: kind }, toolInputArgs: [{ inputArgName: name, inputArgValue: value }], toolUpdateState: ''
}]
export const acting = (...tools) => drawn([chat(), agent(...tools)], ['start_0 -> agent_0'])
export const calling = (...one) => drawn([chat(), tool(...one)], ['start_0 -> tool_0'])
