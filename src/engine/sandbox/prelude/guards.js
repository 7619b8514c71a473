// Some of the language's own functions run for as long as their arguments say without ever looking up, so that nothing
// could end them: over the holes of an endless list, over two long texts at once. These look at the sizes first. Others
// take as long as what they go over is large, which is little once, and much some thousand times: these look up themselves.
(function (isOver) {
    'use strict';
    // Calls from one look to the next: at ten milliseconds each what a script may take is known soon enough.
    const BETWEEN = 16;
    const MOST_ITEMS = 2 ** 22;
    const MOST_COMPARED = 2 ** 31;
    const MOST_MARKS = 1024;
    // As they are before anybody can replace them.
    const { isArray } = Array;
    const call = Reflect.apply;
    const construct = Reflect.construct;
    const text = String;
    const { replace: REPLACE, split: SPLIT, isConcatSpreadable: SPREADABLE } = Symbol;

    const refuse = (what) => {
        throw new RangeError(`${what} is too large`);
    };
    const put = (owner, name, value) =>
        Object.defineProperty(owner, name, { value, writable: true, configurable: true, enumerable: false });
    const replaced = (owner, name, make) => {
        const original = owner[name];
        if (typeof original !== 'function') return;
        const made = make(original);
        Object.defineProperty(made, 'name', { value: name });
        Object.defineProperty(made, 'length', { value: original.length });
        put(owner, name, made);
    };

    // In a loop of its own a script is ended as nothing can catch it.
    let calls = 0;
    const look = () => {
        calls = (calls + 1) % BETWEEN;
        if (calls === 0 && isOver()) for (;;);
    };
    const looking = (owner, ...names) => {
        for (const name of names) {
            replaced(owner, name, (original) => function (...rest) {
                look();
                return call(original, this, rest);
            });
        }
    };

    // An array, whose length is a number of its own. Of what only looks like one an array is made first.
    const listed = (value) => {
        look();
        if (isArray(value)) {
            if (value.length > MOST_ITEMS) refuse('the array');
            return value;
        }
        if (value === null || value === undefined) throw new TypeError('Cannot convert undefined or null to object');
        const from = Object(value);
        const length = Math.trunc(Number(from.length)) || 0;
        if (length > MOST_ITEMS) refuse('the list');
        const list = [];
        list.length = length > 0 ? length : 0;
        for (let at = 0; at < length; at++) if (at in from) list[at] = from[at];
        return list;
    };
    const reading = [
        'at', 'entries', 'every', 'filter', 'find', 'findIndex', 'findLast', 'findLastIndex', 'forEach', 'includes',
        'indexOf', 'join', 'keys', 'lastIndexOf', 'map', 'reduce', 'reduceRight', 'slice', 'some', 'toLocaleString',
        'toReversed', 'toSorted', 'toSpliced', 'values', 'with',
    ];
    const prototype = Array.prototype;
    for (const name of reading) {
        replaced(prototype, name, (original) => function (...rest) {
            return call(original, listed(this), rest);
        });
    }
    for (const name of ['copyWithin', 'fill', 'reverse', 'shift', 'sort', 'splice', 'unshift']) {
        replaced(prototype, name, (original) => function (...rest) {
            if (!isArray(this)) throw new TypeError(`Array.prototype.${name} called on what is no array`);
            return call(original, listed(this), rest);
        });
    }
    put(prototype, Symbol.iterator, prototype.values);
    replaced(prototype, 'concat', (original) => function (...rest) {
        let { length } = listed(this);
        for (let at = 0; at < rest.length; at++) {
            const value = rest[at];
            if (isArray(value)) length += value.length;
            else if (value !== null && typeof value === 'object' && SPREADABLE in value) {
                throw new TypeError('Symbol.isConcatSpreadable is not supported');
            }
        }
        if (length > MOST_ITEMS) refuse('the array');
        return call(original, listed(this), rest);
    });
    const flattened = (list, depth, out) => {
        const { length } = listed(list);
        for (let at = 0; at < length; at++) {
            if (!(at in list)) continue;
            const value = list[at];
            if (isArray(value) && depth >= 1) flattened(value, depth - 1, out);
            else out[out.length] = value;
        }
        return out;
    };
    replaced(prototype, 'flat', () => function (depth = 1) {
        return flattened(listed(this), Number(depth) || 0, []);
    });
    const { map } = prototype;
    replaced(prototype, 'flatMap', () => function (...rest) {
        return flattened(call(map, listed(this), rest), 1, []);
    });
    replaced(JSON, 'stringify', (original) => function (value, replacer, space) {
        look();
        return original(value, isArray(replacer) ? listed(replacer) : replacer, space);
    });

    // Whatever goes over an array's items by itself, item by item.
    const Items = Set;
    const add = Items.prototype.add;
    const made = function Set(items) {
        if (!new.target) throw new TypeError("Constructor Set requires 'new'");
        const set = construct(Items, [], new.target);
        if (items !== null && items !== undefined) for (const item of items) call(add, set, [item]);
        return set;
    };
    made.prototype = Items.prototype;
    put(made, Symbol.species, made);
    put(Items.prototype, 'constructor', made);
    put(globalThis, 'Set', made);
    // Newer than what Flowise runs on.
    const newer = ['union', 'intersection', 'difference', 'symmetricDifference', 'isSubsetOf', 'isSupersetOf', 'isDisjointFrom'];
    for (const name of newer) delete Items.prototype[name];
    const iterator = Object.getPrototypeOf(Object.getPrototypeOf([].values()));
    for (const name of Object.getOwnPropertyNames(iterator)) if (name !== 'constructor') delete iterator[name];
    for (const name of ['Iterator', 'SharedArrayBuffer', 'Atomics', 'performance', 'WeakRef', 'FinalizationRegistry']) {
        delete globalThis[name];
    }

    const compared = (one, other) => {
        if (one.length * other.length > MOST_COMPARED) refuse('the text');
    };
    const self = (value, name) => {
        look();
        if (value === null || value === undefined) throw new TypeError(`String.prototype.${name} called on null or undefined`);
        return text(value);
    };
    for (const name of ['includes', 'indexOf', 'lastIndexOf', 'startsWith', 'endsWith']) {
        replaced(String.prototype, name, (original) => function (...rest) {
            const own = self(this, name);
            const what = rest.length ? text(rest[0]) : 'undefined';
            compared(own, what);
            rest[0] = what;
            return call(original, own, rest);
        });
    }
    for (const [name, symbol] of [['replace', REPLACE], ['replaceAll', REPLACE], ['split', SPLIT]]) {
        replaced(String.prototype, name, (original) => function (...rest) {
            const own = self(this, name);
            const what = rest[0];
            if (what !== null && typeof what === 'object') {
                const method = what[symbol];
                if (name === 'replaceAll' && what instanceof RegExp && !what.global) {
                    throw new TypeError('replaceAll must be called with a global RegExp');
                }
                if (method !== null && method !== undefined) return call(method, what, [own, rest[1]]);
            }
            if (what === undefined && name === 'split') return call(original, own, rest);
            rest[0] = text(what);
            compared(own, rest[0]);
            return call(original, own, rest);
        });
    }
    put(String, 'raw', function raw(strings, ...rest) {
        const { length } = listed(strings.raw);
        let out = '';
        for (let at = 0; at < length; at++) out += `${strings.raw[at]}${at + 1 < length && at < rest.length ? rest[at] : ''}`;
        return out;
    });
    const marks = new RegExp(`\\p{M}{${MOST_MARKS}}`, 'u');
    const test = (value) => call(RegExp.prototype.test, marks, [value]);
    replaced(String.prototype, 'normalize', (original) => function (...rest) {
        const own = self(this, 'normalize');
        if (own.length > MOST_MARKS && test(own)) refuse('the text');
        return call(original, own, rest);
    });
    replaced(String.prototype, 'localeCompare', (original) => function (other, ...rest) {
        const [one, two] = [self(this, 'localeCompare'), text(other)];
        if (one.length + two.length > MOST_MARKS) return one < two ? -1 : one > two ? 1 : 0;
        rest.unshift(two);
        return call(original, one, rest);
    });

    looking(
        Object, 'assign', 'create', 'defineProperties', 'entries', 'freeze', 'fromEntries', 'getOwnPropertyDescriptors',
        'getOwnPropertyNames', 'getOwnPropertySymbols', 'groupBy', 'isFrozen', 'isSealed', 'keys', 'seal', 'values',
    );
    looking(Reflect, 'apply', 'construct', 'ownKeys');
    looking(Function.prototype, 'apply');
    looking(Map, 'groupBy');
    looking(JSON, 'parse');
    looking(Array, 'from', 'of');
    looking(
        String.prototype, 'concat', 'isWellFormed', 'match', 'matchAll', 'padEnd', 'padStart', 'repeat', 'search',
        'toLocaleLowerCase', 'toLocaleUpperCase', 'toLowerCase', 'toUpperCase', 'toWellFormed', 'trim', 'trimEnd', 'trimStart',
    );
    const Typed = Object.getPrototypeOf(Uint8Array);
    looking(Typed, 'from', 'of');
    looking(
        Typed.prototype, 'copyWithin', 'fill', 'includes', 'indexOf', 'join', 'lastIndexOf', 'reverse', 'set', 'slice', 'sort',
        'toLocaleString', 'toReversed', 'toSorted', 'toString', 'with',
    );
    looking(ArrayBuffer.prototype, 'resize', 'slice', 'transfer', 'transferToFixedLength');
    looking(BigInt, 'asIntN', 'asUintN');
    looking(BigInt.prototype, 'toString');
    looking(globalThis, 'decodeURI', 'decodeURIComponent', 'encodeURI', 'encodeURIComponent', 'escape', 'unescape');

    // Patterns are read when they are made.
    const Patterns = RegExp;
    const pattern = function RegExp(...rest) {
        look();
        return new.target ? construct(Patterns, rest, new.target) : call(Patterns, undefined, rest);
    };
    Object.defineProperty(pattern, 'length', { value: Patterns.length });
    pattern.prototype = Patterns.prototype;
    if (Patterns.escape) put(pattern, 'escape', Patterns.escape);
    Object.defineProperty(pattern, Symbol.species, { get: () => pattern, configurable: true });
    put(Patterns.prototype, 'constructor', pattern);
    put(globalThis, 'RegExp', pattern);
})
