// lodash's questions about values, and copies of them.
(function (module, exports, require) {
    'use strict';
    const clone = require('clone');
    const isArray = Array.isArray;
    const isNil = (value) => value === null || value === undefined;
    const isFunction = (value) => typeof value === 'function';
    const isString = (value) => typeof value === 'string' || value instanceof String;
    const isObject = (value) => value !== null && (typeof value === 'object' || typeof value === 'function');
    const isArrayLike = (value) => !isNil(value) && typeof value !== 'function' && Number.isInteger(value.length) && value.length >= 0;
    const isPlainObject = (value) => {
        if (value === null || typeof value !== 'object') return false;
        const prototype = Object.getPrototypeOf(value);
        return prototype === null || prototype === Object.prototype;
    };
    const isEqual = (one, other, known = new Map()) => {
        if (Object.is(one, other) || (one === 0 && other === 0)) return true;
        if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return false;
        if (Object.getPrototypeOf(one) !== Object.getPrototypeOf(other)) return false;
        if (known.get(one) === other) return true;
        known.set(one, other);
        if (one instanceof Date) return one.getTime() === other.getTime();
        if (one instanceof RegExp) return String(one) === String(other);
        if (one instanceof Map || one instanceof Set) return one.size === other.size && isEqual([...one], [...other], known);
        const keys = Object.keys(one);
        return keys.length === Object.keys(other).length && keys.every((key) => Object.hasOwn(other, key) && isEqual(one[key], other[key], known));
    };
    const isEmpty = (value) => {
        if (isNil(value) || typeof value === 'number' || typeof value === 'boolean') return true;
        if (isArrayLike(value)) return value.length === 0;
        if (value instanceof Map || value instanceof Set) return value.size === 0;
        return Object.keys(value).length === 0;
    };
    const shallow = (value) => (isArray(value) ? [...value] : isPlainObject(value) ? { ...value } : isObject(value) ? cloneDeep(value) : value);
    const cloneDeep = (value) => {
        const copy = (of, known) => {
            if (typeof of === 'function') return of;
            if (isPlainObject(of) || isArray(of)) {
                if (known.has(of)) return known.get(of);
                const out = isArray(of) ? [] : {};
                known.set(of, out);
                for (const [key, item] of Object.entries(of)) out[key] = copy(item, known);
                return out;
            }
            return isObject(of) ? clone(of) : of;
        };
        return copy(value, new Map());
    };
    const isNumber = (value) => typeof value === 'number' || value instanceof Number;
    const toNumber = (value) => (typeof value === 'symbol' ? NaN : Number(value));
    const toFinite = (value) => {
        const number = toNumber(value);
        return Number.isNaN(number) ? 0 : Math.max(-Number.MAX_VALUE, Math.min(Number.MAX_VALUE, number));
    };
    const clamp = (number, low, high) => (high === undefined ? Math.min(number, low) : Math.min(Math.max(number, low), high));
    const places = (way) => (number, digits = 0) => {
        const [base, power = 0] = String(number).split('e');
        const [moved, moves = 0] = String(Math[way](Number(`${base}e${Number(power) + digits}`))).split('e');
        return Number(`${moved}e${Number(moves) - digits}`);
    };
    module.exports = {
        isArray, isNil, isFunction, isString, isObject, isArrayLike, isPlainObject, isEqual, isEmpty, isNumber, cloneDeep, clone: shallow,
        isObjectLike: (value) => value !== null && typeof value === 'object', isArrayLikeObject: (value) => typeof value === 'object' && isArrayLike(value),
        isNull: (value) => value === null, isUndefined: (value) => value === undefined, isBoolean: (value) => typeof value === 'boolean', isDate: (value) => value instanceof Date,
        isRegExp: (value) => value instanceof RegExp, isError: (value) => value instanceof Error, isMap: (value) => value instanceof Map, isSet: (value) => value instanceof Set,
        isSymbol: (value) => typeof value === 'symbol', isNaN: (value) => isNumber(value) && Number.isNaN(Number(value)), isFinite: Number.isFinite, isInteger: Number.isInteger,
        isSafeInteger: Number.isSafeInteger, eq: (one, other) => Object.is(one, other) || one === other, gt: (one, other) => one > other, gte: (one, other) => one >= other,
        lt: (one, other) => one < other, lte: (one, other) => one <= other, toNumber, toFinite, toInteger: (value) => Math.trunc(toFinite(value)), castArray: (...rest) => (rest.length ? (isArray(rest[0]) ? rest[0] : [rest[0]]) : []),
        toString: (value) => (isNil(value) ? '' : isArray(value) ? value.join() : String(value)), toArray: (of) => (isNil(of) ? [] : isString(of) ? [...of] : isArrayLike(of) ? Array.from(of) : Object.values(of)),
        clamp, inRange: (number, low, high) => (high === undefined ? number >= 0 && number < low : number >= low && number < high), round: places('round'), ceil: places('ceil'), floor: places('floor'),
        random: (low = 1, high, isFloat) => { const [from, to] = high === undefined ? [0, low] : [low, high]; return isFloat || !Number.isInteger(from) || !Number.isInteger(to) ? from + Math.random() * (to - from) : from + Math.floor(Math.random() * (to - from + 1)); },
        add: (one, other) => one + other, subtract: (one, other) => one - other, multiply: (one, other) => one * other, divide: (one, other) => one / other, defaultTo: (value, otherwise) => (isNil(value) || Number.isNaN(value) ? otherwise : value),
    };
})
