//! Blocks of Notion as Markdown, as `notion-to-md` 3 writes them, with the tables of Flowise's own.

use std::sync::LazyLock;

use fancy_regex::Regex;
use serde_json::Value;

use crate::engine::text::javascript::{is_space, trim};

/// A block with what stands in it.
#[derive(Debug)]
pub(super) struct NotionBlock {
    pub(super) kind: String,
    /// Its own words.
    pub(super) parent: String,
    pub(super) children: Vec<Self>,
}

/// What a file is called at the end of an address.
static FILE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"[^/\\&?]+\.[A-Za-z0-9_]{3,4}(?=(?:[?&].*$|$))").ok());

/// A block's own words. `rows`: of a table; `children`: of a callout.
pub(super) fn told(block: &Value, rows: &[Value], children: &[NotionBlock]) -> String {
    let kind = block.get("type").and_then(Value::as_str).unwrap_or_default();
    let content = block.get(kind).unwrap_or(&Value::Null);
    let text = |name: &str| content.get(name).and_then(Value::as_str).unwrap_or_default();
    match kind {
        "image" => {
            let address = address_of(content);
            let title = title_of(content, &address, "image");
            match address.strip_prefix("data:").and_then(|data| data.rsplit(',').next()) {
                Some(data) => format!("![{title}](data:image/png;base64,{data})"),
                None => format!("![{title}]({address})"),
            }
        }
        "divider" => "---".to_owned(),
        "equation" => format!("$$\n{}\n$$", text("expression")),
        "video" | "file" | "pdf" => {
            let address = address_of(content);
            format!("[{}]({address})", title_of(content, &address, kind))
        }
        "bookmark" | "embed" | "link_preview" => format!("[{kind}]({})", text("url")),
        "link_to_page" if text("type") == "page_id" => {
            format!("[{kind}](https://www.notion.so/{})", text("page_id"))
        }
        "table" => table(content, rows),
        "code" => {
            let code: Vec<&str> = rich(content).iter().filter_map(|part| part.get("plain_text")?.as_str()).collect();
            let language = trim(text("language")).to_lowercase();
            let language = if language.is_empty() { "plaintext" } else { &language };
            let code = code.join("\n");
            if code.is_empty() { String::new() } else { format!("```{language}\n{}\n```", trim(&code)) }
        }
        "heading_1" => format!("# {}", words(content)),
        "heading_2" => format!("## {}", words(content)),
        "heading_3" => format!("### {}", words(content)),
        "quote" => format!("> {}", words(content).replace('\n', "  \n> ")),
        "callout" => callout(content, children),
        "bulleted_list_item" => format!("- {}", trim(&words(content))),
        "numbered_list_item" => {
            let number = content.get("number").and_then(Value::as_u64).unwrap_or(1);
            format!("{number}. {}", trim(&words(content)))
        }
        "to_do" => {
            let sign = if content.get("checked") == Some(&Value::Bool(true)) { 'x' } else { ' ' };
            format!("- [{sign}] {}", words(content))
        }
        _ => words(content),
    }
}

fn rich(content: &Value) -> &[Value] {
    let list = ["text", "rich_text"].iter().find_map(|name| content.get(*name)?.as_array());
    list.map(Vec::as_slice).unwrap_or_default()
}

fn words(content: &Value) -> String {
    words_of(rich(content))
}

fn words_of(parts: &[Value]) -> String {
    let mut words = String::new();
    for part in parts {
        if part.get("type").is_some_and(|kind| kind == "equation") {
            let expression = part.pointer("/equation/expression").and_then(Value::as_str).unwrap_or_default();
            words.extend(["$", expression, "$"]);
            continue;
        }
        let text = marked(part);
        match part.get("href").and_then(Value::as_str).filter(|address| !address.is_empty()) {
            Some(address) => words.extend(["[", &text, "](", address, ")"]),
            None => words.push_str(&text),
        }
    }
    words
}

/// A text with the marks of its style around it.
pub(super) fn marked(part: &Value) -> String {
    let text = part.get("plain_text").and_then(Value::as_str).unwrap_or_default();
    let inner = trim(text);
    if inner.is_empty() {
        return text.to_owned();
    }
    let is_on = |name: &str| part.pointer(&format!("/annotations/{name}")) == Some(&Value::Bool(true));
    let mut told = inner.to_owned();
    let marks = [("code", "`", "`"), ("bold", "**", "**"), ("italic", "_", "_"), ("strikethrough", "~~", "~~")];
    for (name, before, behind) in marks.into_iter().chain([("underline", "<u>", "</u>")]) {
        if is_on(name) {
            told = format!("{before}{told}{behind}");
        }
    }
    let begin = text.len() - text.trim_start_matches(is_space).len();
    let (before, behind) = (text.get(..begin), text.get(begin + inner.len()..));
    format!("{}{told}{}", before.unwrap_or_default(), behind.unwrap_or_default())
}

fn address_of(content: &Value) -> String {
    let kind = content.get("type").and_then(Value::as_str).unwrap_or_default();
    let address = content.get(kind).and_then(|place| place.get("url")?.as_str());
    address.filter(|_| matches!(kind, "external" | "file")).unwrap_or_default().to_owned()
}

fn title_of(content: &Value, address: &str, kind: &str) -> String {
    let caption = content.get("caption").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let caption: String = caption.iter().filter_map(|part| part.get("plain_text")?.as_str()).collect();
    if !trim(&caption).is_empty() {
        return caption;
    }
    let named = FILE.as_ref().and_then(|file| file.find(address).ok().flatten());
    named.map_or_else(|| kind.to_owned(), |named| named.as_str().to_owned())
}

fn table(content: &Value, rows: &[Value]) -> String {
    let cell = |parts: &Value| {
        let text = words_of(parts.as_array().map(Vec::as_slice).unwrap_or_default());
        trim(&text).replace('\n', " ").replace('\\', "\\\\").replace('|', "\\|")
    };
    let cells = |row: &Value| -> Vec<String> {
        row.pointer("/table_row/cells").and_then(Value::as_array).into_iter().flatten().map(cell).collect()
    };
    let mut rows = rows.iter().map(cells).peekable();
    let Some(width) = rows.peek().map(Vec::len) else { return String::new() };
    let has_header = content.get("has_column_header") == Some(&Value::Bool(true));
    let header = if has_header { rows.next().unwrap_or_default() } else { vec![String::new(); width] };
    let line = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
    let mut lines = vec![line(header), line(vec!["---".to_owned(); width])];
    lines.extend(rows.map(line));
    lines.join("\n")
}

fn callout(content: &Value, children: &[NotionBlock]) -> String {
    let mut text = words(content);
    if !children.is_empty() {
        text.push('\n');
        for child in children {
            text.extend([&child.parent, "\n\n"]);
        }
        text = trim(&text).to_owned();
    }
    let icon = content.get("icon").filter(|icon| icon.get("type").is_some_and(|kind| kind == "emoji"));
    let sign = icon.and_then(|icon| icon.get("emoji")?.as_str()).map(|sign| format!("{sign} ")).unwrap_or_default();
    let text = text.replace('\n', "  \n> ");
    let level = text.len() - text.trim_start_matches('#').len();
    let heading = text.get(level..).filter(|_| (1..=6).contains(&level));
    match heading.and_then(|rest| rest.strip_prefix(is_space)).map(|rest| rest.trim_start_matches(is_space)) {
        Some(rest) if !rest.is_empty() => format!("> {} {sign}{rest}", "#".repeat(level)),
        _ => format!("> {sign}{text}"),
    }
}

/// Blocks one below the other, those within others further in.
pub(super) fn markdown_of(blocks: &[NotionBlock], depth: usize) -> String {
    let mut out = String::new();
    for NotionBlock { kind, parent, children } in blocks {
        if !parent.is_empty() && !matches!(&**kind, "toggle" | "child_page") {
            let text = indented(parent, depth);
            match &**kind {
                "to_do" | "bulleted_list_item" | "numbered_list_item" | "quote" => out.extend([&*text, "\n"]),
                _ => out.extend(["\n", &text, "\n\n"]),
            }
        }
        if children.is_empty() {
            continue;
        }
        match &**kind {
            "synced_block" | "column_list" | "column" => out.push_str(&markdown_of(children, 0)),
            "callout" => {}
            "toggle" => {
                let inside = markdown_of(children, 0);
                if parent.is_empty() {
                    out.push_str(&inside);
                } else {
                    out.extend(["<details>\n<summary>", parent, "</summary>\n", &inside, "\n</details>\n\n"]);
                }
            }
            "quote" => {
                let inside = markdown_of(children, depth);
                let quoted = |line: &str| if trim(line).is_empty() { ">".to_owned() } else { format!("> {line}") };
                let lines: Vec<String> = inside.split('\n').map(quoted).collect();
                if !inside.is_empty() {
                    out.push_str(trim(&lines.join("\n")));
                }
                out.push('\n');
            }
            _ => out.push_str(&markdown_of(children, depth + 1)),
        }
    }
    out
}

fn indented(text: &str, depth: usize) -> String {
    let space = "    ".repeat(depth);
    format!("{space}{}", text.replace('\n', &format!("\n{space}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(block: &Value) -> NotionBlock {
        let children = block["children"].as_array().unwrap().iter().map(read).collect::<Vec<_>>();
        let parent = told(block, &[], &children);
        NotionBlock { kind: block["type"].as_str().unwrap().to_owned(), parent, children }
    }

    /// Expected: what `notion-to-md` 3.1.9 made of them.
    #[test]
    fn blocks_are_told_as_flowise_tells_them() {
        let recorded: Value = serde_json::from_str(include_str!("blocks.json")).unwrap();
        let blocks: Vec<NotionBlock> = recorded["blocks"].as_array().unwrap().iter().map(read).collect();
        assert_eq!(markdown_of(&blocks, 0), recorded["markdown"].as_str().unwrap());
    }

    #[test]
    fn tables_are_written_in_rows() {
        let cell = |text: &str| json!([{ "type": "text", "plain_text": text }]);
        let row = |cells: Value| json!({ "type": "table_row", "table_row": { "cells": cells } });
        let rows = [row(json!([cell("a|b"), cell("c")])), row(json!([cell(" d\ne "), []]))];
        let table = |has_header: bool| {
            let block = json!({ "type": "table", "table": { "has_column_header": has_header } });
            told(&block, &rows, &[])
        };
        assert_eq!(table(true), "| a\\|b | c |\n| --- | --- |\n| d e |  |");
        assert_eq!(table(false), "|  |  |\n| --- | --- |\n| a\\|b | c |\n| d e |  |");
        assert_eq!(told(&json!({ "type": "table", "table": {} }), &[], &[]), "");
    }

    #[test]
    fn callouts_with_headings_stay_headings() {
        let callout = |text: &str, children: &[NotionBlock]| {
            let content = json!({ "rich_text": [{ "plain_text": text }], "icon": { "type": "emoji", "emoji": "!" } });
            told(&json!({ "type": "callout", "callout": content }), &[], children)
        };
        assert_eq!(callout("## Mind", &[]), "> ## ! Mind");
        assert_eq!(callout("#", &[]), "> ! #");
        let child = NotionBlock { kind: "paragraph".to_owned(), parent: "more".to_owned(), children: Vec::new() };
        assert_eq!(callout("Mind", &[child]), "> ! Mind  \n> more");
    }
}
