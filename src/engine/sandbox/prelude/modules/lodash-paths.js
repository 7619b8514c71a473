// lodash's paths into values, and what it takes for a function.
(function (module, exports, require) {
    'use strict';
    const { isNil, isObject, isPlainObject, isEqual } = require('lodash-is');
    // They lead to what all objects share.
    const CLOSED = ['__proto__', 'constructor', 'prototype'];

    function toPath(path) {
        if (Array.isArray(path)) return path.map(String);
        if (typeof path !== 'string') return [String(path)];
        return [...path.matchAll(/[^.[\]"']+|\[(?:"([^"]*)"|'([^']*)')\]/g)].map((found) => found[1] ?? found[2] ?? found[0]);
    }
    const steps = (of, path) => (isObject(of) && typeof path === 'string' && path in of ? [path] : toPath(path));
    function get(of, path, otherwise) {
        let found = of;
        for (const step of steps(of, path)) {
            if (isNil(found)) return otherwise;
            found = found[step];
        }
        return found === undefined ? otherwise : found;
    }
    function has(of, path) {
        let found = of;
        for (const step of steps(of, path)) {
            if (isNil(found) || !Object.hasOwn(Object(found), step)) return false;
            found = found[step];
        }
        return true;
    }
    function set(of, path, value) {
        const all = steps(of, path);
        if (!isObject(of) || all.some((step) => CLOSED.includes(step))) return of;
        let into = of;
        all.slice(0, -1).forEach((step, at) => {
            if (!isObject(into[step])) into[step] = /^\d+$/.test(all[at + 1]) ? [] : {};
            into = into[step];
        });
        into[all.at(-1)] = value;
        return of;
    }
    function unset(of, path) {
        const all = steps(of, path);
        const into = all.length > 1 ? get(of, all.slice(0, -1)) : of;
        return isNil(into) ? true : delete into[all.at(-1)];
    }
    const matches = (by) => (of) => Object.entries(by).every(([key, item]) => (isPlainObject(item) ? matches(item)(of?.[key] ?? {}) : isEqual(of?.[key], item)));
    function iteratee(by) {
        if (isNil(by)) return (value) => value;
        if (typeof by === 'function') return by;
        if (Array.isArray(by)) return (of) => isEqual(get(of, by[0]), by[1]);
        if (typeof by === 'object') return matches(by);
        return (of) => get(of, by);
    }
    module.exports = { toPath, get, has, set, unset, update: (of, path, by) => set(of, path, by(get(of, path))), iteratee };
})
