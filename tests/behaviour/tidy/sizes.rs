//! How long files and functions are.

use std::fs;
use std::path::{Path, PathBuf};

use super::{files, source};

const LONGEST_FILE: usize = 400;
/// Half of the files have no more.
const MEDIAN_FILE: usize = 130;
/// What fits on a screen, and a little more.
const LONGEST_FUNCTION: usize = 85;

fn all() -> Vec<PathBuf> {
    let tests = ["behaviour", "harness"].map(|folder| source().with_file_name("tests").join(folder));
    [source()].iter().chain(&tests).flat_map(|folder| files(folder)).collect()
}

fn is_for_tests(file: &Path) -> bool {
    let of_tests = ["stage", "tests", "tests.rs", "testing.rs", "lab.rs", "fuzz.rs"];
    file.components().any(|part| of_tests.contains(&part.as_os_str().to_str().unwrap()))
}

/// Functions that are longer than that, with the lines in which they begin.
fn long_functions(text: &str, most: usize) -> Vec<(usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let begins = |line: &str| {
        let Some((before, _)) = line.split_once("fn ") else { return false };
        let is_word = |word: &str| word.starts_with("pub") || word.ends_with(')') || ["const", "async"].contains(&word);
        before.split_whitespace().all(is_word)
    };
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate().filter(|(_, line)| begins(line)) {
        let end = format!("{}}}", &line[..line.len() - line.trim_start().len()]);
        let length = lines[index..].iter().position(|line| *line == end).map_or(1, |length| length + 1);
        let is_one_line = line.ends_with(['}', ';']);
        if length > most && !is_one_line {
            found.push((index + 1, length));
        }
    }
    found
}

#[test]
fn no_file_is_too_long_to_read() {
    for file in all() {
        let lines = fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines <= LONGEST_FILE, "{}: {lines} lines, {LONGEST_FILE} at most", file.display());
    }
}

#[test]
fn most_files_are_read_at_a_glance() {
    let of_program = files(&source()).into_iter().filter(|file| !is_for_tests(file));
    let mut lengths: Vec<usize> = of_program
        .map(|file| {
            let text = fs::read_to_string(file).unwrap();
            text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().lines().count()
        })
        .collect();
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2];
    assert!(lengths.len() > 500 && median <= MEDIAN_FILE, "{median} lines");
}

#[test]
fn no_function_is_longer_than_a_screen() {
    for file in files(&source()) {
        let long = long_functions(&fs::read_to_string(&file).unwrap(), LONGEST_FUNCTION);
        assert!(long.is_empty(), "{}: (line, length) {long:?}, {LONGEST_FUNCTION} at most", file.display());
    }
}

#[test]
fn the_reader_of_functions_sees_all_spellings() {
    let text = "fn a() {\n    x;\n}\n    pub(crate) async fn b<T>(\n        y: T,\n    ) {\n        x\n    }\nfn c() {}\nfn d();\n// fn e() {\n}";
    assert_eq!(long_functions(text, 2), [(1, 3), (4, 5)]);
}
