//! How selectors are written.

use super::{Combinator, Selector, SelectorPath, SelectorTest};

/// Selectors within selectors.
const DEEPEST: usize = 8;

impl Selector {
    /// # Errors
    /// What is wrong with it, or not known.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut reader = SelectorReader { rest: text, depth: 0 };
        let selector = reader.list()?;
        if reader.rest.is_empty() { Ok(selector) } else { Err(reader.unexpected()) }
    }
}

struct SelectorReader<'t> {
    rest: &'t str,
    depth: usize,
}

impl SelectorReader<'_> {
    fn unexpected(&self) -> String {
        let found: String = self.rest.chars().take(12).collect();
        format!("the selector cannot be read at \"{found}\"")
    }

    fn space(&mut self) -> bool {
        let before = self.rest.len();
        self.rest = self.rest.trim_start();
        self.rest.len() < before
    }

    fn take(&mut self, wanted: char) -> bool {
        let after = self.rest.strip_prefix(wanted);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    fn list(&mut self) -> Result<Selector, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("the selector is too deep".to_owned());
        }
        let mut paths = Vec::new();
        loop {
            self.space();
            paths.push(self.path()?);
            self.space();
            if !self.take(',') {
                break;
            }
        }
        self.depth -= 1;
        Ok(Selector(paths))
    }

    fn path(&mut self) -> Result<SelectorPath, String> {
        let mut steps = Vec::new();
        let mut nth = None;
        let mut combinator = Combinator::Within;
        loop {
            let mut tests = Vec::new();
            self.compound(&mut tests, &mut nth)?;
            steps.push((combinator, tests));
            let had_space = self.space();
            combinator = match self.rest.chars().next() {
                Some('>') => Combinator::Child,
                Some('+') => Combinator::Next,
                Some('~') => Combinator::After,
                Some(')' | ',') | None => break,
                Some(_) if had_space => Combinator::Within,
                Some(_) => return Err(self.unexpected()),
            };
            if nth.is_some() {
                return Err("the engine knows :first, :last and :eq only at the end of a selector".to_owned());
            }
            if combinator != Combinator::Within {
                self.rest = self.rest.get(1..).unwrap_or_default();
                self.space();
            }
        }
        // Each step is told how it stands to the one after it.
        let combinators: Vec<Combinator> = steps.iter().skip(1).map(|(combinator, _)| *combinator).collect();
        let mut steps: Vec<_> = steps.into_iter().map(|(_, tests)| tests).collect();
        steps.reverse();
        let after = std::iter::once(Combinator::Within).chain(combinators.into_iter().rev());
        Ok(SelectorPath { steps: after.zip(steps).collect(), nth })
    }

    fn compound(&mut self, tests: &mut Vec<SelectorTest>, nth: &mut Option<i64>) -> Result<(), String> {
        let before = self.rest.len();
        if self.take('*') {
            tests.push(SelectorTest::Name("*".to_owned()));
        } else if let Ok(name) = self.name() {
            tests.push(SelectorTest::Name(name.to_ascii_lowercase()));
        }
        loop {
            if self.take('.') {
                let value = self.name()?;
                tests.push(SelectorTest::Attribute { name: "class".to_owned(), kind: '~', value, folds: false });
            } else if self.take('#') {
                let value = self.name()?;
                tests.push(SelectorTest::Attribute { name: "id".to_owned(), kind: '=', value, folds: false });
            } else if self.take('[') {
                tests.push(self.attribute()?);
            } else if self.take(':') {
                self.pseudo(tests, nth)?;
            } else {
                break;
            }
        }
        if self.rest.len() == before { Err(self.unexpected()) } else { Ok(()) }
    }

    /// A name, with what is escaped in it.
    fn name(&mut self) -> Result<String, String> {
        let mut name = String::new();
        let mut letters = self.rest.chars();
        let mut rest = self.rest;
        while let Some(letter) = letters.next() {
            match letter {
                '\\' => name.extend(letters.next()),
                _ if letter.is_alphanumeric() || matches!(letter, '-' | '_') || !letter.is_ascii() => name.push(letter),
                _ => break,
            }
            rest = letters.as_str();
        }
        if name.is_empty() {
            return Err(self.unexpected());
        }
        self.rest = rest;
        Ok(name)
    }

    /// A name, or what stands in quotation marks.
    fn value(&mut self) -> Result<String, String> {
        for quote in ['"', '\''] {
            if let Some(inside) = self.rest.strip_prefix(quote) {
                let (value, after) = inside.split_once(quote).ok_or_else(|| self.unexpected())?;
                self.rest = after;
                return Ok(value.to_owned());
            }
        }
        self.name()
    }

    fn attribute(&mut self) -> Result<SelectorTest, String> {
        self.space();
        let name = self.name()?.to_ascii_lowercase();
        self.space();
        if self.take(']') {
            return Ok(SelectorTest::Attribute { name, kind: ' ', value: String::new(), folds: false });
        }
        let kind =
            self.rest.chars().next().filter(|kind| "=~|^$*!".contains(*kind)).ok_or_else(|| self.unexpected())?;
        self.rest = self.rest.get(1..).unwrap_or_default();
        if kind != '=' && !self.take('=') {
            return Err(self.unexpected());
        }
        self.space();
        let value = self.value()?;
        self.space();
        let folds = self.take('i') || self.take('I');
        self.space();
        if self.take(']') { Ok(SelectorTest::Attribute { name, kind, value, folds }) } else { Err(self.unexpected()) }
    }

    fn pseudo(&mut self, tests: &mut Vec<SelectorTest>, nth: &mut Option<i64>) -> Result<(), String> {
        let name = self.name()?.to_ascii_lowercase();
        let once =
            |offset: i64, from_end: bool, of_name: bool| SelectorTest::Nth { step: 0, offset, from_end, of_name };
        if self.take('(') {
            let test = self.function(&name, nth)?;
            tests.extend(test);
            return if self.take(')') { Ok(()) } else { Err(self.unexpected()) };
        }
        tests.push(match name.as_str() {
            "first-child" => once(1, false, false),
            "last-child" => once(1, true, false),
            "first-of-type" => once(1, false, true),
            "last-of-type" => once(1, true, true),
            "only-child" => SelectorTest::Only { of_name: false },
            "only-of-type" => SelectorTest::Only { of_name: true },
            "empty" => SelectorTest::Empty,
            "root" => SelectorTest::Root,
            "first" => {
                *nth = Some(0);
                return Ok(());
            }
            "last" => {
                *nth = Some(-1);
                return Ok(());
            }
            _ => return Err(format!("the engine does not know the selector :{name}")),
        });
        Ok(())
    }

    fn function(&mut self, name: &str, nth: &mut Option<i64>) -> Result<Option<SelectorTest>, String> {
        let at = |step: (i64, i64), from_end: bool, of_name: bool| {
            Some(SelectorTest::Nth { step: step.0, offset: step.1, from_end, of_name })
        };
        Ok(match name {
            "not" => Some(SelectorTest::Not(self.list()?)),
            "is" | "matches" | "where" => Some(SelectorTest::Is(self.list()?)),
            "has" => Some(SelectorTest::Has(self.list()?)),
            "contains" => {
                let end = self.rest.find(')').ok_or_else(|| self.unexpected())?;
                let (text, after) = self.rest.split_at(end);
                self.rest = after;
                Some(SelectorTest::Contains(text.trim().trim_matches(['"', '\'']).to_owned()))
            }
            "nth-child" => at(self.formula()?, false, false),
            "nth-last-child" => at(self.formula()?, true, false),
            "nth-of-type" => at(self.formula()?, false, true),
            "nth-last-of-type" => at(self.formula()?, true, true),
            "eq" | "nth" => {
                *nth = Some(self.formula()?.1);
                None
            }
            _ => return Err(format!("the engine does not know the selector :{name}()")),
        })
    }

    /// `odd`, `even`, `3`, `2n+1`.
    fn formula(&mut self) -> Result<(i64, i64), String> {
        let end = self.rest.find(')').ok_or_else(|| self.unexpected())?;
        let (formula, after) = self.rest.split_at(end);
        let problem = self.unexpected();
        self.rest = after;
        let formula: String = formula.chars().filter(|letter| !letter.is_whitespace()).collect();
        let formula = formula.to_ascii_lowercase();
        let number =
            |text: &str| text.trim_start_matches('+').parse::<i64>().ok().filter(|number| number.abs() < 1 << 31);
        let parts = match formula.as_str() {
            "odd" => Some((2, 1)),
            "even" => Some((2, 0)),
            _ => match formula.split_once('n') {
                None => number(&formula).map(|offset| (0, offset)),
                Some((step, offset)) => {
                    let step = match step {
                        "" | "+" => Some(1),
                        "-" => Some(-1),
                        step => number(step),
                    };
                    let offset = if offset.is_empty() { Some(0) } else { number(offset) };
                    step.zip(offset)
                }
            },
        };
        parts.ok_or(problem)
    }
}
