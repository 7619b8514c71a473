// `fetch` and what belongs to it, over the host's client, which knows what may be reached.
(function (module, exports, require, host) {
    'use strict';
    const { encode, decode, letters, view } = require('text');
    const { URL, URLSearchParams } = require('url');

    class Headers {
        #fields = new Map();
        constructor(from) {
            if (from === undefined || from === null) return;
            const pairs = from instanceof Headers || Array.isArray(from) ? from : Object.entries(from.raw?.() ?? from);
            for (const [name, value] of pairs) this.append(name, Array.isArray(value) ? value.join(', ') : value);
        }
        append(name, value) {
            const key = String(name).toLowerCase();
            if (!/^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(key)) throw new TypeError(`${name} is not a legal HTTP header name`);
            const text = String(value).trim();
            if (/[\r\n\0]/.test(text)) throw new TypeError(`${value} is not a legal HTTP header value`);
            this.#fields.set(key, this.#fields.has(key) ? `${this.#fields.get(key)}, ${text}` : text);
        }
        set(name, value) {
            this.delete(name);
            this.append(name, value);
        }
        get(name) {
            return this.#fields.get(String(name).toLowerCase()) ?? null;
        }
        has(name) {
            return this.#fields.has(String(name).toLowerCase());
        }
        delete(name) {
            this.#fields.delete(String(name).toLowerCase());
        }
        forEach(callback, self) {
            for (const [name, value] of this.#fields) callback.call(self, value, name, this);
        }
        raw() {
            return Object.fromEntries([...this.#fields].map(([name, value]) => [name, [value]]));
        }
        keys() {
            return this.#fields.keys();
        }
        values() {
            return this.#fields.values();
        }
        entries() {
            return this.#fields.entries();
        }
        [Symbol.iterator]() {
            return this.#fields.entries();
        }
    }

    class Blob {
        constructor(parts = [], { type = '' } = {}) {
            const pieces = parts.map((part) => (part instanceof Blob ? part.bytes_ : typeof part === 'string' ? encode(part) : view(part)));
            this.bytes_ = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
            let at = 0;
            for (const piece of pieces) {
                this.bytes_.set(piece, at);
                at += piece.length;
            }
            this.type = type;
            this.size = this.bytes_.length;
        }
        async text() {
            return decode(this.bytes_);
        }
        async arrayBuffer() {
            return this.bytes_.slice().buffer;
        }
    }

    class FormData {
        #list = [];
        append(name, value, file) {
            const named = typeof file === 'string' ? file : file?.filename;
            this.#list.push({ name: String(name), value, file: named, type: file?.contentType });
        }
        set(name, value, file) {
            this.delete(name);
            this.append(name, value, file);
        }
        get(name) {
            return this.#list.find((field) => field.name === name)?.value ?? null;
        }
        has(name) {
            return this.#list.some((field) => field.name === name);
        }
        delete(name) {
            this.#list = this.#list.filter((field) => field.name !== name);
        }
        *entries() {
            for (const { name, value } of this.#list) yield [name, value];
        }
        [Symbol.iterator]() {
            return this.entries();
        }
        getBoundary() {
            this.boundary_ ??= `--------------------------${host.random(12)}`;
            return this.boundary_;
        }
        getHeaders(more = {}) {
            return { ...more, 'content-type': `multipart/form-data; boundary=${this.getBoundary()}` };
        }
        // As letters up to U+00FF.
        letters_() {
            const quoted = (text) => letters(encode(String(text).replace(/"/g, '%22').replace(/\r?\n/g, ' ')));
            const lines = [];
            for (const { name, value, file, type } of this.#list) {
                const isFile = file !== undefined || (typeof value === 'object' && value !== null);
                const bytes = value instanceof Blob ? value.bytes_ : isFile ? view(value) : encode(value);
                const named = isFile ? `; filename="${quoted(file ?? value.name ?? 'blob')}"` : '';
                const kind = isFile ? `\r\nContent-Type: ${quoted(type ?? (value.type || 'application/octet-stream'))}` : '';
                lines.push(`--${this.getBoundary()}\r\nContent-Disposition: form-data; name="${quoted(name)}"${named}${kind}\r\n\r\n${letters(bytes)}\r\n`);
            }
            return `${lines.join('')}--${this.getBoundary()}--\r\n`;
        }
    }

    class AbortSignal {
        aborted = false;
        reason = undefined;
        #heard = [];
        addEventListener(name, callback) {
            if (name === 'abort') this.#heard.push(callback);
        }
        removeEventListener(name, callback) {
            this.#heard = this.#heard.filter((known) => known !== callback);
        }
        throwIfAborted() {
            if (this.aborted) throw this.reason;
        }
        abort_(reason) {
            if (this.aborted) return;
            this.aborted = true;
            this.reason = reason;
            for (const callback of this.#heard) callback({ type: 'abort', target: this });
            this.onabort?.({ type: 'abort', target: this });
        }
        static timeout(wait) {
            const signal = new AbortSignal();
            setTimeout(() => signal.abort_(aborted('TimeoutError', 'The operation was aborted due to timeout')), wait);
            return signal;
        }
        static abort(reason) {
            const signal = new AbortSignal();
            signal.abort_(reason ?? aborted());
            return signal;
        }
    }

    function aborted(name = 'AbortError', words = 'The user aborted a request.') {
        const error = new Error(words);
        error.name = name;
        error.type = 'aborted';
        return error;
    }

    class AbortController {
        signal = new AbortSignal();
        abort(reason) {
            this.signal.abort_(reason ?? aborted());
        }
    }

    // What is sent, whether it is bytes, and what it is if nobody says so.
    function sent(body) {
        if (body === undefined || body === null) return [undefined, false, undefined];
        if (typeof body === 'string') return [body, false, 'text/plain;charset=UTF-8'];
        if (body instanceof URLSearchParams) return [body.toString(), false, 'application/x-www-form-urlencoded;charset=UTF-8'];
        if (body instanceof FormData) return [body.letters_(), true, body.getHeaders()['content-type']];
        if (body instanceof Blob) return [letters(body.bytes_), true, body.type || undefined];
        if (body instanceof ArrayBuffer || ArrayBuffer.isView(body)) return [letters(view(body)), true, undefined];
        return [String(body), false, 'text/plain;charset=UTF-8'];
    }

    class Body {
        bodyUsed = false;
        constructor(bytes) {
            this.bytes_ = bytes;
        }
        #take() {
            if (this.bodyUsed) throw new TypeError(`body used already for: ${this.url ?? ''}`);
            this.bodyUsed = true;
            return this.bytes_;
        }
        async text() {
            return decode(this.#take());
        }
        async json() {
            const text = decode(this.#take());
            try {
                return JSON.parse(text);
            } catch (error) {
                const told = new Error(`invalid json response body at ${this.url} reason: ${error.message}`);
                told.name = 'FetchError';
                told.type = 'invalid-json';
                throw told;
            }
        }
        async arrayBuffer() {
            return this.#take().slice().buffer;
        }
        async buffer() {
            return require('buffer').Buffer.from(this.#take());
        }
        async blob() {
            return new Blob([this.#take()], { type: this.headers.get('content-type') ?? '' });
        }
    }

    class Request extends Body {
        constructor(from, options = {}) {
            const given = from instanceof Request ? from : {};
            const [body, isBinary, kind] = options.body === undefined ? (given.sent_ ?? sent()) : sent(options.body);
            super(encode(body ?? ''));
            this.url = new URL(from instanceof Request ? from.url : (from?.href ?? String(from))).href;
            this.method = String(options.method ?? given.method ?? 'GET').toUpperCase();
            this.headers = new Headers(options.headers ?? given.headers);
            if (kind !== undefined && !this.headers.has('content-type')) this.headers.set('content-type', kind);
            this.redirect = options.redirect ?? given.redirect ?? 'follow';
            this.signal = options.signal ?? given.signal;
            this.timeout_ = options.timeout;
            this.sent_ = [body, isBinary, undefined];
        }
    }

    class Response extends Body {
        constructor(body, { status = 200, statusText = '', headers, url = '', redirected = false } = {}) {
            const [given, isBinary] = sent(body);
            super(body instanceof Uint8Array ? body : isBinary ? view(body) : encode(given ?? ''));
            this.status = status;
            this.statusText = statusText;
            this.headers = new Headers(headers);
            this.url = url;
            this.redirected = redirected;
            this.ok = status >= 200 && status < 300;
            this.type = 'basic';
        }
        clone() {
            const { status, statusText, headers, url, redirected } = this;
            return new Response(this.bytes_, { status, statusText, headers, url, redirected });
        }
    }

    async function fetch(from, options = {}) {
        const request = new Request(from, options);
        const { url, method, headers, redirect, signal } = request;
        const [body, isBinary] = request.sent_;
        if (body !== undefined && (method === 'GET' || method === 'HEAD')) {
            throw new TypeError('Request with GET/HEAD method cannot have body');
        }
        signal?.throwIfAborted?.();
        const asked = host.ask('fetch', { url, method, headers: [...headers], redirect }, body, isBinary);
        const ways = [asked];
        if (signal) ways.push(new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))));
        let timer;
        if (request.timeout_ > 0) {
            ways.push(new Promise((_, reject) => {
                timer = setTimeout(() => {
                    const error = new Error(`network timeout at: ${url}`);
                    error.name = 'FetchError';
                    error.type = 'request-timeout';
                    reject(error);
                }, request.timeout_);
            }));
        }
        try {
            const { head, bytes } = await Promise.race(ways);
            return new Response(new Uint8Array(bytes), head);
        } catch (error) {
            if (error.name !== 'Error') throw error;
            const told = new Error(`request to ${url} failed, reason: ${error.message}`);
            told.name = 'FetchError';
            told.type = 'system';
            const code = /\b(E[A-Z]{4,})\b/.exec(error.message);
            if (code) told.code = told.errno = code[1];
            throw told;
        } finally {
            clearTimeout(timer);
        }
    }

    module.exports = { fetch, Headers, Request, Response, FormData, Blob, AbortController, AbortSignal };
})
