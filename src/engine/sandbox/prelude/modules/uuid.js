(function (module, exports, require) {
    'use strict';
    const { randomUUID } = require('crypto');
    const form = /^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i;
    module.exports = { v4: () => randomUUID(), validate: (text) => form.test(text), NIL: '00000000-0000-0000-0000-000000000000' };
})
