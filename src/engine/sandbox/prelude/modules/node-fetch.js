(function (module, exports, require) {
    'use strict';
    const { fetch, Headers, Request, Response, FormData, Blob } = require('fetch');
    class FetchError extends Error {}
    const own = (...rest) => fetch(...rest);
    module.exports = Object.assign(own, { default: own, fetch: own, Headers, Request, Response, FormData, Blob, FetchError });
})
