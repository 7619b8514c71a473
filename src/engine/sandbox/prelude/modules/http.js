// `http` and `https` as flows use them: requests by events and callbacks. An answer comes in one piece.
(function (module, exports, require) {
    'use strict';
    const { fetch, AbortController } = require('fetch');
    const { Buffer } = require('buffer');
    const { URL } = require('url');
    const EventEmitter = require('events');

    class IncomingMessage extends EventEmitter {
        #bytes;
        #encoding;
        #flows = false;
        complete = false;
        httpVersion = '1.1';
        constructor(response, bytes) {
            super();
            this.#bytes = bytes;
            this.statusCode = response.status;
            this.statusMessage = response.statusText;
            this.headers = Object.fromEntries(response.headers);
            this.rawHeaders = Object.entries(this.headers).flat();
        }
        #chunks() {
            const chunk = Buffer.from(this.#bytes);
            return chunk.length ? [this.#encoding ? chunk.toString(this.#encoding) : chunk] : [];
        }
        setEncoding(encoding) {
            this.#encoding = encoding ?? 'utf8';
            return this;
        }
        on(name, callback) {
            super.on(name, callback);
            return name === 'data' ? this.resume() : this;
        }
        // As of Node, once somebody listens, and behind whatever they listen to beside it.
        resume() {
            if (this.#flows) return this;
            this.#flows = true;
            Promise.resolve().then(() => {
                for (const chunk of this.#chunks()) this.emit('data', chunk);
                this.complete = true;
                this.emit('end');
                this.emit('close');
            });
            return this;
        }
        pause() {
            return this;
        }
        destroy() {
            return this;
        }
        async *[Symbol.asyncIterator]() {
            this.#flows = this.complete = true;
            yield* this.#chunks();
        }
    }

    class ClientRequest extends EventEmitter {
        #url;
        #options;
        #headers = new Map();
        #parts = [];
        #isSent = false;
        #abort = new AbortController();
        #timer;
        #gone;
        constructor(scheme, from, options, callback) {
            super();
            const isAddress = typeof from === 'string' || from instanceof URL;
            if (typeof options === 'function') [options, callback] = [undefined, options];
            const own = { ...(isAddress ? undefined : from), ...options };
            this.#url = isAddress && !options?.path && !options?.hostname && !options?.host ? new URL(String(from)).href : place(scheme, from, own);
            this.#options = own;
            for (const [name, value] of Object.entries(own.headers ?? {})) this.setHeader(name, value);
            if (own.auth !== undefined && !this.hasHeader('authorization')) {
                this.setHeader('authorization', `Basic ${Buffer.from(String(own.auth)).toString('base64')}`);
            }
            if (callback) this.once('response', callback);
            if (own.timeout > 0) this.setTimeout(own.timeout);
        }
        setHeader(name, value) {
            this.#headers.set(String(name).toLowerCase(), value);
            return this;
        }
        getHeader(name) {
            return this.#headers.get(String(name).toLowerCase());
        }
        hasHeader(name) {
            return this.#headers.has(String(name).toLowerCase());
        }
        removeHeader(name) {
            this.#headers.delete(String(name).toLowerCase());
        }
        flushHeaders() {}
        setNoDelay() {}
        setSocketKeepAlive() {}
        setTimeout(wait, callback) {
            if (callback) this.once('timeout', callback);
            clearTimeout(this.#timer);
            if (wait > 0) this.#timer = setTimeout(() => this.emit('timeout'), wait);
            return this;
        }
        write(chunk, encoding, callback) {
            if (typeof encoding === 'function') [encoding, callback] = [undefined, encoding];
            this.#parts.push(typeof chunk === 'string' && (encoding ?? 'utf8') !== 'utf8' ? Buffer.from(chunk, encoding) : chunk);
            callback?.();
            return true;
        }
        end(chunk, encoding, callback) {
            if (typeof chunk === 'function') [chunk, callback] = [undefined, chunk];
            if (chunk !== undefined && chunk !== null) this.write(chunk, encoding);
            if (typeof (callback ?? encoding) === 'function') this.once('finish', callback ?? encoding);
            if (!this.#isSent) this.#send();
            this.#isSent = true;
            return this;
        }
        abort() {
            this.destroy();
        }
        destroy(error) {
            this.#gone = error ?? Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' });
            this.#abort.abort(this.#gone);
            return this;
        }
        async #send() {
            const isText = this.#parts.every((part) => typeof part === 'string');
            const whole = isText ? this.#parts.join('') : Buffer.concat(this.#parts.map((part) => Buffer.from(part)));
            const method = String(this.#options.method ?? 'GET').toUpperCase();
            const headers = [...this.#headers].map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : value]);
            const body = whole.length && method !== 'GET' && method !== 'HEAD' ? Buffer.from(whole) : undefined;
            try {
                const { signal } = this.#abort;
                const response = await fetch(this.#url, { method, headers, body, redirect: 'manual', signal });
                const bytes = new Uint8Array(await response.arrayBuffer());
                clearTimeout(this.#timer);
                this.emit('finish');
                const message = new IncomingMessage(response, bytes);
                if (!this.emit('response', message)) message.resume();
            } catch (error) {
                clearTimeout(this.#timer);
                this.emit('error', this.#gone ?? error);
            }
            this.emit('close');
        }
    }

    // An address of its parts, none of which reaches into another: a path is one, whatever a user put into it.
    function place(scheme, from, { protocol, hostname, host, port, path }) {
        const base = typeof from === 'string' || from instanceof URL ? new URL(String(from)) : undefined;
        const kind = String(protocol ?? base?.protocol ?? scheme);
        const name = String(hostname ?? host ?? base?.hostname ?? 'localhost');
        if (!/^https?:$/.test(kind)) throw new TypeError(`Protocol "${kind}" not supported`);
        if (!/^(\[[\da-f:.]+\]|[^\s/?#@\\:[\]%]+)(:\d+)?$/i.test(name)) throw Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), { code: 'ENOTFOUND' });
        const own = String(port ?? base?.port ?? '');
        if (!/^\d*$/.test(own)) throw Object.assign(new RangeError('Port should be >= 0 and < 65536.'), { code: 'ERR_SOCKET_BAD_PORT' });
        const wanted = String(path ?? (base ? base.pathname + base.search : '/'));
        if (/[^\u0021-\u00ff]/.test(wanted)) throw Object.assign(new TypeError('Request path contains unescaped characters'), { code: 'ERR_UNESCAPED_CHARACTERS' });
        const server = /:\d+$/.test(name) || !own ? name : `${name}:${own}`;
        const told = wanted.replace(/#/g, '%23').replace(/\\/g, '%5C');
        return `${kind}//${server}${told.startsWith('/') ? '' : '/'}${told}`;
    }

    class Agent {
        destroy() {}
    }

    function client(scheme) {
        const request = (from, options, callback) => new ClientRequest(scheme, from, options, callback);
        const get = (...rest) => request(...rest).end();
        return { request, get, Agent, globalAgent: new Agent(), ClientRequest, IncomingMessage };
    }
    module.exports = { http: client('http:'), https: client('https:') };
})
