// Flows of agents of before there were agentflows (Agentflow V1), drawn as Flowise's editor saved them.
import { EARLIER, ask, both, image } from './flows.mjs'
import { PLACEHOLDER } from './sides.mjs'

const V1 = (kind) => (kind === 'supervisor' || kind === 'worker' ? 'Multi Agents' : kind.startsWith('seq') ? 'Sequential Agents' : { agentMemory: 'Memory', calculator: 'Tools', inputModerationSimple: 'Moderation', customFunction: 'Utilities' }[kind] ?? 'Chat Models')
// Outputs are nodes that others take whole; `after` are those that come before it in the flow.
const MODEL = { modelName: 'stub-model', temperature: 0.2, streaming: true, basepath: `${PLACEHOLDER}/v1` }
const ref = (id) => `{{${id}.data.instance}}`
const SHAPE = { seqToolNode: ['llmNode', false], seqEnd: ['sequentialNode', false], worker: ['supervisor', false] }

// [id, inputs, { after, output }]: `output` names the output of the condition before it that leads here.
export function agents(nodes) {
  const edges = []
  const kindOf = (id) => id.replace(/_\d+$/, '')
  const edge = (source, sourceHandle, target, input) => edges.push({ id: `e${edges.length}`, type: 'buttonedge', source, sourceHandle, target, targetHandle: `${target}-input-${input}-x`, data: {} })
  const outputs = {}
  for (const [id, , { after = [], output } = {}] of nodes) for (const before of after) if (kindOf(before).startsWith('seqCondition')) (outputs[before] ??= []).push([output, id])
  const handle = (id, label) => `${id}-output-${label.toLowerCase().replace(/\W/g, '')}-Condition`
  const drawn = nodes.map(([id, inputs = {}, { after = [], output } = {}]) => {
    const name = kindOf(id)
    const [input, isList] = SHAPE[name] ?? ['sequentialNode', true]
    const given = { ...inputs }
    if (after.length) given[input] = isList ? after.map(ref) : ref(after[0])
    for (const before of after) edge(before, kindOf(before).startsWith('seqCondition') ? handle(before, output) : `${before}-output-${kindOf(before)}-x`, id, input)
    for (const [key, value] of Object.entries(inputs)) for (const one of [value].flat()) {
      const found = typeof one === 'string' && key !== 'promptValues' && one.match(/^\{\{(\w+)\.data\.instance\}\}$/)
      if (found) edge(found[1], `${found[1]}-output-${kindOf(found[1])}-x`, id, key)
    }
    const inputParams = Object.keys(given).map((key) => ({ name: key, label: key, type: 'string', ...(key === 'promptValues' ? { acceptVariable: true } : {}) }))
    const options = (outputs[id] ?? []).map(([label]) => ({ id: handle(id, label), name: label, label, type: 'Condition', isAnchor: true }))
    const outputAnchors = options.length ? [{ name: 'output', label: 'Output', type: 'options', options }] : [{ id: `${id}-output-${name}-x`, name, label: name, type: name }]
    return { id, type: 'customNode', position: { x: 0, y: 0 }, data: { id, label: id, name, type: name, version: 2, category: V1(name), baseClasses: [name], inputs: given, inputParams, inputAnchors: [], outputs: options.length ? { output: 'next' } : {}, outputAnchors } }
  })
  return { nodes: drawn, edges }
}

const model = ['chatOpenAI_0', MODEL]
const start = (more = {}) => ['seqStart_0', { model: ref('chatOpenAI_0'), agentMemory: '', state: '', inputModeration: '', ...more }]
const agent = (n, name, more, links) => [`seqAgent_${n}`, { agentName: name, systemMessagePrompt: '', humanMessagePrompt: '', tools: '', interrupt: '', promptValues: '', maxIterations: '', model: '', ...more }, links]
const llm = (n, name, more, links) => [`seqLLMNode_${n}`, { llmNodeName: name, systemMessagePrompt: '', humanMessagePrompt: '', model: '', promptValues: '', llmStructuredOutput: '', tools: '', ...more }, links]
const end = (n, after, output) => [`seqEnd_${n}`, {}, { after: [after], output }]
const state = (...rows) => ['seqState_0', { stateMemory: 'stateMemoryUI', stateMemoryUI: JSON.stringify(rows.map(([key, type, defaultValue]) => ({ key, type, defaultValue }))) }]
const update = (rows) => JSON.stringify(Object.entries(rows).map(([key, value]) => ({ key, value })))
const memory = ['agentMemory_0', { databaseType: 'sqlite', databaseFilePath: '', host: '', database: '', port: '', additionalConfig: '' }]
const calculator = ['calculator_0', {}]
const USE = '[[tool=calculator:{"input":"6*7"}]]'

const supervisor = (more = {}) => ['supervisor_0', { supervisorName: 'The Boss', supervisorPrompt: 'Lead {team_members}.\nFINISH when done.', model: ref('chatOpenAI_0'), agentMemory: '', summarization: '', recursionLimit: 100, inputModeration: '', ...more }]
const worker = (n, name, more = {}) => [`worker_${n}`, { workerName: name, workerPrompt: 'You are good at it.', tools: '', model: '', promptValues: '', maxIterations: '', ...more }, { after: ['supervisor_0'] }]

const TEAMS = [
  ['team-of-one', agents([model, supervisor(), worker(0, 'Code Writer')]), both('a task', { question: 'Write an app' })],
  ['team-of-three', agents([model, supervisor({ summarization: true }), worker(0, 'A'), worker(1, 'B'), worker(2, 'C', { workerPrompt: 'Do {task}', promptValues: '{"task":"{{question}}"}' })]), both('a task', { question: 'line one\n"quoted"' })],
  ['team-with-tools', agents([model, calculator, supervisor(), worker(0, 'Counter', { tools: [ref('calculator_0')] })]), both('a task', { question: `Count ${USE}` })],
  ['team-that-remembers', agents([model, memory, supervisor({ agentMemory: ref('agentMemory_0') }), worker(0, 'Writer')]), [ask('one', { question: 'one', chatId: '$t' }), ask('two', { question: 'two', chatId: '$t' }), ask('with a history', { question: 'three', chatId: '$u', history: EARLIER })]]
]

const SEQUENCES = [
  ['agents-one', agents([model, start(), agent(0, 'First', { systemMessagePrompt: 'Be {"a": 1} brief.' }, { after: ['seqStart_0'] }), end(0, 'seqAgent_0')]), [...both('a question', { question: 'Hi' }), ask('a history', { question: 'Hi', history: EARLIER }), ask('an error', { question: 'bad [[error=400]]' })]],
  ['agents-hand-on', agents([
    model, state(['found', 'Append', ''], ['who', 'Replace', 'nobody']), start({ state: ref('seqState_0') }),
    agent(0, 'First Agent', { systemMessagePrompt: 'One.', updateStateMemoryUI: update({ found: '$flow.output.content', who: 'me', none: 'x' }) }, { after: ['seqStart_0'] }),
    llm(0, 'Second', { systemMessagePrompt: '{before}|{list}|{who}', humanMessagePrompt: 'Now {q}', promptValues: JSON.stringify({ before: ref('seqAgent_0'), list: '$flow.state.found', who: '$flow.state.who', q: '{{question}}' }), updateStateMemoryUI: update({ who: '$flow.output.content' }) }, { after: ['seqAgent_0'] }),
    end(0, 'seqLLMNode_0')
  ]), both('a question', { question: 'Tell me' })],
  ...['user_question', 'last_message', 'empty'].map((conversationHistorySelection) => [`agents-read-${conversationHistorySelection}`, agents([model, start(), agent(0, 'A', {}, { after: ['seqStart_0'] }), agent(1, 'B', { systemMessagePrompt: 'B', humanMessagePrompt: 'Go on', conversationHistorySelection }, { after: ['seqAgent_0'] }), end(0, 'seqAgent_1')]), [ask('a question', { question: 'Hi' })]]),
  ['agents-with-tools', agents([model, calculator, start(), agent(0, 'Counter', { systemMessagePrompt: 'Count', humanMessagePrompt: `Now ${USE.replace(/[{}]/g, '$&$&')}`, tools: [ref('calculator_0')] }, { after: ['seqStart_0'] }), end(0, 'seqAgent_0')]), both('a question', { question: 'six times seven' })],
  ['agents-form', agents([
    model, state(['grade', 'Replace', '']), start({ state: ref('seqState_0') }),
    llm(0, 'Grader', { llmStructuredOutput: JSON.stringify([{ key: 'grade', type: 'Enum', enumValues: 'good, bad', description: 'how' }, { key: 'list', type: 'String Array', description: '' }, { key: 'n', type: 'Number', description: 'a number' }]), updateStateMemoryUI: update({ grade: '$flow.output.grade' }) }, { after: ['seqStart_0'] }),
    ['seqCondition_0', { conditionName: 'Check', condition: '', conditionUI: JSON.stringify([{ variable: '$flow.state.grade', operation: 'Is', value: 'good', output: 'Well' }, { variable: '$seqLLMNode_0', operation: 'Contains', value: 'bad', output: 'Badly' }]) }, { after: ['seqLLMNode_0'] }],
    agent(0, 'Praise', {}, { after: ['seqCondition_0'], output: 'Well' }), agent(1, 'Blame', {}, { after: ['seqCondition_0'], output: 'Badly' }), end(0, 'seqAgent_0'), end(1, 'seqAgent_1'), end(2, 'seqCondition_0', 'End')
  ]), both('a question', { question: 'Grade this' })],
  ['agents-route', agents([
    model, start(),
    ['seqConditionAgent_0', { conditionAgentName: 'Router', systemMessagePrompt: 'Route {q}', humanMessagePrompt: 'Where?', promptValues: '{"q":"{{question}}"}', model: '', conditionAgentStructuredOutput: '', condition: '', conditionUI: JSON.stringify([{ variable: '$flow.output.content', operation: 'Contains', value: 'Where', output: 'There' }]) }, { after: ['seqStart_0'] }],
    agent(0, 'There', {}, { after: ['seqConditionAgent_0'], output: 'There' }), end(0, 'seqAgent_0'), end(1, 'seqConditionAgent_0', 'End')
  ]), both('a question', { question: 'Go' })],
  ['agents-loop', agents([
    model, state(['n', 'Append', '']), start({ state: ref('seqState_0') }), llm(0, 'Writer', { updateStateMemoryUI: update({ n: 'x' }) }, { after: ['seqStart_0'] }),
    ['seqCondition_0', { conditionName: 'Enough', condition: '', conditionUI: JSON.stringify([{ variable: '$flow.state.n', operation: 'Is', value: 'x', output: 'Again' }]) }, { after: ['seqLLMNode_0'] }],
    ['seqLoop_0', { loopToName: 'Writer' }, { after: ['seqCondition_0'], output: 'Again' }], agent(0, 'Last', {}, { after: ['seqCondition_0'], output: 'End' }), end(0, 'seqAgent_0')
  ]), both('a question', { question: 'Go' })],
  ['agents-tool-node', agents([
    model, calculator, start(), llm(0, 'Asker', { humanMessagePrompt: '' }, { after: ['seqStart_0'] }),
    ['seqToolNode_0', { toolNodeName: 'Doer', tools: [ref('calculator_0')], interrupt: '', approvalPrompt: '', approveButtonText: 'Yes', rejectButtonText: 'No', updateStateMemoryUI: '' }, { after: ['seqLLMNode_0'] }],
    llm(1, 'Teller', {}, { after: ['seqToolNode_0'] }), end(0, 'seqLLMNode_1')
  ]), [...both('a tool', { question: `Compute ${USE}` }), ask('no tool', { question: 'Just talk' })]],
  ['agents-part-and-join', agents([
    model, start(), agent(0, 'A', {}, { after: ['seqStart_0'] }), agent(1, 'B', { systemMessagePrompt: 'b' }, { after: ['seqAgent_0'] }), agent(2, 'C', { systemMessagePrompt: 'c' }, { after: ['seqAgent_0'] }), agent(3, 'D', {}, { after: ['seqAgent_1', 'seqAgent_2'] }), end(0, 'seqAgent_3')
  ]), both('a question', { question: 'Hi' })],
  ['agents-remember', agents([
    model, memory, state(['all', 'Append', '']), start({ agentMemory: ref('agentMemory_0'), state: ref('seqState_0') }),
    agent(0, 'A', { systemMessagePrompt: '{all}|{h}', promptValues: '{"all":"$flow.state.all","h":"{{chat_history}}"}', updateStateMemoryUI: update({ all: '$flow.input' }) }, { after: ['seqStart_0'] }), end(0, 'seqAgent_0')
  ]), [ask('one', { question: 'one', chatId: '$m', history: EARLIER }), ask('two', { question: 'two', chatId: '$m', streaming: true }), ask('three', { question: 'three', chatId: '$m', history: EARLIER }), ask('another chat', { question: 'four', chatId: '$n' })]],
  ['agents-code', agents([
    model, ['seqState_0', { stateMemory: 'stateMemoryCode', selectedStateTab_seqState_0: 'stateMemoryCode', stateMemoryCode: "{ all: { value: (x, y) => x.concat(y), default: () => ['begun'] }, last: null }" }], start({ state: ref('seqState_0') }),
    agent(0, 'A', { selectedUpdateStateMemoryTab_seqAgent_0: 'updateStateMemoryCode', updateStateMemoryCode: "return { all: [$flow.output.content + '/' + $flow.input], last: $flow.state.messages.length }" }, { after: ['seqStart_0'] }),
    ['seqCustomFunction_0', { functionName: 'Function', functionInputVariables: '{"n":"$flow.state.last","plain":"p"}', javascriptFunction: 'return `${$n} ${$plain} ${$flow.state.all.length}`', returnValueAs: 'humanMessage' }, { after: ['seqAgent_0'] }],
    ['seqCondition_0', { conditionName: 'Which', selectedConditionFunctionTab_seqCondition_0: 'conditionFunction', conditionFunction: "return $flow.state.all.length > 1 ? 'Next' : 'End'" }, { after: ['seqCustomFunction_0'] }],
    agent(1, 'B', { systemMessagePrompt: '{all}', promptValues: '{"all":"$flow.state.all"}' }, { after: ['seqCondition_0'], output: 'Next' }), end(0, 'seqAgent_1'), end(1, 'seqCondition_0', 'End')
  ]), both('a question', { question: 'Hi' })],
  ['agents-execute', agents([
    model, start(), agent(0, 'A', {}, { after: ['seqStart_0'] }),
    ['seqExecuteFlow_0', { seqExecuteFlowName: 'Ask', selectedFlow: 'FLOWID:flow-of-a-tool', seqExecuteFlowInput: 'userQuestion', overrideConfig: '', baseURL: '', startNewSession: false, returnValueAs: 'humanMessage' }, { after: ['seqAgent_0'] }],
    agent(1, 'B', {}, { after: ['seqExecuteFlow_0'] }),
    ['seqExecuteFlow_1', { seqExecuteFlowName: 'Ask again', selectedFlow: 'FLOWID:flow-of-a-tool', seqExecuteFlowInput: '{{$seqAgent_1}}', overrideConfig: '', baseURL: '', startNewSession: true, returnValueAs: 'aiMessage' }, { after: ['seqAgent_1'] }],
    llm(0, 'C', { systemMessagePrompt: 'Sum up.' }, { after: ['seqExecuteFlow_1'] }), end(0, 'seqLLMNode_0')
  ]), both('a question', { question: 'Hi', chatId: '$x' })],
  ['agents-see', agents([['chatOpenAI_0', { ...MODEL, allowImageUploads: true }], start(), agent(0, 'A', { systemMessagePrompt: 'Look.' }, { after: ['seqStart_0'] }), llm(0, 'B', {}, { after: ['seqAgent_0'] }), end(0, 'seqLLMNode_0')]), [ask('an image', { question: 'See', uploads: image, chatId: '$i' })]],
  ['agents-moderated', agents([model, ['inputModerationSimple_0', { denyList: 'secret', model: '', moderationErrorMessage: 'Not that.' }], start({ inputModeration: [ref('inputModerationSimple_0')] }), agent(0, 'A', {}, { after: ['seqStart_0'] }), end(0, 'seqAgent_0')]), both('denied', { question: 'a secret' })],
  ['agents-ask', agents([model, calculator, memory, start({ agentMemory: ref('agentMemory_0') }), agent(0, 'Agent', { tools: [ref('calculator_0')], interrupt: true, approvalPrompt: 'May I? {tools}', approveButtonText: 'Go', rejectButtonText: 'Stop' }, { after: ['seqStart_0'] }), end(0, 'seqAgent_0')]), [
    ask('a question', { question: `Compute ${USE}`, chatId: '$y' }), ask('the user agrees', { question: 'Go', chatId: '$y', action: '$action' }), ask('and asks on', { question: 'Thanks', chatId: '$y' }),
    ask('a question, stream', { question: `Compute ${USE}`, chatId: '$n', streaming: true }), ask('the user does not agree, stream', { question: 'Stop', chatId: '$n', action: '$action', streaming: true })
  ]]
]

// Flowise's agent memory locks its whole database: such flows have it to themselves.
export const AGENTS = [...TEAMS, ...SEQUENCES].map(([name, flow, steps]) => ({ name, flow, steps, alone: JSON.stringify(flow).includes('agentMemory_0.data'), outside: JSON.stringify(flow).includes('FLOWID:') }))
