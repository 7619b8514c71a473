// axios as flows use it. Whatever the answer's status, it is given, as Flowise's own wrapper of axios does.
(function (module, exports, require) {
    'use strict';
    const { fetch, FormData, Blob } = require('fetch');
    const { URLSearchParams } = require('url');
    const { Buffer } = require('buffer');

    const written = (value) => (value instanceof Date ? value.toISOString() : typeof value === 'object' ? JSON.stringify(value) : String(value));
    const plain = (text) =>
        encodeURIComponent(text).replace(/%3A/gi, ':').replace(/%24/g, '$').replace(/%2C/gi, ',').replace(/%20/g, '+');

    function query(params) {
        if (params === undefined || params === null) return '';
        if (params instanceof URLSearchParams) return params.toString();
        const pairs = [];
        for (const [name, value] of Object.entries(params)) {
            if (value === null || value === undefined) continue;
            if (Array.isArray(value)) for (const item of value) pairs.push(`${plain(`${name}[]`)}=${plain(written(item))}`);
            else if (typeof value === 'object' && !(value instanceof Date)) {
                for (const [key, item] of Object.entries(value)) pairs.push(`${plain(`${name}[${key}]`)}=${plain(written(item))}`);
            } else pairs.push(`${plain(name)}=${plain(written(value))}`);
        }
        return pairs.join('&');
    }

    class AxiosError extends Error {
        constructor(message, code, config) {
            super(message);
            Object.assign(this, { code, config, isAxiosError: true });
        }
        get name() {
            return 'AxiosError';
        }
    }

    function merged(...all) {
        const out = {};
        for (const config of all) {
            if (!config) continue;
            const headers = { ...out.headers };
            const flat = { ...config.headers?.common, ...config.headers };
            delete flat.common;
            for (const [name, value] of Object.entries(flat)) {
                const known = Object.keys(headers).find((own) => own.toLowerCase() === name.toLowerCase());
                headers[known ?? name] = value;
            }
            Object.assign(out, config, { headers });
        }
        return out;
    }

    const place = (base, url) => (!base || /^([a-z][a-z\d+.-]*:)?\/\//i.test(url) ? url : `${base.replace(/\/+$/, '')}/${url.replace(/^\/+/, '')}`);

    async function send(config) {
        const headers = {};
        for (const [name, value] of Object.entries(config.headers ?? {})) {
            if (value !== undefined && value !== null && value !== false && typeof value !== 'object') headers[name.toLowerCase()] = value;
        }
        headers.accept ??= 'application/json, text/plain, */*';
        if (config.auth) {
            const { username = '', password = '' } = config.auth;
            headers.authorization = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
        }
        const method = String(config.method ?? 'GET').toUpperCase();
        let body = method === 'GET' || method === 'HEAD' ? undefined : config.data;
        if (body !== undefined && body !== null) {
            const isRaw = body instanceof FormData || body instanceof Blob || body instanceof ArrayBuffer || ArrayBuffer.isView(body);
            if (body instanceof URLSearchParams || typeof body === 'string') headers['content-type'] ??= 'application/x-www-form-urlencoded';
            else if (!isRaw) {
                const isForm = String(headers['content-type']).includes('x-www-form-urlencoded');
                headers['content-type'] ??= 'application/json';
                body = isForm ? query(body) : JSON.stringify(body);
            }
        }
        const text = query(config.params);
        const target = place(config.baseURL, String(config.url ?? ''));
        const url = text ? `${target.split('#')[0]}${target.includes('?') ? '&' : '?'}${text}` : target;
        if (config.responseType === 'stream') throw new AxiosError('Streams are not supported', 'ERR_NOT_SUPPORT', config);
        let answer;
        try {
            answer = await fetch(url, { method, headers, body, timeout: config.timeout, signal: config.signal });
        } catch (error) {
            if (error.type === 'request-timeout') throw new AxiosError(`timeout of ${config.timeout}ms exceeded`, 'ECONNABORTED', config);
            if (error.name === 'AbortError') throw new AxiosError('canceled', 'ERR_CANCELED', config);
            const words = String(error.message).replace(/^request to .* failed, reason: /, '');
            throw new AxiosError(words, error.code ?? 'ERR_NETWORK', config);
        }
        let data;
        if (config.responseType === 'arraybuffer') data = await answer.buffer();
        else if (config.responseType === 'blob') data = await answer.blob();
        else {
            data = await answer.text();
            if (config.responseType !== 'text') {
                try {
                    data = JSON.parse(data);
                } catch {
                    // As it is.
                }
            }
        }
        const head = Object.fromEntries(answer.headers);
        const reply = { data, status: answer.status, statusText: answer.statusText, headers: head, config, request: {} };
        for (const change of [config.transformResponse].flat().filter((own) => typeof own === 'function')) reply.data = change(reply.data, head);
        return reply;
    }

    function instance(defaults) {
        const request = (first, second) => send(merged(own.defaults, typeof first === 'string' ? { ...second, url: first } : first));
        const own = (first, second) => request(first, second);
        own.defaults = merged(defaults);
        own.request = request;
        for (const name of ['get', 'delete', 'head', 'options']) {
            own[name] = (url, config) => request({ ...config, method: name, url });
        }
        for (const name of ['post', 'put', 'patch']) {
            own[name] = (url, data, config) => request({ ...config, method: name, url, data });
        }
        own.create = (config) => instance(merged(own.defaults, config));
        own.getUri = (config) => `${place(config.baseURL, config.url ?? '')}${query(config.params) && `?${query(config.params)}`}`;
        own.isAxiosError = (error) => error?.isAxiosError === true;
        own.all = (all) => Promise.all(all);
        own.spread = (callback) => (list) => callback(...list);
        own.AxiosError = AxiosError;
        own.default = own;
        own.axios = own;
        return own;
    }

    module.exports = instance({});
})
