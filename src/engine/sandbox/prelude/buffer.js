// Node's Buffer, as far as texts and encodings go.
(function (module, exports, require) {
    'use strict';
    const { encode, decode, letters, bytesOf, view, toBase64, fromBase64, toHex, fromHex } = require('text');

    const name = (encoding) => String(encoding ?? 'utf8').toLowerCase().replace('-', '').replace('utf16le', 'ucs2');

    function bytes(text, encoding) {
        switch (name(encoding)) {
            case 'utf8': return encode(text);
            case 'hex': return fromHex(text);
            case 'base64': case 'base64url': return fromBase64(text);
            case 'latin1': case 'binary': case 'ascii': return bytesOf(text);
            case 'ucs2': {
                const out = new Uint8Array(text.length * 2);
                for (let at = 0; at < text.length; at++) {
                    out[at * 2] = text.charCodeAt(at) & 255;
                    out[at * 2 + 1] = text.charCodeAt(at) >> 8;
                }
                return out;
            }
            default: throw new TypeError(`Unknown encoding: ${encoding}`);
        }
    }

    class Buffer extends Uint8Array {
        static from(value, encoding, length) {
            if (typeof value === 'string') return Buffer.of_(bytes(value, encoding));
            if (value instanceof ArrayBuffer) return new Buffer(value, encoding ?? 0, length ?? value.byteLength - (encoding ?? 0));
            if (value && value.type === 'Buffer' && Array.isArray(value.data)) return Buffer.from(value.data);
            if (ArrayBuffer.isView(value) || Array.isArray(value)) {
                const made = new Buffer(value.length);
                made.set(value);
                return made;
            }
            throw new TypeError('The first argument must be of type string or an instance of Buffer, ArrayBuffer, or Array.');
        }
        static of_(given) {
            return new Buffer(given.buffer, given.byteOffset, given.byteLength);
        }
        static alloc(size, fill) {
            const made = new Buffer(size);
            return fill === undefined ? made : made.fill(fill);
        }
        static allocUnsafe(size) {
            return new Buffer(size);
        }
        static isBuffer(value) {
            return value instanceof Buffer;
        }
        static isEncoding(encoding) {
            return ['utf8', 'hex', 'base64', 'base64url', 'latin1', 'binary', 'ascii', 'ucs2'].includes(name(encoding));
        }
        static byteLength(value, encoding) {
            return typeof value === 'string' ? bytes(value, encoding).length : value.byteLength;
        }
        static concat(list, total) {
            const made = new Buffer(total ?? list.reduce((sum, item) => sum + item.length, 0));
            let at = 0;
            for (const item of list) {
                made.set(item.subarray(0, made.length - at), at);
                at += item.length;
            }
            return made;
        }
        static compare(one, other) {
            return Buffer.from(one).compare(other);
        }
        toString(encoding, start = 0, end = this.length) {
            const part = this.subarray(start, end);
            switch (name(encoding)) {
                case 'utf8': return decode(part);
                case 'hex': return toHex(part);
                case 'base64': return toBase64(part, false);
                case 'base64url': return toBase64(part, true);
                case 'latin1': case 'binary': return letters(part);
                case 'ascii': return letters(part.map((byte) => byte & 127));
                case 'ucs2': {
                    let text = '';
                    for (let at = 0; at + 1 < part.length; at += 2) text += String.fromCharCode(part[at] | (part[at + 1] << 8));
                    return text;
                }
                default: throw new TypeError(`Unknown encoding: ${encoding}`);
            }
        }
        toJSON() {
            return { type: 'Buffer', data: Array.from(this) };
        }
        slice(start, end) {
            return this.subarray(start, end);
        }
        equals(other) {
            return this.compare(other) === 0;
        }
        compare(other) {
            const length = Math.min(this.length, other.length);
            for (let at = 0; at < length; at++) if (this[at] !== other[at]) return this[at] < other[at] ? -1 : 1;
            return Math.sign(this.length - other.length);
        }
        write(text, at = 0) {
            const given = encode(text).subarray(0, this.length - at);
            this.set(given, at);
            return given.length;
        }
        copy(target, at = 0, start = 0, end = this.length) {
            const part = this.subarray(start, Math.min(end, start + target.length - at));
            target.set(part, at);
            return part.length;
        }
        fill(value, start, end) {
            if (typeof value !== 'string') return super.fill(value, start, end);
            const pattern = encode(value);
            for (let at = start ?? 0; at < (end ?? this.length); at++) this[at] = pattern[(at - (start ?? 0)) % pattern.length];
            return this;
        }
        readUInt8(at = 0) {
            return this[at];
        }
        readUInt16BE(at = 0) {
            return (this[at] << 8) | this[at + 1];
        }
        readUInt16LE(at = 0) {
            return this[at] | (this[at + 1] << 8);
        }
        readUInt32BE(at = 0) {
            return ((this[at] << 24) | (this[at + 1] << 16) | (this[at + 2] << 8) | this[at + 3]) >>> 0;
        }
        readUInt32LE(at = 0) {
            return ((this[at + 3] << 24) | (this[at + 2] << 16) | (this[at + 1] << 8) | this[at]) >>> 0;
        }
    }

    const atob = (text) => letters(fromBase64(String(text)));
    const btoa = (text) => {
        const given = String(text);
        for (let at = 0; at < given.length; at++) {
            if (given.charCodeAt(at) > 255) throw new Error('Invalid character');
        }
        return toBase64(bytesOf(given), false);
    };

    module.exports = { Buffer, atob, btoa };
})
