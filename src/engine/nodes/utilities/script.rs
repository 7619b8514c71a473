//! The small part of JavaScript that conditions are written in: `if`, `return`, comparisons, a few methods of texts.
//! What is not in it is refused when a flow is loaded; nothing in it can loop.

mod eval;
mod read;

pub(super) use self::eval::{is_truthy, run};
pub(super) use self::read::parse;

use serde_json::Value;

/// What is done, in order.
pub(super) type Script = Vec<Statement>;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Statement {
    Return(Expression),
    If(Expression, Script, Script),
    /// A name for a value.
    Let(String, Expression),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expression {
    Constant(Value),
    Name(String),
    List(Vec<Expression>),
    Field(Box<Expression>, String),
    Index(Box<Expression>, Box<Expression>),
    Call(Box<Expression>, Method, Option<Box<Expression>>),
    Not(Box<Expression>),
    Minus(Box<Expression>),
    Two(Operator, Box<Expression>, Box<Expression>),
    Choice(Box<Expression>, Box<Expression>, Box<Expression>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Includes,
    StartsWith,
    EndsWith,
    ToLowerCase,
    ToUpperCase,
    Trim,
    ToText,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Or,
    And,
    Same,
    NotSame,
    Equal,
    NotEqual,
    AtMost,
    AtLeast,
    Less,
    More,
    Plus,
    Minus,
}

#[cfg(test)]
mod tests;
