// Digests, random values and comparisons of Node's `crypto`; nothing that encrypts.
(function (module, exports, require, host) {
    'use strict';
    const { encode, letters, view, bytesOf } = require('text');
    const { Buffer } = require('buffer');
    const given = (value, encoding) => letters(typeof value === 'string' ? (encoding ? Buffer.from(value, encoding) : encode(value)) : view(value));

    class Hash {
        #parts = [];
        #name;
        #key;
        constructor(name, key) {
            this.#name = String(name).toLowerCase().replace(/-/g, '');
            this.#key = key === undefined ? null : given(key);
            host.digest(this.#name, this.#key, '');
        }
        update(value, encoding) {
            this.#parts.push(given(value, encoding));
            return this;
        }
        digest(encoding) {
            const bytes = Buffer.of_(bytesOf(host.digest(this.#name, this.#key, this.#parts.join(''))));
            return encoding === undefined || encoding === 'buffer' ? bytes : bytes.toString(encoding);
        }
    }

    const randomBytes = (size) => Buffer.from(host.random(size), 'hex');
    function randomUUID() {
        const bytes = randomBytes(16);
        bytes[6] = (bytes[6] & 15) | 64;
        bytes[8] = (bytes[8] & 63) | 128;
        const text = bytes.toString('hex');
        return [text.slice(0, 8), text.slice(8, 12), text.slice(12, 16), text.slice(16, 20), text.slice(20)].join('-');
    }
    function randomInt(low, high) {
        const [from, to] = high === undefined ? [0, low] : [low, high];
        if (!(to > from)) throw new RangeError('The value of "max" is out of range.');
        return from + Math.floor(((randomBytes(6).reduce((sum, byte) => sum * 256 + byte, 0)) / 2 ** 48) * (to - from));
    }
    function timingSafeEqual(one, other) {
        if (one.length !== other.length) throw new RangeError('Input buffers must have the same byte length');
        return view(one).reduce((all, byte, at) => all | (byte ^ view(other)[at]), 0) === 0;
    }
    const getRandomValues = (into) => {
        view(into).set(randomBytes(into.byteLength));
        return into;
    };
    const subtle = {
        digest: async (name, value) => {
            const bytes = new Hash(name.name ?? name).update(view(value)).digest();
            return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
        },
    };
    const webcrypto = { randomUUID, getRandomValues, subtle };
    module.exports = {
        createHash: (name) => new Hash(name),
        createHmac: (name, key) => new Hash(name, key),
        getHashes: () => ['md5', 'sha1', 'sha256', 'sha384', 'sha512'],
        randomBytes, randomUUID, randomInt, timingSafeEqual, getRandomValues, subtle, webcrypto, crypto: webcrypto,
    };
})
