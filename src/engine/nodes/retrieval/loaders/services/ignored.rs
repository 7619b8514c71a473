//! Paths that are passed over, in patterns as `.gitignore` has them; letters are large or small alike, as Flowise's library
//! takes them.

use serde_json::Value;

const MOST_PATTERNS: usize = 500;
const LONGEST_PATTERN: usize = 1_000;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct IgnoredPaths(Vec<IgnoreRule>);

#[derive(Debug)]
struct IgnoreRule {
    /// Names and patterns of them, from the root on.
    steps: Vec<Vec<char>>,
    /// Whether what it matches is taken in again.
    takes_in: bool,
    only_folders: bool,
}

impl IgnoredPaths {
    /// # Errors
    /// It is no list of patterns.
    pub(super) fn read(patterns: &Value) -> Result<Self, &'static str> {
        let list = patterns.as_array().ok_or("expected a list of patterns")?;
        let texts: Option<Vec<&str>> = list.iter().map(Value::as_str).collect();
        let texts = texts.ok_or("expected a list of patterns")?;
        if texts.len() > MOST_PATTERNS || texts.iter().any(|text| text.len() > LONGEST_PATTERN) {
            return Err("too many patterns, or too long ones");
        }
        Ok(Self(texts.into_iter().filter_map(IgnoreRule::read).collect()))
    }

    /// Whether a path, or a folder above it, is passed over.
    pub(super) fn has(&self, path: &str) -> bool {
        let steps: Vec<Vec<char>> =
            path.split('/').filter(|step| !step.is_empty()).map(|step| step.to_lowercase().chars().collect()).collect();
        // What lies in a folder that is passed over cannot be taken in again.
        (1..=steps.len()).any(|length| {
            let part = steps.get(..length).unwrap_or_default();
            let rule = self.0.iter().rev().find(|rule| rule.matches(part, length < steps.len()));
            rule.is_some_and(|rule| !rule.takes_in)
        })
    }
}

impl IgnoreRule {
    fn read(text: &str) -> Option<Self> {
        let text = text.trim_end();
        if text.is_empty() || text.starts_with('#') {
            return None;
        }
        let (takes_in, text) = text.strip_prefix('!').map_or((false, text), |rest| (true, rest));
        let (only_folders, text) = text.strip_suffix('/').map_or((false, text), |rest| (true, rest));
        let (is_anchored, text) = text.strip_prefix('/').map_or((text.contains('/'), text), |rest| (true, rest));
        let anywhere = (!is_anchored).then(|| "**".chars().collect());
        let steps = text.split('/').filter(|step| !step.is_empty()).map(|step| step.to_lowercase().chars().collect());
        let steps: Vec<Vec<char>> = anywhere.into_iter().chain(steps).collect();
        Some(Self { steps, takes_in, only_folders }).filter(|rule| !rule.steps.is_empty())
    }

    fn matches(&self, path: &[Vec<char>], is_folder: bool) -> bool {
        if self.only_folders && !is_folder {
            return false;
        }
        // Which beginnings of the path the steps so far stand for.
        let mut fits = vec![false; path.len() + 1];
        if let Some(none) = fits.first_mut() {
            *none = true;
        }
        for (number, step) in self.steps.iter().enumerate() {
            let is_last = number + 1 == self.steps.len();
            let mut next = vec![false; path.len() + 1];
            for (at, place) in next.iter_mut().enumerate() {
                let before = at.checked_sub(1);
                *place = if step.as_slice() == ['*', '*'] {
                    // At the end it stands for what is inside, and so for something.
                    let reach = if is_last { at } else { at + 1 };
                    fits.iter().take(reach).any(|fits| *fits)
                } else {
                    let name = before.and_then(|before| path.get(before));
                    before.and_then(|before| fits.get(before)) == Some(&true)
                        && name.is_some_and(|name| fits_name(step, name))
                };
            }
            fits = next;
        }
        fits.last() == Some(&true)
    }
}

/// One name against `*`, `?` and sets of letters.
fn fits_name(pattern: &[char], name: &[char]) -> bool {
    let (mut at, mut to, mut star) = (0, 0, None);
    loop {
        if let Some('*') = pattern.get(at) {
            star = Some((at, to));
            at += 1;
            continue;
        }
        let fits = name.get(to).and_then(|letter| letter_fits(pattern.get(at..).unwrap_or_default(), *letter));
        match (fits, star) {
            (Some(length), _) => {
                at += length;
                to += 1;
            }
            _ if to == name.len() && at == pattern.len() => return true,
            // The last star takes one letter more.
            (None, Some((back, taken))) if taken < name.len() => {
                star = Some((back, taken + 1));
                (at, to) = (back + 1, taken + 1);
            }
            _ => return false,
        }
    }
}

/// The length of the pattern for one letter, if that is what it says.
fn letter_fits(pattern: &[char], letter: char) -> Option<usize> {
    match *pattern.first()? {
        '?' => Some(1),
        '[' => {
            let end = pattern.iter().skip(2).position(|letter| *letter == ']')? + 2;
            let inside = pattern.get(1..end)?;
            let (is_other, inside) = match inside.split_first() {
                Some(('!' | '^', rest)) => (true, rest),
                _ => (false, inside),
            };
            let mut found = false;
            let mut at = 0;
            while let Some(first) = inside.get(at) {
                if inside.get(at + 1) == Some(&'-') && inside.get(at + 2).is_some() {
                    found |= inside.get(at + 2).is_some_and(|last| (*first..=*last).contains(&letter));
                    at += 3;
                } else {
                    found |= *first == letter;
                    at += 1;
                }
            }
            (found != is_other).then_some(end + 1)
        }
        '\\' => (pattern.get(1) == Some(&letter)).then_some(2),
        own => (own == letter).then_some(1),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn patterns_are_those_of_gitignore() {
        for (pattern, inside, outside) in [
            ("*.md", "readme.MD docs/a.md", "a.mdx md"),
            ("docs", "docs docs/a x/docs/b", "docs2/a"),
            ("docs/", "docs/a x/docs/b", "docs"),
            ("/docs", "docs/a docs", "x/docs"),
            ("a/*.js", "a/x.js", "a/b/x.js b/a/x.js"),
            ("a/**/z.js", "a/z.js a/b/c/z.js", "z.js"),
            ("**/z", "z a/b/z", "a/zz"),
            ("a/**", "a/b a/b/c", "a b"),
            ("te?t[0-9].[!j]s", "test1.ts", "test1.js testa.ts tet1.ts"),
            ("a*b*c", "abc aXXbYYc", "ab aXc"),
            ("\\!x", "!x", "x"),
        ] {
            let ignored = IgnoredPaths::read(&json!([pattern])).unwrap();
            for path in inside.split(' ') {
                assert!(ignored.has(path), "{pattern}: {path}");
            }
            for path in outside.split(' ') {
                assert!(!ignored.has(path), "{pattern}: {path}");
            }
        }
        let ignored = IgnoredPaths::read(&json!(["# none", "", "*.md", "!keep.md", "out", "!out/in"])).unwrap();
        assert!(ignored.has("a.md") && !ignored.has("keep.md") && ignored.has("out/in"));
        assert!(IgnoredPaths::read(&json!("x")).is_err() && IgnoredPaths::read(&json!([1])).is_err());
        assert!(!IgnoredPaths::default().has("a"));
    }
}
