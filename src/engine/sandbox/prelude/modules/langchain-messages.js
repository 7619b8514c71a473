// LangChain's messages, as code that gives some makes them.
(function (module) {
    'use strict';
    const kind = (type, names) =>
        class {
            constructor(fields) {
                const { content, ...rest } = typeof fields === 'string' ? { content: fields } : fields;
                this.type = type;
                this.content = content;
                for (const name of names) if (rest[name] !== undefined) this[name] = rest[name];
            }
            getType() {
                return type;
            }
        };
    const HumanMessage = kind('human', ['name', 'id']);
    const AIMessage = kind('ai', ['name', 'id', 'tool_calls']);
    const SystemMessage = kind('system', ['name', 'id']);
    const ToolMessage = kind('tool', ['name', 'id', 'tool_call_id']);
    module.exports = { HumanMessage, AIMessage, SystemMessage, ToolMessage };
})
