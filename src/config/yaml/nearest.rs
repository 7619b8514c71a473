//! "did you mean": the known name closest to what was written.

/// Adds to a message which of the known names was probably meant, or else all of them.
pub(crate) fn suggest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let nearest = known.iter().map(|name| (distance(written, name), *name)).min();
    match nearest {
        Some((steps, name)) if steps <= (name.len() / 3).clamp(1, 3) => format!("did you mean `{name}`?"),
        Some(_) => format!("expected one of {}", known.join(", ")),
        None => String::from("there is none"),
    }
}

/// Levenshtein distance; the names are short, and what was written counts up to 64 characters.
fn distance(written: &str, name: &str) -> usize {
    let mut row: Vec<usize> = (0..=name.chars().count()).collect();
    for (i, a) in written.chars().take(64).enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, b) in row.iter_mut().skip(1).zip(name.chars()) {
            let step = (diagonal + usize::from(!a.eq_ignore_ascii_case(&b))).min(left + 1).min(*cell + 1);
            diagonal = std::mem::replace(cell, step);
            left = step;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{distance, suggest};

    #[test]
    fn distance_counts_single_edits() {
        for (a, b, steps) in [
            ("listen", "listen", 0),
            ("lisen", "listen", 1),
            ("listne", "listen", 2),
            ("Listen", "listen", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(a, b), steps, "{a} {b}");
        }
    }

    #[test]
    fn a_near_name_is_suggested_and_otherwise_all_are_listed() {
        assert_eq!(suggest("lisen", ["listen", "tls"]), "did you mean `listen`?");
        assert_eq!(suggest("colour", ["listen", "tls"]), "expected one of listen, tls");
        assert_eq!(suggest("x", []), "there is none");
    }
}
