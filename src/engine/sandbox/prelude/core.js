// What every script finds: timers, `require`, `console`, globals that are made when somebody first looks at them, and the
// way of its value out. Evaluated first, in a context of its own; called with what the host gives.
(function (host) {
    'use strict';
    const global = globalThis;
    const now = Date.now;
    const stringify = JSON.stringify;
    const parse = JSON.parse;

    // Questions to the host, by number.
    const asked = new Map();

    function ask(kind, head, body, isBinary) {
        return new Promise((resolve, reject) => {
            const text = body === undefined || body === null ? null : String(body).toWellFormed();
            const id = host.ask(kind, stringify(head), text, isBinary === true);
            asked.set(id, { resolve, reject });
        });
    }

    function answer(id, isGood, head, bytes) {
        const waiting = asked.get(id);
        asked.delete(id);
        if (!waiting) return;
        if (isGood) waiting.resolve({ head: parse(head), bytes });
        else waiting.reject(new Error(head));
    }

    // Timers.
    const MOST_TIMERS = 1000;
    const timers = new Map();
    let lastTimer = 0;

    function schedule(callback, delay, every, rest) {
        if (typeof callback !== 'function') throw new TypeError('The "callback" argument must be of type function.');
        if (timers.size >= MOST_TIMERS) throw new RangeError('too many timers');
        const wait = Math.max(1, Number(delay) || 0);
        const id = ++lastTimer;
        timers.set(id, { callback, at: now() + wait, every: every ? wait : 0, rest });
        return id;
    }

    const clear = (id) => void timers.delete(Number(id));

    // Milliseconds until the next, or -1.
    function next() {
        let soonest = Infinity;
        for (const timer of timers.values()) soonest = Math.min(soonest, timer.at);
        return soonest === Infinity ? -1 : Math.max(0, soonest - now());
    }

    function fire() {
        const due = [...timers].filter(([, timer]) => timer.at <= now()).sort((a, b) => a[1].at - b[1].at);
        for (const [id, timer] of due) {
            if (!timers.has(id)) continue;
            if (timer.every) timer.at = now() + timer.every;
            else timers.delete(id);
            try {
                timer.callback(...timer.rest);
            } catch (error) {
                host.log('error', told(error));
            }
        }
    }

    // Modules. What they give is made at the first use.
    const made = new Map();
    const PARTS = ['assert', 'events', 'path', 'querystring', 'timers', 'timers/promises', 'util'];
    const CLIENTS = ['http', 'https'];

    class VMError extends Error {
        get name() {
            return 'VMError';
        }
    }

    function module(name) {
        if (PARTS.includes(name)) return module('builtins')[name];
        if (CLIENTS.includes(name)) return module('client')[name];
        if (!made.has(name)) {
            const own = { exports: {} };
            made.set(name, own);
            host.load(name)(own, own.exports, module, { ...host, ask });
        }
        return made.get(name).exports;
    }

    function require(name) {
        const plain = String(name).toWellFormed().replace(/^node:/, '');
        if (!host.allows(plain)) throw new VMError(`Cannot find module '${plain}'`);
        return module(plain);
    }

    function lazy(names, from) {
        for (const name of names) {
            const set = (value) =>
                Object.defineProperty(global, name, { value, writable: true, configurable: true, enumerable: false });
            const get = () => {
                const value = module(from)[name];
                set(value);
                return value;
            };
            Object.defineProperty(global, name, { get, set, configurable: true, enumerable: false });
        }
    }

    // What is said on the console, for the log. A host's text holds no half of a character.
    function told(value) {
        try {
            const isPlain = value instanceof Error || typeof value !== 'object';
            return String(isPlain ? value : stringify(value)).toWellFormed();
        } catch {
            return '[unreadable]';
        }
    }

    const say = (level) => (...values) => host.log(level, values.slice(0, 20).map(told).join(' '));
    const silent = () => undefined;

    // Texts become code once, before the author's code runs.
    function seal() {
        const denied = () => {
            throw new EvalError('Code generation from strings disallowed for this context');
        };
        const kinds = [function () {}, function* () {}, async function () {}, async function* () {}];
        for (const kind of kinds) {
            const prototype = Object.getPrototypeOf(kind);
            const constructor = function Function() {
                denied();
            };
            constructor.prototype = prototype;
            Object.defineProperty(prototype, 'constructor', { value: constructor, writable: false, configurable: false });
            if (kind === kinds[0]) global.Function = constructor;
        }
        global.eval = denied;
    }

    function define(values) {
        for (const [name, value] of Object.entries(values)) {
            Object.defineProperty(global, name, { value, writable: true, configurable: true, enumerable: true });
        }
    }

    define({
        global,
        require,
        setTimeout: (callback, delay, ...rest) => schedule(callback, delay, false, rest),
        setInterval: (callback, delay, ...rest) => schedule(callback, delay, true, rest),
        setImmediate: (callback, ...rest) => schedule(callback, 0, false, rest),
        clearTimeout: clear,
        clearInterval: clear,
        clearImmediate: clear,
        queueMicrotask: (callback) => void Promise.resolve().then(callback),
        console: {
            log: say('log'), info: say('info'), warn: say('warn'), error: say('error'), debug: say('debug'),
            dir: say('log'), table: say('log'), trace: silent, time: silent, timeEnd: silent, timeLog: silent,
            assert: silent, group: silent, groupEnd: silent, count: silent,
        },
        structuredClone: (value) => module('clone')(value),
        module: { exports: {} },
        exports: {},
        process: undefined,
    });
    lazy(['URL', 'URLSearchParams'], 'url');
    lazy(['Buffer', 'atob', 'btoa'], 'buffer');
    lazy(['TextEncoder', 'TextDecoder'], 'text');
    lazy(['fetch', 'Headers', 'Request', 'Response', 'FormData', 'Blob', 'AbortController', 'AbortSignal'], 'fetch');
    lazy(['crypto'], 'crypto');
    host.load('guards')(host.over);
    lazy(['Intl'], 'locale');
    // The same, where it is first asked for.
    for (const [owner, names] of [[Date, ['toLocaleString', 'toLocaleDateString', 'toLocaleTimeString']], [Number, ['toLocaleString']], [BigInt, ['toLocaleString']]]) {
        for (const name of names) {
            const first = function (...rest) {
                module('locale');
                return owner.prototype[name].apply(this, rest);
            };
            Object.defineProperty(owner.prototype, name, { value: first, writable: true, configurable: true, enumerable: false });
        }
    }

    // Begins: the author's code is a function, what it is given stands in JSON.
    function begin(code, given) {
        define(parse(given.values));
        for (const name of given.tools.length ? ['$tools'] : []) {
            const tools = {};
            for (const tool of given.tools) {
                const call = async (args) => (await ask('tool', { tool, args: args === undefined ? {} : args })).head;
                tools[tool] = { name: tool, invoke: call, call, run: call };
            }
            define({ [name]: tools });
        }
        seal();
        (async () => code())().then(finish, fail);
    }

    function finish(value) {
        try {
            if (typeof value === 'string') return host.settle('text', value.toWellFormed());
            const json = stringify(value);
            host.settle(json === undefined ? 'nothing' : 'json', json === undefined ? '' : json);
        } catch (error) {
            fail(error);
        }
    }

    function fail(error) {
        let words = '[unreadable]';
        try {
            words = `${error}`;
        } catch {
            // As it is.
        }
        host.settle('error', String(words).toWellFormed());
    }

    return { begin, answer, next, fire };
})
