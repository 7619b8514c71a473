// Small ones of Node's own modules, by name.
(function (module, exports, require) {
    'use strict';
    class AssertionError extends Error {
        get name() {
            return 'AssertionError';
        }
    }
    const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);
    const must = (is, message, otherwise) => {
        if (!is) throw message instanceof Error ? message : new AssertionError(message ?? otherwise);
    };
    const assert = Object.assign((is, message) => must(is, message, 'The expression evaluated to a falsy value'), {
        ok: (is, message) => must(is, message, 'The expression evaluated to a falsy value'),
        equal: (a, b, message) => must(a == b, message, `${a} == ${b}`),
        notEqual: (a, b, message) => must(a != b, message, `${a} != ${b}`),
        strictEqual: (a, b, message) => must(Object.is(a, b), message, 'Expected values to be strictly equal'),
        notStrictEqual: (a, b, message) => must(!Object.is(a, b), message, 'Expected "actual" to be strictly unequal'),
        deepEqual: (a, b, message) => must(same(a, b), message, 'Expected values to be loosely deep-equal'),
        deepStrictEqual: (a, b, message) => must(same(a, b), message, 'Expected values to be strictly deep-equal'),
        fail: (message) => must(false, message, 'Failed'),
        throws: (callback, message) => {
            let has = false;
            try {
                callback();
            } catch {
                has = true;
            }
            must(has, message, 'Missing expected exception.');
        },
        AssertionError,
    });
    assert.strict = assert;

    class EventEmitter {
        #heard = new Map();
        on(name, callback) {
            this.#heard.set(name, [...(this.#heard.get(name) ?? []), callback]);
            return this;
        }
        once(name, callback) {
            const own = (...rest) => {
                this.off(name, own);
                callback.apply(this, rest);
            };
            return this.on(name, own);
        }
        off(name, callback) {
            this.#heard.set(name, (this.#heard.get(name) ?? []).filter((known) => known !== callback));
            return this;
        }
        emit(name, ...rest) {
            const all = this.#heard.get(name) ?? [];
            if (name === 'error' && !all.length) throw rest[0];
            for (const callback of all) callback.apply(this, rest);
            return all.length > 0;
        }
        addListener(name, callback) {
            return this.on(name, callback);
        }
        removeListener(name, callback) {
            return this.off(name, callback);
        }
        removeAllListeners(name) {
            if (name === undefined) this.#heard.clear();
            else this.#heard.delete(name);
            return this;
        }
        listenerCount(name) {
            return (this.#heard.get(name) ?? []).length;
        }
    }
    Object.assign(EventEmitter, { EventEmitter, default: EventEmitter });

    const settled = (text) => {
        const out = [];
        for (const step of text.split('/')) {
            if (step === '..' && out.length && out.at(-1) !== '..') out.pop();
            else if (step && step !== '.' && !(step === '..' && text.startsWith('/'))) out.push(step);
        }
        return `${text.startsWith('/') ? '/' : ''}${out.join('/')}` || (text.startsWith('/') ? '/' : '.');
    };
    const path = {
        sep: '/', delimiter: ':', normalize: settled,
        join: (...all) => settled(all.filter(Boolean).join('/')),
        resolve: (...all) => settled(`/${all.reduceRight((out, step) => (out.startsWith('/') ? out : `${step}/${out}`), '')}`),
        basename: (text, end = '') => {
            const name = text.replace(/\/+$/, '').split('/').at(-1);
            return end && name.endsWith(end) && name !== end ? name.slice(0, -end.length) : name;
        },
        dirname: (text) => text.replace(/\/+$/, '').split('/').slice(0, -1).join('/') || (text.startsWith('/') ? '/' : '.'),
        extname: (text) => /[^/.](\.[^./]*)$/.exec(text)?.[1] ?? '',
        isAbsolute: (text) => text.startsWith('/'),
    };
    path.posix = path;

    const querystring = {
        escape: encodeURIComponent,
        unescape: decodeURIComponent,
        parse: (text) => {
            const out = {};
            for (const [name, value] of new URLSearchParams(text)) {
                if (!(name in out)) out[name] = value;
                else out[name] = [out[name], value].flat();
            }
            return out;
        },
        stringify: (fields) =>
            Object.entries(fields)
                .flatMap(([name, value]) => [value].flat().map((item) => `${encodeURIComponent(name)}=${encodeURIComponent(item ?? '')}`))
                .join('&'),
    };
    querystring.encode = querystring.stringify;
    querystring.decode = querystring.parse;

    const shown = (value) => (typeof value === 'string' ? value : value instanceof Error ? `${value}` : JSON.stringify(value, null, 2) ?? String(value));
    const util = {
        inspect: shown,
        format: (first, ...rest) => {
            const text = String(first).replace(/%[sdifjoO%]/g, (place) => {
                if (place === '%%') return '%';
                return rest.length ? (place === '%s' ? String : place === '%d' ? Number : shown)(rest.shift()) : place;
            });
            return [text, ...rest.map(shown)].join(' ');
        },
        promisify: (callback) => (...rest) =>
            new Promise((resolve, reject) => callback(...rest, (error, value) => (error ? reject(error) : resolve(value)))),
        isDeepStrictEqual: same,
        inherits: (one, other) => Object.setPrototypeOf(one.prototype, other.prototype),
        types: { isDate: (value) => value instanceof Date, isPromise: (value) => value instanceof Promise },
    };
    const sleep = (wait, value) => new Promise((resolve) => setTimeout(() => resolve(value), wait));
    const timers = { setTimeout, setInterval, setImmediate, clearTimeout, clearInterval, clearImmediate, promises: { setTimeout: sleep } };
    module.exports = { assert, events: EventEmitter, path, querystring, util, timers, 'timers/promises': timers.promises };
})
