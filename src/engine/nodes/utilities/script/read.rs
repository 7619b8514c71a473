//! From a text to a script.

use serde_json::Value;

use super::{Expression, Method, Operator, Script, Statement};
use crate::engine::text::scanner::Scanner;

/// Brackets and blocks within each other.
const DEEPEST: usize = 40;
/// In one script. A row of operators or of fields is as deep as it is long.
const MOST_EXPRESSIONS: usize = 250;
/// Looser ones first; within one, longer signs first.
const OPERATORS: &[&[(&str, Operator)]] = &[
    &[("||", Operator::Or)],
    &[("&&", Operator::And)],
    &[("===", Operator::Same), ("!==", Operator::NotSame), ("==", Operator::Equal), ("!=", Operator::NotEqual)],
    &[("<=", Operator::AtMost), (">=", Operator::AtLeast), ("<", Operator::Less), (">", Operator::More)],
    &[("+", Operator::Plus), ("-", Operator::Minus)],
];

/// # Errors
/// What in the text is not understood.
pub(crate) fn parse(text: &str, names: &[String]) -> Result<Script, String> {
    let mut reader = ScriptParser { scan: Scanner::new(text), depth: 0, count: 0, names: names.to_vec() };
    let script = reader.statements()?;
    if reader.scan.rest.is_empty() { Ok(script) } else { Err(reader.unknown()) }
}

struct ScriptParser<'a> {
    scan: Scanner<'a>,
    depth: usize,
    /// Expressions so far.
    count: usize,
    /// Those that have a value.
    names: Vec<String>,
}

impl<'a> ScriptParser<'a> {
    fn unknown(&self) -> String {
        Self::unknown_at(self.scan)
    }

    fn unknown_at(place: Scanner<'_>) -> String {
        let beginning: String = place.rest.chars().take(30).collect();
        format!("the engine evaluates simple conditions only, and does not know \"{beginning}\"")
    }

    fn deeper(&mut self) -> Result<(), String> {
        self.depth += 1;
        if self.depth > DEEPEST { Err("the code is nested too deeply".to_owned()) } else { Ok(()) }
    }

    fn one_more(&mut self) -> Result<(), String> {
        self.count += 1;
        if self.count > MOST_EXPRESSIONS { Err("the code is too long".to_owned()) } else { Ok(()) }
    }

    fn statements(&mut self) -> Result<Script, String> {
        let mut script = Script::new();
        loop {
            while self.take(";") {}
            if self.scan.rest.is_empty() || self.scan.rest.starts_with('}') {
                return Ok(script);
            }
            script.push(self.statement()?);
        }
    }

    fn statement(&mut self) -> Result<Statement, String> {
        if self.take_word("return") {
            let value = if self.scan.rest.is_empty() || self.scan.rest.starts_with([';', '}']) {
                Expression::Constant(Value::Null)
            } else {
                self.expression()?
            };
            return Ok(Statement::Return(value));
        }
        if self.take_word("if") {
            self.require("(")?;
            let condition = self.expression()?;
            self.require(")")?;
            let then = self.block()?;
            while self.take(";") {}
            let otherwise = if self.take_word("else") { self.block()? } else { Script::new() };
            return Ok(Statement::If(condition, then, otherwise));
        }
        if self.take_word("const") || self.take_word("let") || self.take_word("var") {
            let name = self.word()?.to_owned();
            self.require("=")?;
            let value = self.expression()?;
            self.names.push(name.clone());
            return Ok(Statement::Let(name, value));
        }
        Err(self.unknown())
    }

    fn block(&mut self) -> Result<Script, String> {
        self.deeper()?;
        let known = self.names.len();
        let block = if self.take("{") {
            let block = self.statements()?;
            self.require("}")?;
            block
        } else {
            vec![self.statement()?]
        };
        self.names.truncate(known);
        self.depth -= 1;
        Ok(block)
    }

    fn expression(&mut self) -> Result<Expression, String> {
        self.deeper()?;
        let mut value = self.operators(OPERATORS)?;
        if self.take("?") {
            let then = self.expression()?;
            self.require(":")?;
            value = Expression::Choice(value.into(), then.into(), self.expression()?.into());
        }
        self.depth -= 1;
        Ok(value)
    }

    fn operators(&mut self, levels: &[&[(&str, Operator)]]) -> Result<Expression, String> {
        let Some((level, tighter)) = levels.split_first() else { return self.unary() };
        let mut value = self.operators(tighter)?;
        while let Some((_, operator)) = level.iter().find(|(sign, _)| self.take(sign)) {
            value = Expression::Two(*operator, value.into(), self.operators(tighter)?.into());
        }
        Ok(value)
    }

    fn unary(&mut self) -> Result<Expression, String> {
        self.deeper()?;
        let value = if self.take("!") {
            Expression::Not(self.unary()?.into())
        } else if self.take("-") {
            Expression::Minus(self.unary()?.into())
        } else {
            self.postfix()?
        };
        self.depth -= 1;
        Ok(value)
    }

    fn postfix(&mut self) -> Result<Expression, String> {
        let mut value = self.primary()?;
        loop {
            self.one_more()?;
            if self.take("?.") || self.take(".") {
                let name = self.word()?.to_owned();
                value = if self.take("(") { self.call(value, &name)? } else { Expression::Field(value.into(), name) };
            } else if self.take("[") {
                value = Expression::Index(value.into(), self.expression()?.into());
                self.require("]")?;
            } else {
                return Ok(value);
            }
        }
    }

    fn call(&mut self, of: Expression, name: &str) -> Result<Expression, String> {
        let (method, takes) = match name {
            "includes" => (Method::Includes, true),
            "startsWith" => (Method::StartsWith, true),
            "endsWith" => (Method::EndsWith, true),
            "toLowerCase" => (Method::ToLowerCase, false),
            "toUpperCase" => (Method::ToUpperCase, false),
            "trim" => (Method::Trim, false),
            "toString" => (Method::ToText, false),
            _ => return Err(format!("the engine evaluates simple conditions only, and does not know {name}()")),
        };
        let argument = if takes { Some(Box::new(self.expression()?)) } else { None };
        self.require(")")?;
        Ok(Expression::Call(of.into(), method, argument))
    }

    fn primary(&mut self) -> Result<Expression, String> {
        match self.scan.next() {
            Some('"' | '\'' | '`') => Ok(Expression::Constant(self.text()?.into())),
            Some('0'..='9') => self.number(),
            Some('(') => {
                self.require("(")?;
                let value = self.expression()?;
                self.require(")")?;
                Ok(value)
            }
            Some('[') => self.list(),
            _ => self.name(),
        }
    }

    fn list(&mut self) -> Result<Expression, String> {
        self.require("[")?;
        let mut items = Vec::new();
        while !self.take("]") {
            items.push(self.expression()?);
            if !self.take(",") {
                self.require("]")?;
                break;
            }
        }
        Ok(Expression::List(items))
    }

    fn name(&mut self) -> Result<Expression, String> {
        let before = self.scan;
        let word = self.word()?;
        Ok(match word {
            "true" => Expression::Constant(true.into()),
            "false" => Expression::Constant(false.into()),
            "null" | "undefined" => Expression::Constant(Value::Null),
            name if self.names.iter().any(|known| known == name) => Expression::Name(name.to_owned()),
            _ => return Err(Self::unknown_at(before)),
        })
    }

    fn number(&mut self) -> Result<Expression, String> {
        let before = self.scan;
        let digits = self.scan.until(|letter| !letter.is_ascii_digit() && letter != '.');
        serde_json::from_str(digits).map(Expression::Constant).map_err(|_| Self::unknown_at(before))
    }

    fn text(&mut self) -> Result<String, String> {
        let before = self.scan;
        let is_template = before.rest.starts_with('`');
        let mut text = String::new();
        let ended = self.scan.quoted(|letter, is_escaped| {
            text.push(match letter {
                'n' if is_escaped => '\n',
                't' if is_escaped => '\t',
                letter => letter,
            });
        });
        if ended.is_none() || (is_template && text.contains("${")) {
            return Err(Self::unknown_at(before));
        }
        Ok(text)
    }

    fn word(&mut self) -> Result<&'a str, String> {
        let word = self.scan.word();
        if word.is_empty() { Err(self.unknown()) } else { Ok(word) }
    }

    fn take_word(&mut self, wanted: &str) -> bool {
        let before = self.scan;
        let is_there = self.scan.word() == wanted;
        if !is_there {
            self.scan = before;
        }
        self.scan.skip_blank();
        is_there
    }

    fn take(&mut self, sign: &str) -> bool {
        let is_there = self.scan.take(sign);
        self.scan.skip_blank();
        is_there
    }

    fn require(&mut self, sign: &str) -> Result<(), String> {
        if self.take(sign) { Ok(()) } else { Err(self.unknown()) }
    }
}
