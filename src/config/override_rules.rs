//! Inputs of Flowise's nodes that no client may set, whatever a chatflow allows.
//!
//! An override reaches every node that has an input of that name, and Flowise's own list of enabled overrides lets
//! objects past. So whole families of names are refused, in any spelling: those that hand out credentials or send them
//! elsewhere (CVE-2026-91935), run code or commands (CVE-2026-41268), read files, swap tools and stores, redirect
//! traces, or put words into a chat's history (CVE-2026-69258). The operator's own `force_override` is free.

/// Why a name is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protected {
    Credentials,
    Addresses,
    Code,
    Files,
    Tools,
    Analytics,
    History,
}

impl Protected {
    /// What such an input holds.
    #[must_use]
    pub fn what(self) -> &'static str {
        match self {
            Self::Credentials => "credentials",
            Self::Addresses => "addresses that the server calls",
            Self::Code => "code that the server runs",
            Self::Files => "files of the server",
            Self::Tools => "tools, stores and node settings",
            Self::Analytics => "where traces are sent",
            Self::History => "the chat's ids and history",
        }
    }
}

/// Part of a name, lower case, letters and digits only.
enum NamePart {
    Is(&'static str),
    Has(&'static str),
    Starts(&'static str),
    Ends(&'static str),
}

use NamePart::{Ends, Has, Is, Starts};

/// From the inputs and credentials of Flowise 3.1.4's nodes; the first that fits names the reason.
const TABLE: &[(Protected, &[NamePart])] = &[
    (Protected::Analytics, &[Starts("analytic"), Starts("evaluation"), Has("callback")]),
    (
        Protected::History,
        &[
            Has("history"),
            Is("sessionid"),
            Is("chatid"),
            Is("chatflowid"),
            Is("apimessageid"),
            Is("executionid"),
            Is("parentexecutionid"),
            Is("flow"),
            Is("flowdata"),
            Is("orgid"),
            Is("workspaceid"),
        ],
    ),
    (Protected::Tools, &[Has("mcp"), Has("tool"), Has("selected"), Has("documentstore"), Has("vectorstore")]),
    (
        Protected::Code,
        &[
            Has("function"),
            Ends("code"),
            Ends("func"),
            Ends("script"),
            Has("schema"),
            Has("rpcfilter"),
            Has("sql"),
            Has("cypher"),
            Is("command"),
            Is("arguments"),
            Is("args"),
            Is("env"),
            Is("tablename"),
        ],
    ),
    (
        Protected::Credentials,
        &[
            Has("credential"),
            Has("apikey"),
            Ends("key"),
            Ends("token"),
            Has("accesskey"),
            Has("accesstoken"),
            Has("secret"),
            Has("password"),
            Ends("pwd"),
            Ends("user"),
            Ends("username"),
            Has("authorization"),
            Has("bearer"),
            Is("awssession"),
            Is("composioapi"),
            Is("rolearn"),
            Is("iam"),
        ],
    ),
    (
        Protected::Addresses,
        &[
            Has("url"),
            Ends("uri"),
            Has("endpoint"),
            Has("host"),
            Has("basepath"),
            Has("apibase"),
            Has("baseoptions"),
            Has("instancename"),
            Has("proxy"),
            Has("server"),
            Has("connection"),
            Has("database"),
            Has("webpath"),
            Has("header"),
            Ends("link"),
            Is("port"),
            Has("additionalconfig"),
        ],
    ),
    (Protected::Files, &[Ends("file"), Ends("files"), Is("fileobject"), Ends("path"), Ends("folder"), Has("storage")]),
    // Settings of a node within a node: all of the above in one.
    (Protected::Tools, &[Ends("config")]),
];

/// Whether that path inside `overrideConfig` is closed to clients. Below `vars`, `promptValues` and `startState` stand
/// names that the flow's author chose.
#[must_use]
pub fn protected<S: AsRef<str>>(path: &[S]) -> Option<Protected> {
    let path = match path.first().map(AsRef::as_ref) {
        Some("sessionId") if path.len() == 1 => return None,
        Some("vars" | "promptValues" | "startState") => return None,
        _ => path,
    };
    let mut names = path.iter().map(AsRef::as_ref).enumerate();
    names.find_map(|(depth, name)| if depth > 0 && is_node_id(name) { None } else { protected_name(name) })
}

/// `chatOpenAI_0`: a value may stand under the id of the one node that it is for.
fn is_node_id(name: &str) -> bool {
    name.rsplit_once('_').is_some_and(|(kind, number)| {
        !kind.is_empty() && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

fn protected_name(name: &str) -> Option<Protected> {
    let plain: String =
        name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect();
    let fits = |part: &NamePart| match part {
        Is(text) => plain == *text,
        Has(text) => plain.contains(text),
        Starts(text) => plain.starts_with(text),
        Ends(text) => plain.ends_with(text),
    };
    TABLE.iter().find(|(_, parts)| parts.iter().any(fits)).map(|(reason, _)| *reason)
}

#[cfg(test)]
mod tests;
