// lodash's functions on texts.
(function (module) {
    'use strict';
    const text = (value) => (value === null || value === undefined ? '' : String(value));
    const plain = (value) => text(value).normalize('NFD').replace(/[\u0300-\u036f]/g, '');
    const words = (value, pattern) => text(value).match(pattern ?? /[A-Z]{2,}(?=[A-Z][a-z]|\b|[^A-Za-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|[^\x00-\x7f\s]+/g) ?? [];
    const named = (value) => words(plain(value).replace(/['\u2019]/g, ''));
    const upperFirst = (value) => text(value).charAt(0).toUpperCase() + text(value).slice(1);
    const capitalize = (value) => upperFirst(text(value).toLowerCase());
    const MARKS = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
    const PLAIN = Object.fromEntries(Object.entries(MARKS).map(([mark, name]) => [name, mark]));
    const repeated = (count, by = ' ') => (count > 0 && by ? by.repeat(Math.ceil(count / by.length)).slice(0, count) : '');
    const escapeRegExp = (value) => text(value).replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
    const trimmed = (start, end) => (value, letters) => {
        const any = letters === undefined ? '\\s' : [...letters].map(escapeRegExp).map((letter) => (letter === '-' ? '\\-' : letter)).join('');
        const pattern = [start && `^[${any}]+`, end && `[${any}]+$`].filter(Boolean).join('|');
        return text(value).replace(new RegExp(pattern, 'g'), '');
    };
    module.exports = {
        words, upperFirst, capitalize, lowerFirst: (value) => text(value).charAt(0).toLowerCase() + text(value).slice(1),
        toLower: (value) => text(value).toLowerCase(), toUpper: (value) => text(value).toUpperCase(),
        camelCase: (value) => named(value).map((word, at) => (at ? capitalize(word) : word.toLowerCase())).join(''),
        kebabCase: (value) => named(value).map((word) => word.toLowerCase()).join('-'), snakeCase: (value) => named(value).map((word) => word.toLowerCase()).join('_'),
        startCase: (value) => named(value).map(upperFirst).join(' '), lowerCase: (value) => named(value).map((word) => word.toLowerCase()).join(' '),
        upperCase: (value) => named(value).map((word) => word.toUpperCase()).join(' '), deburr: plain, escapeRegExp,
        escape: (value) => text(value).replace(/[&<>"']/g, (mark) => MARKS[mark]), unescape: (value) => text(value).replace(/&(?:amp|lt|gt|quot|#39);/g, (name) => PLAIN[name]),
        trim: trimmed(true, true), trimStart: trimmed(true, false), trimEnd: trimmed(false, true), repeat: (value, count = 1) => text(value).repeat(count),
        padStart: (value, length, by) => repeated(length - text(value).length, by) + text(value), padEnd: (value, length, by) => text(value) + repeated(length - text(value).length, by),
        pad: (value, length, by) => { const room = length - text(value).length; return repeated(Math.floor(room / 2), by) + text(value) + repeated(Math.ceil(room / 2), by); },
        startsWith: (value, ...rest) => text(value).startsWith(...rest), endsWith: (value, ...rest) => text(value).endsWith(...rest), split: (value, ...rest) => text(value).split(...rest),
        replace: (value, ...rest) => text(value).replace(...rest), parseInt: (value, base) => Number.parseInt(value, base),
        truncate: (value, { length = 30, omission = '...' } = {}) => (text(value).length <= length ? text(value) : text(value).slice(0, Math.max(0, length - omission.length)) + omission),
    };
})
