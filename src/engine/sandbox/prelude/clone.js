// A value anew, with everything in it, references to one and the same included.
(function (module) {
    'use strict';
    function clone(value, known = new Map()) {
        if (value === null || typeof value !== 'object') {
            if (typeof value === 'function' || typeof value === 'symbol') throw new TypeError(`${String(value)} could not be cloned.`);
            return value;
        }
        if (known.has(value)) return known.get(value);
        const keep = (made) => {
            known.set(value, made);
            return made;
        };
        if (Array.isArray(value)) {
            const list = keep([]);
            for (const item of value) list.push(clone(item, known));
            return list;
        }
        if (value instanceof Date) return keep(new Date(value.getTime()));
        if (value instanceof RegExp) return keep(new RegExp(value.source, value.flags));
        if (value instanceof Map) {
            const map = keep(new Map());
            for (const [key, item] of value) map.set(clone(key, known), clone(item, known));
            return map;
        }
        if (value instanceof Set) {
            const set = keep(new Set());
            for (const item of value) set.add(clone(item, known));
            return set;
        }
        if (value instanceof ArrayBuffer) return keep(value.slice(0));
        if (ArrayBuffer.isView(value)) return keep(value.slice());
        if (value instanceof Error) {
            const made = keep(new value.constructor(value.message));
            return made;
        }
        const object = keep({});
        for (const [name, item] of Object.entries(value)) object[name] = clone(item, known);
        return object;
    }
    module.exports = (value) => clone(value);
})
