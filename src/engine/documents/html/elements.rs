//! Elements of a page, in their order, with what stands in each of them.

use super::tree::HtmlPage;

/// One of them, without what stands in others within it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PageElement<'p> {
    pub(crate) name: &'p str,
    pub(crate) text: String,
    pub(crate) href: Option<&'p str>,
    /// Of the first picture within it that has one.
    pub(crate) alt: Option<&'p str>,
}

impl HtmlPage {
    /// Elements below one, from the top.
    fn below(&self, at: usize) -> Vec<usize> {
        let mut found = Vec::new();
        let mut left = vec![at];
        while let Some(at) = left.pop() {
            let Some(node) = self.nodes.get(at) else { continue };
            if !node.name.is_empty() {
                found.push(at);
            }
            if node.name != "template" {
                left.extend(node.children.iter().rev());
            }
        }
        found
    }

    fn called(&self, name: &str) -> impl Iterator<Item = usize> {
        let all = self.below(self.root()).into_iter();
        let found: Vec<usize> = all.filter(|at| self.nodes.get(*at).is_some_and(|node| node.name == name)).collect();
        found.into_iter()
    }

    fn whole_text(&self, at: usize) -> String {
        let mut text = String::new();
        self.text_of(at, &mut text);
        text
    }

    pub(crate) fn first_title(&self) -> Option<String> {
        self.called("title").next().map(|at| self.whole_text(at))
    }

    /// What the first `meta` with such an attribute says.
    pub(crate) fn meta(&self, attribute: &str, value: &str) -> Option<&str> {
        let nodes = self.called("meta").filter_map(|at| self.nodes.get(at));
        let mut named = nodes.filter(|node| node.attribute(attribute) == Some(value));
        named.next()?.attribute("content").filter(|content| !content.is_empty())
    }

    /// The text of each.
    pub(crate) fn paragraphs(&self) -> Vec<String> {
        self.called("p").map(|at| self.whole_text(at)).collect()
    }

    /// All but styles, scripts and drawings; `of_body`: only what the body holds.
    pub(crate) fn told_elements(&self, of_body: bool) -> Vec<PageElement<'_>> {
        let top = if of_body { self.body.unwrap_or_else(|| self.root()) } else { self.root() };
        let all = self.below(top).into_iter().filter(|at| !of_body || *at != top);
        let element = |at: usize| {
            let node = self.nodes.get(at)?;
            if matches!(node.name.as_str(), "style" | "script" | "svg") {
                return None;
            }
            let texts = node.children.iter().filter_map(|child| self.nodes.get(*child));
            let text = texts.filter(|child| child.name.is_empty()).map(|child| child.text.as_str()).collect();
            let is_link = node.name == "a";
            let pictures = if is_link { self.below(at) } else { Vec::new() };
            let pictures = pictures.into_iter().filter_map(|at| self.nodes.get(at));
            let alt = pictures.filter(|node| node.name == "img").find_map(|node| node.attribute("alt"));
            Some(PageElement { name: &node.name, text, href: node.attribute("href"), alt })
        };
        all.filter_map(element).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_have_their_own_texts() {
        let page = HtmlPage::parse(
            "<title>T</title><body>a <p>b <b>c</b> d</p><a href='/x'>l<img alt=pic></a><script>no</script></body>",
        );
        let told = page.told_elements(true);
        let texts: Vec<(&str, &str)> = told.iter().map(|one| (one.name, one.text.as_str())).collect();
        assert_eq!(texts, [("p", "b  d"), ("b", "c"), ("a", "l"), ("img", "")]);
        assert_eq!((told[2].href, told[2].alt), (Some("/x"), Some("pic")));
        assert_eq!((page.first_title().as_deref(), page.paragraphs()), (Some("T"), vec!["b c d".to_owned()]));
        assert!(page.told_elements(false).iter().any(|one| one.name == "title" && one.text == "T"));
    }
}
