// UTF-8, base64 and hexadecimal digits. Bytes go to the host, and come from it, as texts of letters up to U+00FF.
(function (module, exports, require, host) {
    'use strict';
    const PIECE = 8192;

    function letters(bytes) {
        const pieces = [];
        for (let at = 0; at < bytes.length; at += PIECE) {
            pieces.push(String.fromCharCode.apply(null, bytes.subarray(at, at + PIECE)));
        }
        return pieces.join('');
    }

    function bytesOf(text) {
        const bytes = new Uint8Array(text.length);
        for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
        return bytes;
    }

    // Any view or buffer as bytes, without a copy.
    function view(value) {
        if (value instanceof Uint8Array) return value;
        if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
        if (value instanceof ArrayBuffer) return new Uint8Array(value);
        throw new TypeError('The argument must be an ArrayBuffer or a view of one.');
    }

    const encode = (text) => new Uint8Array(host.encode(String(text).toWellFormed()));
    const decode = (bytes) => host.decode(letters(bytes));

    const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
    const VALUES = new Map([...DIGITS].map((digit, at) => [digit, at]));
    VALUES.set('-', 62).set('_', 63);

    function toBase64(bytes, isUrl) {
        const pieces = [];
        for (let at = 0; at < bytes.length; at += 3) {
            const [a, b, c] = [bytes[at], bytes[at + 1], bytes[at + 2]];
            const word = (a << 16) | ((b ?? 0) << 8) | (c ?? 0);
            const last = (shift, is) => (is === undefined ? (isUrl ? '' : '=') : DIGITS[(word >> shift) & 63]);
            pieces.push(DIGITS[word >> 18] + DIGITS[(word >> 12) & 63] + last(6, b) + last(0, c));
        }
        const text = pieces.join('');
        return isUrl ? text.replace(/\+/g, '-').replace(/\//g, '_') : text;
    }

    // Leniently, as Node does: what is no digit is passed over, the padding ends it.
    function fromBase64(text) {
        const out = [];
        let [word, bits] = [0, 0];
        for (const letter of text) {
            if (letter === '=') break;
            const value = VALUES.get(letter);
            if (value === undefined) continue;
            word = ((word << 6) | value) & 0xffffff;
            bits += 6;
            if (bits >= 8) {
                bits -= 8;
                out.push((word >> bits) & 255);
            }
        }
        return Uint8Array.from(out);
    }

    const toHex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

    function fromHex(text) {
        const out = [];
        for (let at = 0; at + 1 < text.length; at += 2) {
            const byte = Number.parseInt(text.slice(at, at + 2), 16);
            if (Number.isNaN(byte)) break;
            out.push(byte);
        }
        return Uint8Array.from(out);
    }

    class TextEncoder {
        get encoding() {
            return 'utf-8';
        }
        encode(text = '') {
            return encode(text);
        }
    }

    class TextDecoder {
        constructor(label = 'utf-8') {
            const name = String(label).toLowerCase();
            if (!['utf-8', 'utf8', 'ascii', 'latin1', 'iso-8859-1'].includes(name)) {
                throw new RangeError(`The "${label}" encoding is not supported`);
            }
            this.encoding = name.startsWith('utf') ? 'utf-8' : 'iso-8859-1';
        }
        decode(bytes = new Uint8Array(0)) {
            const given = view(bytes);
            const text = this.encoding === 'utf-8' ? decode(given) : letters(given);
            return text.startsWith('\ufeff') ? text.slice(1) : text;
        }
    }

    module.exports = {
        TextEncoder, TextDecoder, encode, decode, letters, bytesOf, view, toBase64, fromBase64, toHex, fromHex,
    };
})
