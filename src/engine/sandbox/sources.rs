//! The shims, as JavaScript.

/// What every context begins with.
pub(super) const CORE: &str = include_str!("prelude/core.js");

/// Those that scripts may require whatever the configuration says: messages, and parts of Node that reach nothing, or no
/// more than `fetch`.
pub(super) const BUILTINS: &[&str] = &[
    "@langchain/core/messages",
    "assert",
    "buffer",
    "crypto",
    "events",
    "http",
    "https",
    "path",
    "querystring",
    "timers",
    "timers/promises",
    "url",
    "util",
];

/// By the name by which one is made; a row of `builtins` is a part of that one.
const MODULES: &[(&str, &str)] = &[
    ("@langchain/core/messages", include_str!("prelude/modules/langchain-messages.js")),
    ("axios", include_str!("prelude/modules/axios.js")),
    ("buffer", include_str!("prelude/buffer.js")),
    ("builtins", include_str!("prelude/modules/builtins.js")),
    ("clone", include_str!("prelude/clone.js")),
    ("crypto", include_str!("prelude/modules/crypto.js")),
    ("fetch", include_str!("prelude/fetch.js")),
    ("client", include_str!("prelude/modules/http.js")),
    ("guards", include_str!("prelude/guards.js")),
    ("locale", include_str!("prelude/locale.js")),
    ("lodash", include_str!("prelude/modules/lodash.js")),
    ("lodash-is", include_str!("prelude/modules/lodash-is.js")),
    ("lodash-paths", include_str!("prelude/modules/lodash-paths.js")),
    ("lodash-text", include_str!("prelude/modules/lodash-text.js")),
    ("moment", include_str!("prelude/modules/moment.js")),
    ("node-fetch", include_str!("prelude/modules/node-fetch.js")),
    ("pg", include_str!("prelude/modules/pg.js")),
    ("text", include_str!("prelude/text.js")),
    ("typeorm", include_str!("prelude/modules/typeorm.js")),
    ("url", include_str!("prelude/url.js")),
    ("uuid", include_str!("prelude/modules/uuid.js")),
];

pub(crate) fn is_builtin(name: &str) -> bool {
    BUILTINS.contains(&name)
}

pub(super) fn source(name: &str) -> Option<&'static str> {
    MODULES.iter().find(|(known, _)| *known == name).map(|(_, source)| *source)
}
