// URL and URLSearchParams, for addresses of the web.
(function (module) {
    'use strict';
    const PORTS = { 'http:': '80', 'https:': '443', 'ws:': '80', 'wss:': '443', 'ftp:': '21' };
    const decode = (text) => {
        const spaced = text.replace(/\+/g, ' ');
        try {
            return decodeURIComponent(spaced);
        } catch {
            return spaced;
        }
    };
    const encode = (text) =>
        encodeURIComponent(String(text).toWellFormed())
            .replace(/[!'()~]/g, (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`)
            .replace(/%20/g, '+');

    class URLSearchParams {
        #list = [];
        #changed = () => undefined;
        constructor(from = '', changed) {
            if (changed) this.#changed = changed;
            if (typeof from === 'string') {
                for (const part of from.replace(/^\?/, '').split('&').filter(Boolean)) {
                    const end = part.indexOf('=');
                    const [name, value] = end < 0 ? [part, ''] : [part.slice(0, end), part.slice(end + 1)];
                    this.#list.push([decode(name), decode(value)]);
                }
            } else if (from !== null && typeof from === 'object') {
                const pairs = typeof from[Symbol.iterator] === 'function' ? from : Object.entries(from);
                for (const [name, value] of pairs) this.#list.push([String(name), String(value)]);
            }
        }
        append(name, value) {
            this.#list.push([String(name), String(value)]);
            this.#changed();
        }
        delete(name) {
            this.#list = this.#list.filter(([own]) => own !== name);
            this.#changed();
        }
        get(name) {
            return this.#list.find(([own]) => own === name)?.[1] ?? null;
        }
        getAll(name) {
            return this.#list.filter(([own]) => own === name).map(([, value]) => value);
        }
        has(name) {
            return this.#list.some(([own]) => own === name);
        }
        set(name, value) {
            const at = this.#list.findIndex(([own]) => own === name);
            if (at < 0) return this.append(name, value);
            this.#list[at] = [String(name), String(value)];
            this.#list = this.#list.filter(([own], place) => place <= at || own !== name);
            this.#changed();
        }
        sort() {
            this.#list.sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0));
            this.#changed();
        }
        get size() {
            return this.#list.length;
        }
        forEach(callback, self) {
            for (const [name, value] of this.#list) callback.call(self, value, name, this);
        }
        *keys() {
            for (const [name] of this.#list) yield name;
        }
        *values() {
            for (const [, value] of this.#list) yield value;
        }
        *entries() {
            for (const [name, value] of this.#list) yield [name, value];
        }
        [Symbol.iterator]() {
            return this.entries();
        }
        toString() {
            return this.#list.map(([name, value]) => `${encode(name)}=${encode(value)}`).join('&');
        }
    }

    // Without `.` and `..`.
    function settled(path) {
        const out = [];
        const steps = path.split('/');
        steps.forEach((step, at) => {
            const plain = step.replace(/%2e/gi, '.');
            if (plain === '..') {
                if (out.length > 1) out.pop();
                if (at === steps.length - 1) out.push('');
            } else if (plain !== '.') out.push(step);
            else if (at === steps.length - 1) out.push('');
        });
        return out.join('/') || '/';
    }

    const escaped = (text, unsafe) =>
        text.toWellFormed().replace(unsafe, (letter) => encodeURIComponent(letter).replace("'", '%27'));

    const HOST = /^(\[[\da-f:.]+\]|[^\s/?#@\\:[\]<>^|%]*)$/i;

    // Whatever is set stays in its part: an address is put together of them.
    class URL {
        #protocol;
        #username = '';
        #password = '';
        #hostname = '';
        #port = '';
        #pathname = '/';
        #search = '';
        #hash = '';
        #query;
        constructor(url, base) {
            const text = String(url).trim().replace(/[\t\r\n]/g, '');
            const whole = /^([a-z][a-z0-9+.-]*:)\/\/(?:([^/?#@]*)@)?(\[[^\]]*\]|[^/?#:]*)(?::([^/?#]*))?(\/[^?#]*)?(\?[^#]*)?(#.*)?$/is;
            const found = whole.exec(text.replace(/^([a-z][a-z0-9+.-]*:)[\\/]+/i, '$1//').replace(/\\/g, '/'));
            if (!found || !found[3]) {
                if (base === undefined) throw this.#invalid(text);
                const from = new URL(base);
                if (text.startsWith('//')) return new URL(from.protocol + text);
                const [, path, query, hash] = /^([^?#]*)(\?[^#]*)?(#.*)?$/s.exec(text);
                if (/^[a-z][a-z0-9+.-]*:/i.test(path)) throw this.#invalid(text);
                const folder = from.pathname.slice(0, from.pathname.lastIndexOf('/') + 1);
                const target = path === '' ? from.pathname : path.startsWith('/') ? path : folder + path;
                const kept = query ?? (path === '' ? from.search : '');
                return new URL(`${from.protocol}//${from.#user()}${from.host}${target}${kept}${hash ?? ''}`);
            }
            const [, protocol, user = '', host, port = '', path, query = '', hash = ''] = found;
            this.#protocol = protocol.toLowerCase();
            const colon = user.indexOf(':');
            this.username = colon < 0 ? user : user.slice(0, colon);
            this.password = colon < 0 ? '' : user.slice(colon + 1);
            if (!HOST.test(host) || !/^\d*$/.test(port) || Number(port) > 65535) throw this.#invalid(text);
            this.hostname = host;
            this.port = port;
            this.pathname = path ?? '/';
            this.hash = hash;
            this.search = query;
        }
        #invalid(text) {
            const error = new TypeError('Invalid URL');
            error.code = 'ERR_INVALID_URL';
            error.input = text;
            return error;
        }
        #user() {
            if (!this.#username && !this.#password) return '';
            return `${this.#username}${this.#password ? `:${this.#password}` : ''}@`;
        }
        get protocol() {
            return this.#protocol;
        }
        set protocol(text) {
            const found = /^([a-z][a-z0-9+.-]*)(:|$)/i.exec(String(text));
            if (found) this.#protocol = `${found[1].toLowerCase()}:`;
        }
        get username() {
            return this.#username;
        }
        set username(text) {
            this.#username = escaped(String(text), /[/?#@:\\[\]]/g);
        }
        get password() {
            return this.#password;
        }
        set password(text) {
            this.#password = escaped(String(text), /[/?#@:\\[\]]/g);
        }
        get hostname() {
            return this.#hostname;
        }
        set hostname(text) {
            const host = /^[^/?#\\]*/.exec(String(text))[0];
            if (host && HOST.test(host)) this.#hostname = host.toLowerCase();
        }
        get port() {
            return this.#port;
        }
        set port(text) {
            const port = /^\d*/.exec(String(text))[0].replace(/^0+(?=\d)/, '');
            if ((port || String(text) === '') && Number(port) <= 65535) this.#port = port === PORTS[this.#protocol] ? '' : port;
        }
        get pathname() {
            return this.#pathname;
        }
        set pathname(text) {
            const path = String(text).replace(/\\/g, '/').replace(/^(?!\/)/, '/');
            this.#pathname = settled(escaped(path, /[^\x21\x24-\x3b\x3d\x40-\x5f\x61-\x7a\x7c\x7e%]/gu));
        }
        get hash() {
            return this.#hash;
        }
        set hash(text) {
            const hash = String(text).replace(/^#/, '');
            this.#hash = hash ? `#${escaped(hash, /[^\x21\x23-\x3b\x3d\x3f-\x5f\x61-\x7e]/gu)}` : '';
        }
        get search() {
            return this.#search;
        }
        set search(text) {
            const given = String(text).replace(/^\?/, '');
            this.#search = given ? `?${escaped(given, /[^\x21\x24-\x26\x28-\x3b\x3d\x3f-\x7e]/gu)}` : '';
            this.#query = undefined;
        }
        get searchParams() {
            this.#query ??= new URLSearchParams(this.#search, () => {
                const text = this.#query.toString();
                this.#search = text ? `?${text}` : '';
            });
            return this.#query;
        }
        get host() {
            return this.#port ? `${this.#hostname}:${this.#port}` : this.#hostname;
        }
        set host(text) {
            const [, host, port] = /^(\[[^\]]*\]|[^/?#\\:]*)(?::(\d+))?/.exec(String(text));
            this.hostname = host;
            if (port) this.port = port;
        }
        get origin() {
            return this.#protocol in PORTS ? `${this.#protocol}//${this.host}` : 'null';
        }
        get href() {
            return `${this.#protocol}//${this.#user()}${this.host}${this.#pathname}${this.#search}${this.#hash}`;
        }
        toString() {
            return this.href;
        }
        toJSON() {
            return this.href;
        }
        static canParse(url, base) {
            try {
                return Boolean(new URL(url, base));
            } catch {
                return false;
            }
        }
    }

    // Node's older one.
    const parse = (text, asObject) => {
        const { protocol, host, hostname, port, pathname, search, hash, href } = new URL(text);
        const query = asObject ? Object.fromEntries(new URLSearchParams(search)) : search.slice(1);
        return { protocol, host, hostname, port: port || null, pathname, search, hash, href, query, path: pathname + search };
    };
    module.exports = { URL, URLSearchParams, parse, format: (url) => String(url.href ?? url), resolve: (from, to) => new URL(to, from).href };
})
