//! What code says of itself before it runs: the modules that it requires by name.

use crate::engine::sandbox::is_builtin;

/// Names in `require('...')`, outside of comments and texts.
pub(super) fn required(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = code;
    let mut before = ' ';
    while let Some(letter) = rest.chars().next() {
        let after = rest.get(letter.len_utf8()..).unwrap_or_default();
        rest = match letter {
            '/' if after.starts_with('/') => after.find('\n').and_then(|end| after.get(end..)).unwrap_or_default(),
            '/' if after.starts_with('*') => {
                after.get(1..).and_then(|after| after.split_once("*/")).map_or("", |(_, after)| after)
            }
            '"' | '\'' | '`' => past(letter, after),
            'r' if !is_part_of_name(before) => match name_in(rest) {
                Some((name, after)) => {
                    found.push(name.to_owned());
                    after
                }
                None => after,
            },
            _ => after,
        };
        before = letter;
    }
    found
}

/// Whether a script may require it.
pub(super) fn may_require(name: &str, modules: &[Box<str>]) -> bool {
    let name = name.strip_prefix("node:").unwrap_or(name);
    is_builtin(name) || modules.iter().any(|module| **module == *name)
}

/// What does the same as a module that is not there, for a refusal's end.
pub(super) fn instead(name: &str) -> &'static str {
    match name.strip_prefix("node:").unwrap_or(name).split('/').next().unwrap_or_default() {
        "mysql" | "mysql2" | "mssql" | "tedious" | "sqlite3" | "better-sqlite3" | "knex" | "sequelize" => {
            ": of databases it speaks to postgres alone (pg, typeorm)"
        }
        "got" | "request" | "request-promise" | "superagent" | "undici" | "ky" | "needle" => {
            ": axios, node-fetch and fetch ask the same"
        }
        "dayjs" | "date-fns" | "luxon" => ": moment knows the same dates",
        "nanoid" => ": uuid makes ids as well",
        "fs" | "child_process" | "net" | "tls" | "dns" | "worker_threads" | "vm" => {
            ": code reaches nothing of this machine"
        }
        _ => "",
    }
}

fn is_part_of_name(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '_' | '$' | '.')
}

/// Behind the end of a text.
fn past(quote: char, text: &str) -> &str {
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => drop(letters.next()),
            // What ends nowhere was no text: a quote within a pattern.
            '\n' if quote != '`' => return text.get(at..).unwrap_or_default(),
            letter if letter == quote => return text.get(at + letter.len_utf8()..).unwrap_or_default(),
            _ => {}
        }
    }
    ""
}

/// In `require("name")`, and what stands behind it.
fn name_in(code: &str) -> Option<(&str, &str)> {
    let open = code.strip_prefix("require")?.trim_start().strip_prefix('(')?.trim_start();
    let quote = open.chars().next().filter(|quote| matches!(quote, '"' | '\'' | '`'))?;
    open.get(1..)?.split_once(quote)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_that_code_requires_are_found() {
        let code = "const a = require('axios'); // require('fs')\n/* require('net') */ let b='require(\"os\")';\n\
                    const { x } = require( \"node:crypto\" ).y; my.require('z'); const r = /'/;\n\
                    require(`lodash`)";
        assert_eq!(required(code), ["axios", "node:crypto", "lodash"]);
        assert!(may_require("node:crypto", &[]) && !may_require("fs", &["axios".into()]));
        assert!(may_require("axios", &["axios".into()]));
        assert!(instead("mysql2/promise").contains("postgres") && instead("node:fs").contains("this machine"));
        assert_eq!(instead("left-pad"), "");
    }
}
