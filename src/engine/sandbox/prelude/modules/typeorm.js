// The part of typeorm that flows use: a data source and its query runners, for plain SQL over `pg`.
(function (module, exports, require) {
    'use strict';
    const { Client } = require('pg');

    class QueryFailedError extends Error {
        constructor(query, parameters, error) {
            super(error.message);
            Object.assign(this, { query, parameters, driverError: error });
        }
        get name() {
            return 'QueryFailedError';
        }
    }

    class QueryRunner {
        #client;
        isReleased = false;
        isTransactionActive = false;
        constructor(source, client) {
            this.connection = source;
            this.#client = client;
        }
        async query(text, parameters) {
            let result;
            try {
                result = await this.#client.query(text, parameters);
            } catch (error) {
                throw new QueryFailedError(text, parameters, error);
            }
            return ['UPDATE', 'DELETE'].includes(result.command) ? [result.rows, result.rowCount] : result.rows;
        }
        async connect() {}
        async release() {
            this.isReleased = true;
        }
        async startTransaction() {
            throw new Error('each statement is a transaction of its own; there are none over several');
        }
    }

    class DataSource {
        #client;
        isInitialized = false;
        constructor(options) {
            const { type, url, username, ...rest } = options ?? {};
            if (type !== 'postgres') throw new Error(`the engine speaks to postgres, and not to ${type}`);
            this.options = options;
            this.#client = new Client({ ...rest, connectionString: url, user: username });
            this.manager = { query: (text, parameters) => this.query(text, parameters), connection: this };
        }
        async initialize() {
            this.isInitialized = true;
            return this;
        }
        connect() {
            return this.initialize();
        }
        async destroy() {
            this.isInitialized = false;
        }
        close() {
            return this.destroy();
        }
        createQueryRunner() {
            return new QueryRunner(this, this.#client);
        }
        query(text, parameters) {
            return this.createQueryRunner().query(text, parameters);
        }
    }

    const createConnection = (options) => new DataSource(options).initialize();
    module.exports = { DataSource, Connection: DataSource, QueryFailedError, createConnection };
    module.exports.default = module.exports;
})
