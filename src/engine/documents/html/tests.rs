use super::*;

/// A page, a selector, and what `cheerio` 1 tells as title and text; `None`: it refuses the selector.
type HtmlCase = (String, String, String, Option<String>);

#[test]
fn pages_are_told_as_cheerio_tells_them() {
    let cases: Vec<HtmlCase> = serde_json::from_str(include_str!("cheerio.json")).unwrap();
    assert!(cases.len() > 50);
    for (html, selector, title, text) in cases {
        let page = HtmlPage::parse(&html);
        assert_eq!(page.title(), title, "{html}");
        let told = Selector::parse(&selector).and_then(|selector| selector.text_in(&page));
        assert_eq!(told.as_ref().ok(), text.as_ref(), "{html} {selector}: {told:?}");
    }
}

#[test]
fn deep_and_broken_pages_end() {
    for piece in ["<div>", "<b>", "<table>", "<svg>", "<p>", "<li>", "</div>", "<table><tr><td>", "<a href="] {
        let page = HtmlPage::parse(&piece.repeat(20_000));
        let body = Selector::parse("body").unwrap();
        let _ = body.text_in(&page);
    }
}

#[test]
fn what_a_selector_asks_for_is_bounded() {
    let page = HtmlPage::parse(&"<div>x".repeat(3000));
    let worst = Selector::parse("div div div div div div p").unwrap();
    let _ = worst.text_in(&page);
    assert!(Selector::parse(&":not(".repeat(100)).is_err());
    for broken in ["", ",", "a >", "a[", "a[b=", "a:not(", "a::before", "a:hover", "a:nth-child(x)", "..", "a b,"] {
        assert!(Selector::parse(broken).is_err(), "{broken}");
    }
}

/// Each took time with the square of its length once.
#[test]
fn long_pages_take_time_with_their_length() {
    let begun = std::time::Instant::now();
    let pages = [
        "<!---->".repeat(50_000),
        format!("<script><!--{}", "<script></script>".repeat(20_000)),
        format!("<table>{}", "<b>x</b>".repeat(20_000)),
        "<p>x".repeat(50_000),
    ];
    for page in pages {
        let page = HtmlPage::parse(&page);
        for selector in ["body", "p", "b ~ b"] {
            let _ = Selector::parse(selector).unwrap().text_in(&page);
        }
    }
    assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn markdown_is_that_of_node_html_markdown() {
    let cases: Vec<(String, String)> = serde_json::from_str(include_str!("markdown.json")).unwrap();
    assert!(cases.len() > 40);
    let different = cases.iter().filter(|(html, expected)| markdown(html).as_ref() != Ok(expected));
    let told: Vec<String> =
        different.map(|(html, expected)| format!("{html:?}\n  {expected:?}\n  {:?}", markdown(html))).collect();
    assert!(told.is_empty(), "{}", told.join("\n"));
}

/// One cell as wide as a page may be fills all rows up to its width, and each list moves the lines of those in it.
#[test]
fn markdown_has_a_bound_however_much_larger_than_its_page_it_would_be() {
    let rows = "<tr><td>x</td></tr>".repeat(5_000);
    let wide = format!("<table><tr><td>{}</td></tr>{rows}</table>", "x".repeat(5_000));
    let long = format!("<table><tr>{}</tr>{rows}</table>", "<td>x</td>".repeat(5_000));
    let deep = format!("{}<pre>{}</pre>", "<ul><li>".repeat(120), "x\n".repeat(10_000));
    let marked = format!("{}<pre>{}</pre>", "<blockquote><b><i>".repeat(80), "x\n".repeat(20_000));
    for page in [wide, long, deep, marked] {
        assert_eq!(markdown(&page), Err("the Markdown of a page is too long".to_owned()));
    }
    let rows = "<tr><td>x</td><td>y</td></tr>".repeat(5_000);
    assert!(markdown(&format!("<table>{rows}</table>")).unwrap().ends_with("| x | y |"));
}
