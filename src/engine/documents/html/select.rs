//! CSS selectors: which elements of a page are meant. Those of `css-select` that depend on nothing but the page.

mod read;

use std::collections::HashMap;

use super::tree::{HtmlPage, PageNode};

/// Looks at an element, for one selection.
const MOST_WORK: usize = 64 << 20;
/// Bytes of the text of a selection: elements within elements are told once for each.
const LONGEST: usize = 16 << 20;

/// One of several ways to be meant.
#[derive(Debug, Clone)]
pub(crate) struct Selector(Vec<SelectorPath>);

/// From the element itself outwards.
#[derive(Debug, Clone)]
struct SelectorPath {
    steps: Vec<(Combinator, Vec<SelectorTest>)>,
    /// jQuery's, over all that is found: only the one with that number, from the end if it is negative.
    nth: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Combinator {
    Within,
    Child,
    Next,
    After,
}

#[derive(Debug, Clone)]
enum SelectorTest {
    Name(String),
    Attribute {
        name: String,
        kind: char,
        value: String,
        folds: bool,
    },
    Not(Selector),
    Is(Selector),
    Has(Selector),
    Contains(String),
    Empty,
    Root,
    /// `step`, `offset`, from the end, of the same name alone.
    Nth {
        step: i64,
        offset: i64,
        from_end: bool,
        of_name: bool,
    },
    Only {
        of_name: bool,
    },
}

impl Selector {
    /// The text of what it means, one after the other.
    ///
    /// # Errors
    /// There is no end to it.
    pub(crate) fn text_in(&self, page: &HtmlPage) -> Result<String, String> {
        let mut work = MOST_WORK;
        let shown = page.shown();
        let mut places: HashMap<usize, usize> = HashMap::new();
        for path in &self.0 {
            let mut own = Vec::new();
            for (place, at) in shown.iter().enumerate() {
                if page.is_element(*at) && path.means(page, *at, &mut work)? {
                    own.push((place, *at));
                }
            }
            if let Some(nth) = path.nth {
                let count = i64::try_from(own.len()).unwrap_or(i64::MAX);
                let at = usize::try_from(if nth < 0 { count + nth } else { nth }).ok();
                own = at.and_then(|at| own.get(at)).copied().into_iter().collect();
            }
            places.extend(own);
        }
        let mut found: Vec<(usize, usize)> = places.into_iter().collect();
        found.sort_unstable();
        let mut text = String::new();
        for (_, at) in found {
            page.text_of(at, &mut text);
            if text.len() > LONGEST {
                return Err("the text that the selector means is too long".to_owned());
            }
        }
        Ok(text)
    }

    fn means(&self, page: &HtmlPage, at: usize, work: &mut usize) -> Result<bool, String> {
        for path in &self.0 {
            if path.means(page, at, work)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl SelectorPath {
    fn means(&self, page: &HtmlPage, at: usize, work: &mut usize) -> Result<bool, String> {
        self.from(0, page, at, work)
    }

    /// Whether the element fits the step, and those around it the ones after it.
    fn from(&self, step: usize, page: &HtmlPage, at: usize, work: &mut usize) -> Result<bool, String> {
        *work = work.checked_sub(1).ok_or("the selector takes too much work")?;
        let Some((_, tests)) = self.steps.get(step) else { return Ok(true) };
        for test in tests {
            if !test.fits(page, at, work)? {
                return Ok(false);
            }
        }
        let Some((combinator, _)) = self.steps.get(step + 1) else { return Ok(true) };
        let mut next = page.around(*combinator, at, work)?;
        while let Some(at) = next {
            if self.from(step + 1, page, at, work)? {
                return Ok(true);
            }
            next = match combinator {
                Combinator::Within | Combinator::After => page.around(*combinator, at, work)?,
                Combinator::Child | Combinator::Next => None,
            };
        }
        Ok(false)
    }
}

impl SelectorTest {
    fn fits(&self, page: &HtmlPage, at: usize, work: &mut usize) -> Result<bool, String> {
        let Some(node) = page.nodes.get(at) else { return Ok(false) };
        Ok(match self {
            Self::Name(name) => name == "*" || node.name == *name,
            Self::Attribute { name, kind, value, folds } => {
                node.attribute(name).is_some_and(|found| attribute_fits(found, *kind, value, *folds))
            }
            Self::Not(selector) => !selector.means(page, at, work)?,
            Self::Is(selector) => selector.means(page, at, work)?,
            Self::Has(selector) => {
                let mut left = node.children.clone();
                while let Some(inner) = left.pop() {
                    if page.is_element(inner) && selector.means(page, inner, work)? {
                        return Ok(true);
                    }
                    left.extend(page.nodes.get(inner).map(|node| node.children.as_slice()).unwrap_or_default());
                }
                false
            }
            Self::Contains(text) => {
                let mut all = String::new();
                page.text_of(at, &mut all);
                *work = work.checked_sub(all.len()).ok_or("the selector takes too much work")?;
                all.contains(text.as_str())
            }
            Self::Empty => node.children.is_empty(),
            Self::Root => at == page.root(),
            Self::Nth { step, offset, from_end, of_name } => {
                let (before, after) = page.siblings(at, *of_name, work)?;
                let number = if *from_end { after } else { before } + 1;
                let distance = number - offset;
                if *step == 0 { distance == 0 } else { distance % step == 0 && distance / step >= 0 }
            }
            Self::Only { of_name } => page.siblings(at, *of_name, work)? == (0, 0),
        })
    }
}

fn attribute_fits(found: &str, kind: char, value: &str, folds: bool) -> bool {
    let (found, value) =
        if folds { (found.to_lowercase(), value.to_lowercase()) } else { (found.to_owned(), value.to_owned()) };
    let is_some = !value.is_empty();
    match kind {
        '=' => found == value,
        '~' => found.split_ascii_whitespace().any(|word| word == value),
        '|' => found == value || found.strip_prefix(&value).is_some_and(|rest| rest.starts_with('-')),
        '^' => is_some && found.starts_with(&value),
        '$' => is_some && found.ends_with(&value),
        '*' => is_some && found.contains(&value),
        '!' => found != value,
        _ => true,
    }
}

impl HtmlPage {
    fn is_element(&self, at: usize) -> bool {
        at > 0 && self.nodes.get(at).is_some_and(|node| !node.name.is_empty())
    }

    /// Elements and texts in the order of the page; what a template holds is not of it.
    fn shown(&self) -> Vec<usize> {
        let mut shown = Vec::with_capacity(self.nodes.len());
        let mut left = vec![0];
        while let Some(at) = left.pop() {
            let Some(node) = self.nodes.get(at) else { continue };
            shown.push(at);
            if node.name != "template" {
                left.extend(node.children.iter().rev());
            }
        }
        shown
    }

    fn elements_beside(&self, at: usize) -> Vec<usize> {
        let parent = self.nodes.get(at).and_then(|node| self.nodes.get(node.parent));
        let children = parent.map(|parent| parent.children.as_slice()).unwrap_or_default();
        children.iter().copied().filter(|child| self.is_element(*child)).collect()
    }

    fn around(&self, combinator: Combinator, at: usize, work: &mut usize) -> Result<Option<usize>, String> {
        Ok(match combinator {
            Combinator::Within | Combinator::Child => {
                self.nodes.get(at).map(|node| node.parent).filter(|parent| self.is_element(*parent))
            }
            Combinator::Next | Combinator::After => {
                let beside = self.elements_beside(at);
                *work = work.checked_sub(beside.len()).ok_or("the selector takes too much work")?;
                let place = beside.iter().position(|sibling| *sibling == at);
                place.and_then(|place| beside.get(place.checked_sub(1)?)).copied()
            }
        })
    }

    /// How many stand before and after it.
    fn siblings(&self, at: usize, of_name: bool, work: &mut usize) -> Result<(i64, i64), String> {
        let name = |at: usize| self.nodes.get(at).map_or("", |node: &PageNode| &node.name);
        let beside = self.elements_beside(at);
        *work = work.checked_sub(beside.len()).ok_or("the selector takes too much work")?;
        let beside: Vec<usize> = beside.into_iter().filter(|other| !of_name || name(*other) == name(at)).collect();
        let place = beside.iter().position(|other| *other == at).unwrap_or(0);
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        Ok((count(place), count(beside.len().saturating_sub(place + 1))))
    }
}
