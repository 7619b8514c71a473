//! What a page tells: texts, its title, where it leads.

use super::tree::HtmlPage;

impl HtmlPage {
    /// All text below a node, scripts included; templates are not of the page.
    pub(super) fn text_of(&self, at: usize, out: &mut String) {
        let mut left = vec![at];
        while let Some(at) = left.pop() {
            let Some(node) = self.nodes.get(at) else { continue };
            out.push_str(&node.text);
            if node.name != "template" {
                left.extend(node.children.iter().rev());
            }
        }
    }

    /// The page's title.
    pub(crate) fn title(&self) -> String {
        let mut title = String::new();
        for (at, _) in self.nodes.iter().enumerate().filter(|(_, node)| node.name == "title") {
            self.text_of(at, &mut title);
        }
        title
    }

    /// Each address that a link names, and the address that they are meant from.
    pub(crate) fn links(&self) -> (Vec<&str>, Option<&str>) {
        let of = |name: &'static str| {
            self.nodes.iter().filter(move |node| node.name == name).filter_map(|node| node.attribute("href"))
        };
        (of("a").collect(), of("base").next())
    }

    /// Each piece of text in elements within the first element of that name, a line each.
    pub(crate) fn lines_in(&self, name: &str) -> String {
        let Some(outer) = self.nodes.iter().position(|node| node.name == name) else { return String::new() };
        let mut lines: Vec<&str> = Vec::new();
        let mut left: Vec<usize> = self.children(outer).iter().rev().copied().collect();
        while let Some(at) = left.pop() {
            let children = self.children(at);
            let texts = children.iter().filter_map(|child| self.nodes.get(*child)).map(|node| node.text.trim());
            lines.extend(texts.filter(|text| !text.is_empty()));
            left.extend(children.iter().rev());
        }
        lines.join("\n")
    }

    /// The first heading in the first element of that name.
    pub(crate) fn heading_in(&self, name: &str) -> String {
        let Some(outer) = self.nodes.iter().position(|node| node.name == name) else { return String::new() };
        let mut left: Vec<usize> = self.children(outer).iter().rev().copied().collect();
        let mut text = String::new();
        while let Some(at) = left.pop() {
            if self.nodes.get(at).is_some_and(|node| node.name == "h1") {
                self.text_of(at, &mut text);
                break;
            }
            left.extend(self.children(at).iter().rev());
        }
        text.trim().to_owned()
    }

    /// What a node holds, in order.
    pub(super) fn children(&self, at: usize) -> &[usize] {
        self.nodes.get(at).map(|node| node.children.as_slice()).unwrap_or_default()
    }

    pub(super) fn body(&self) -> Option<usize> {
        self.body
    }

    /// The page itself.
    pub(super) fn root(&self) -> usize {
        self.html
    }
}
