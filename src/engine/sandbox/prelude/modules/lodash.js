// lodash's functions as scripts of flows use them, those on values first; `lodash-wrapped` has chains.
(function (module, exports, require) {
    'use strict';
    const is = require('lodash-is');
    const paths = require('lodash-paths');
    const { get, toPath, iteratee } = paths;
    const { isArray, isObject, isPlainObject, isNil, isEqual, isFunction, isString, isArrayLike } = is;
    const values = (of) => (isNil(of) ? [] : isString(of) ? [...of] : isArrayLike(of) ? Array.from(of) : Object.values(of));
    const entries = (of) => (isNil(of) ? [] : isArrayLike(of) ? Array.from(of, (item, at) => [at, item]) : Object.entries(of));
    const identity = (value) => value;

    // Lists.
    const flattenDepth = (list, depth = 1) => values(list).flat(depth);
    const uniqBy = (list, by) => {
        const [read, seen] = [iteratee(by), new Set()];
        return values(list).filter((item) => {
            const key = read(item);
            return !seen.has(key) && seen.add(key);
        });
    };
    const withBy = (make) => (...given) => {
        const by = given.length > 1 && !isArrayLike(given.at(-1)) ? given.pop() : identity;
        return make(given, iteratee(by));
    };
    const differenceBy = withBy(([list, ...others], read) => {
        const known = new Set(others.flat().map(read));
        return values(list).filter((item) => !known.has(read(item)));
    });
    const intersectionBy = withBy(([list, ...others], read) => {
        const known = others.map((other) => new Set(values(other).map(read)));
        return uniqBy(list, read).filter((item) => known.every((set) => set.has(read(item))));
    });
    const unionBy = withBy((lists, read) => uniqBy(lists.flat(), read));
    const chunk = (list, size = 1) => {
        const [items, out] = [values(list), []];
        const step = Math.max(1, Math.trunc(size));
        for (let at = 0; at < items.length; at += step) out.push(items.slice(at, at + step));
        return out;
    };
    const order = (one, other) => {
        if (one === other) return 0;
        if (one === undefined) return 1;
        if (other === undefined) return -1;
        if (one === null) return 1;
        if (other === null) return -1;
        return one < other ? -1 : one > other ? 1 : 0;
    };
    const orderBy = (list, by = [identity], ways = []) => {
        const [reads, signs] = [[by].flat().map((key) => iteratee(key)), [ways].flat()];
        const keyed = values(list).map((item) => ({ item, keys: reads.map((read) => read(item)) }));
        keyed.sort((a, b) => {
            for (let at = 0; at < reads.length; at++) {
                const found = order(a.keys[at], b.keys[at]);
                if (found) return signs[at] === 'desc' ? -found : found;
            }
            return 0;
        });
        return keyed.map(({ item }) => item);
    };
    const range = (first, last, step) => {
        const [from, to] = last === undefined ? [0, first] : [first, last];
        const by = step ?? (from > to ? -1 : 1);
        return Array.from({ length: Math.max(0, Math.ceil((to - from) / (by || 1))) }, (_, at) => from + at * by);
    };
    const grouped = (make) => (of, by) => {
        const [read, out] = [iteratee(by), {}];
        for (const item of values(of)) make(out, String(read(item)), item);
        return out;
    };
    const has = (object, key) => Object.hasOwn(object, key);
    const groupBy = grouped((out, key, item) => void (has(out, key) ? out[key].push(item) : (out[key] = [item])));
    const keyBy = grouped((out, key, item) => void (out[key] = item));
    const countBy = grouped((out, key) => void (out[key] = (has(out, key) ? out[key] : 0) + 1));
    const dropWhile = (list, by) => {
        const [items, test] = [values(list), iteratee(by)];
        const at = items.findIndex((item) => !test(item));
        return at < 0 ? [] : items.slice(at);
    };
    const takeWhile = (list, by) => {
        const [items, test] = [values(list), iteratee(by)];
        const at = items.findIndex((item) => !test(item));
        return at < 0 ? items : items.slice(0, at);
    };
    const zip = (...lists) => Array.from({ length: Math.max(0, ...lists.map((list) => list.length)) }, (_, at) => lists.map((list) => list[at]));
    const shuffle = (of) => {
        const list = values(of);
        for (let at = list.length - 1; at > 0; at--) {
            const other = Math.floor(Math.random() * (at + 1));
            [list[at], list[other]] = [list[other], list[at]];
        }
        return list;
    };
    const each = (of, call = identity) => {
        for (const [key, item] of entries(of)) if (call(item, key, of) === false) break;
        return of;
    };
    const extreme = (is_) => (list, by) => {
        const read = iteratee(by);
        return values(list).reduce((best, item) => {
            const key = read(item);
            if (isNil(key) || Number.isNaN(key)) return best;
            return best === undefined || is_(key, best.key) ? { item, key } : best;
        }, undefined)?.item;
    };
    const sumBy = (list, by) => values(list).reduce((sum, item) => sum + (Number(iteratee(by)(item)) || 0), 0);
    const remove = (list, by) => {
        const test = iteratee(by);
        const gone = list.filter((item) => test(item));
        const kept = list.filter((item) => !test(item));
        list.splice(0, list.length, ...kept);
        return gone;
    };
    const find = (of, by, at = 0) => values(of).slice(at).find((item) => iteratee(by)(item));
    const reduce = (of, call, ...start) => {
        const all = entries(of);
        let out = start.length ? start[0] : all.shift()?.[1];
        for (const [key, item] of all) out = call(out, item, key, of);
        return out;
    };

    // Objects.
    const pickBy = (object, by = identity) => Object.fromEntries(Object.entries(object ?? {}).filter(([key, item]) => by(item, key)));
    const omitBy = (object, by = identity) => pickBy(object, (item, key) => !by(item, key));
    const pick = (object, ...keys) => {
        const out = {};
        for (const path of keys.flat()) if (paths.has(object, path)) paths.set(out, path, get(object, path));
        return out;
    };
    const omit = (object, ...keys) => {
        const out = is.cloneDeep({ ...object });
        for (const path of keys.flat()) paths.unset(out, path);
        return out;
    };
    const mapValues = (object, by) => Object.fromEntries(Object.entries(object ?? {}).map(([key, item]) => [key, iteratee(by)(item, key)]));
    const mapKeys = (object, by) => Object.fromEntries(Object.entries(object ?? {}).map(([key, item]) => [iteratee(by)(item, key), item]));
    const safe = (key) => key !== '__proto__';
    const mergeInto = (into, from, by) => {
        for (const [key, item] of Object.entries(from ?? {})) {
            if (!safe(key)) continue;
            const own = has(into, key) ? into[key] : undefined;
            const chosen = by?.(own, item, key);
            if (chosen !== undefined) into[key] = chosen;
            else if (isPlainObject(item)) into[key] = mergeInto(isObject(own) ? own : {}, item, by);
            else if (isArray(item)) into[key] = mergeInto(isArray(own) ? own : [], item, by);
            else if (item !== undefined || !has(into, key)) into[key] = item;
        }
        return into;
    };
    const merge = (into, ...others) => others.reduce((out, other) => mergeInto(out, other), into);
    const mergeWith = (into, ...others) => {
        const by = others.pop();
        return others.reduce((out, other) => mergeInto(out, other, by), into);
    };
    const defaults = (into, ...others) => {
        for (const other of others) for (const [key, item] of Object.entries(other ?? {})) if (into[key] === undefined && safe(key)) into[key] = item;
        return into;
    };
    const defaultsDeep = (into, ...others) => {
        for (const other of others) {
            for (const [key, item] of Object.entries(other ?? {})) {
                if (!safe(key)) continue;
                if (isPlainObject(into[key]) && isPlainObject(item)) defaultsDeep(into[key], item);
                else if (into[key] === undefined) into[key] = is.cloneDeep(item);
            }
        }
        return into;
    };
    const invert = (object) => Object.fromEntries(Object.entries(object).map(([key, item]) => [item, key]));
    const findKey = (object, by) => Object.entries(object ?? {}).find(([key, item]) => iteratee(by)(item, key))?.[0];

    // Functions.
    const memoize = (call, key = identity) => {
        const known = new Map();
        return (...rest) => {
            const at = key(...rest);
            if (!known.has(at)) known.set(at, call(...rest));
            return known.get(at);
        };
    };
    const once = (call) => memoize(call, () => 0);
    const debounce = (call, wait = 0) => {
        let timer;
        return Object.assign((...rest) => {
            clearTimeout(timer);
            timer = setTimeout(call, wait, ...rest);
        }, { cancel: () => clearTimeout(timer) });
    };

    const lodash = {
        ...is, ...require('lodash-text'), get, toPath, has: paths.has, set: paths.set, unset: paths.unset, update: paths.update,
        iteratee, property: iteratee, matches: iteratee, identity, constant: (value) => () => value, noop: () => undefined,
        values, entries, toPairs: entries, fromPairs: (list) => Object.fromEntries(list), keys: (of) => entries(of).map(([key]) => String(key)),
        chunk, compact: (list) => values(list).filter(Boolean), flatten: (list) => flattenDepth(list, 1), flattenDeep: (list) => flattenDepth(list, Infinity), flattenDepth,
        uniq: (list) => [...new Set(values(list))], uniqBy, uniqWith: (list, same) => values(list).reduce((out, item) => (out.some((own) => same(own, item)) ? out : [...out, item]), []),
        difference: (list, ...others) => differenceBy(list, ...others, identity), differenceBy, intersection: (...lists) => intersectionBy(...lists, identity), intersectionBy,
        union: (...lists) => unionBy(...lists, identity), unionBy, xor: (one, other) => [...differenceBy(one, other, identity), ...differenceBy(other, one, identity)],
        without: (list, ...gone) => values(list).filter((item) => !gone.includes(item)), pull: (list, ...gone) => (remove(list, (item) => gone.includes(item)), list), remove,
        orderBy, sortBy: (list, ...by) => orderBy(list, by.length ? by.flat() : [identity]), reverse: (list) => list.reverse(), range, groupBy, keyBy, countBy,
        partition: (of, by) => [values(of).filter((item) => iteratee(by)(item)), values(of).filter((item) => !iteratee(by)(item))],
        head: (list) => values(list)[0], first: (list) => values(list)[0], last: (list) => values(list).at(-1), nth: (list, at = 0) => values(list).at(at),
        tail: (list) => values(list).slice(1), initial: (list) => values(list).slice(0, -1), take: (list, count = 1) => values(list).slice(0, count),
        takeRight: (list, count = 1) => (count ? values(list).slice(-count) : []), drop: (list, count = 1) => values(list).slice(count),
        dropRight: (list, count = 1) => values(list).slice(0, Math.max(0, values(list).length - count)), dropWhile, takeWhile, slice: (list, ...rest) => values(list).slice(...rest),
        concat: (list, ...rest) => [].concat(list, ...rest), join: (list, by = ',') => values(list).join(by), fill: (list, ...rest) => list.fill(...rest), zip,
        unzip: (lists) => zip(...lists), zipObject: (keys, items = []) => Object.fromEntries(keys.map((key, at) => [key, items[at]])),
        each, forEach: each, forOwn: each, forIn: each, map: (of, by) => entries(of).map(([key, item]) => iteratee(by)(item, key, of)),
        flatMap: (of, by) => entries(of).flatMap(([key, item]) => iteratee(by)(item, key)), filter: (of, by) => entries(of).filter(([key, item]) => iteratee(by)(item, key)).map(([, item]) => item),
        reject: (of, by) => entries(of).filter(([key, item]) => !iteratee(by)(item, key)).map(([, item]) => item), find, findLast: (of, by) => values(of).findLast((item) => iteratee(by)(item)),
        findIndex: (list, by) => values(list).findIndex((item) => iteratee(by)(item)), findLastIndex: (list, by) => values(list).findLastIndex((item) => iteratee(by)(item)),
        indexOf: (list, ...rest) => values(list).indexOf(...rest), lastIndexOf: (list, ...rest) => values(list).lastIndexOf(...rest),
        some: (of, by) => entries(of).some(([key, item]) => iteratee(by)(item, key)), every: (of, by) => entries(of).every(([key, item]) => iteratee(by)(item, key)),
        includes: (of, item, at = 0) => (isString(of) ? of.includes(item, at) : values(of).includes(item, at)), reduce,
        reduceRight: (of, call, ...start) => values(of).reduceRight((out, item, at) => call(out, item, at), ...start), size: (of) => (isNil(of) ? 0 : isArrayLike(of) ? of.length : of.size ?? Object.keys(of).length),
        shuffle, sample: (of) => values(of)[Math.floor(Math.random() * values(of).length)], sampleSize: (of, count = 1) => shuffle(of).slice(0, count),
        times: (count, call = identity) => range(count).map((at) => call(at)), invokeMap: (of, name, ...rest) => values(of).map((item) => (isFunction(name) ? name : item[name]).apply(item, rest)),
        max: (list) => extreme((a, b) => a > b)(list), maxBy: extreme((a, b) => a > b), min: (list) => extreme((a, b) => a < b)(list), minBy: extreme((a, b) => a < b),
        sum: (list) => values(list).reduce((sum, item) => sum + item, 0), sumBy, mean: (list) => sumBy(list) / values(list).length, meanBy: (list, by) => sumBy(list, by) / values(list).length,
        pick, pickBy, omit, omitBy, mapValues, mapKeys, merge, mergeWith, assign: Object.assign, extend: Object.assign, assignIn: Object.assign, defaults, defaultsDeep, invert, findKey,
        transform: (of, call, out = isArray(of) ? [] : {}) => (each(of, (item, key) => call(out, item, key)), out), result: (of, path, otherwise) => { const found = get(of, path, otherwise); return isFunction(found) ? found.call(of) : found; },
        memoize, once, debounce, throttle: debounce, delay: (call, wait, ...rest) => setTimeout(call, wait, ...rest), defer: (call, ...rest) => setTimeout(call, 1, ...rest),
        partial: (call, ...first) => (...rest) => call(...first, ...rest), curry: (call) => function curried(...rest) { return rest.length >= call.length ? call(...rest) : (...more) => curried(...rest, ...more); },
        flow: (...calls) => (...rest) => calls.flat().reduce((out, call, at) => (at ? call(out) : call(...out)), rest), negate: (call) => (...rest) => !call(...rest), attempt: (call, ...rest) => { try { return call(...rest); } catch (error) { return error; } },
        uniqueId: ((last) => (before = '') => `${before}${++last}`)(0), now: () => Date.now(), isMatch: (of, by) => iteratee(by)(of), tap: (value, call) => (call(value), value), thru: (value, call) => call(value),
    };
    lodash.toPairsIn = lodash.entries;

    // Chains: each step at once.
    const wrapped = (value) => {
        const chain = { value: () => value, valueOf: () => value, toJSON: () => value };
        for (const [name, call] of Object.entries(lodash)) if (typeof call === 'function' && !has(chain, name)) chain[name] = (...rest) => wrapped(call(value, ...rest));
        return chain;
    };
    const all = Object.assign((value) => wrapped(value), lodash, { chain: wrapped, default: undefined });
    all.default = all;
    module.exports = all;
})
