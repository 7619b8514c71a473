// pg as flows use it, over the host, which knows what may be reached and changed. Each statement has a transaction of its own.
(function (module, exports, require, host) {
    'use strict';
    const { Buffer } = require('buffer');
    const DATES = [1082, 1114, 1184];
    const BYTES = 17;

    class DatabaseError extends Error {
        get name() {
            return 'error';
        }
    }

    const quoted = (text) => `"${text.replace(/\\/g, '\\\\').replace(/"/g, '\\"')}"`;
    const item = (value) => (Array.isArray(value) ? written(value) : value === null || value === undefined ? 'NULL' : quoted(written(value)));

    // A parameter as a text.
    function written(value) {
        if (value === undefined || value === null) return null;
        if (value instanceof Date) return value.toISOString();
        if (ArrayBuffer.isView(value)) return `\\x${Buffer.from(value).toString('hex')}`;
        if (Array.isArray(value)) return `{${value.map(item).join(',')}}`;
        return typeof value === 'object' ? JSON.stringify(value) : String(value);
    }

    function read(kind, value) {
        if (DATES.includes(kind) && typeof value === 'string') {
            const date = new Date(value);
            return Number.isNaN(date.getTime()) ? value : date;
        }
        return kind === BYTES && value !== null ? Buffer.from(value.data) : value;
    }

    function place(config) {
        if (typeof config === 'string') return { url: config };
        const { connectionString, host, port, user, password, database, ssl } = config ?? {};
        const known = { url: connectionString, host, user, password, database };
        for (const name of Object.keys(known)) known[name] = known[name] === undefined || known[name] === null ? null : String(known[name]);
        return { ...known, port: port === undefined || port === null || port === '' ? null : Number(port), ssl: Boolean(ssl) };
    }

    async function run(where, text, values, mode) {
        let head;
        try {
            ({ head } = await host.ask('postgres', { ...where, statement: String(text), values: (values ?? []).map(written) }));
        } catch (error) {
            throw new DatabaseError(error.message);
        }
        const fields = head.columns.map(([name, dataTypeID]) => ({ name, dataTypeID }));
        const rows = head.rows.map((row) => {
            const own = row.map((value, at) => read(fields[at].dataTypeID, value));
            return mode === 'array' ? own : Object.fromEntries(own.map((value, at) => [fields[at].name, value]));
        });
        const counts = /\d+$/.exec(head.tag);
        return { command: head.tag.split(' ')[0], rowCount: counts ? Number(counts[0]) : null, oid: null, rows, fields };
    }

    // A promise, or a callback that is told.
    function told(promise, callback) {
        if (typeof callback !== 'function') return promise;
        promise.then((value) => callback(null, value), (error) => callback(error));
        return undefined;
    }

    class Client {
        #place;
        constructor(config) {
            this.#place = place(config);
        }
        query(text, values, callback) {
            const given = typeof values === 'function' ? undefined : values;
            const own = typeof text === 'object' && text !== null ? text : { text };
            const done = typeof values === 'function' ? values : callback;
            return told(run(this.#place, own.text, given ?? own.values, own.rowMode), done);
        }
        connect(callback) {
            return told(Promise.resolve(this), callback);
        }
        end(callback) {
            return told(Promise.resolve(), callback);
        }
        release() {}
        on() {
            return this;
        }
    }

    class Pool extends Client {
        totalCount = 0;
        idleCount = 0;
        waitingCount = 0;
    }

    const types = { setTypeParser: () => undefined, builtins: {} };
    module.exports = { Client, Pool, DatabaseError, types, defaults: {} };
    module.exports.default = module.exports;
})
