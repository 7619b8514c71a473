//! From a script to what it returns.

use serde_json::{Map, Number, Value};

use super::{Expression, Method, Operator, Script, Statement};

/// Of a text that is put together. Names for values are, with each statement, twice as long.
const LONGEST: usize = 16 * 1024 * 1024;

/// What is returned; `None`: nothing.
///
/// # Errors
/// A text gets too long.
pub(crate) fn run(script: &Script, scope: &mut Map<String, Value>) -> Result<Option<Value>, String> {
    for statement in script {
        match statement {
            Statement::Return(value) => return Ok(Some(eval(value, scope)?)),
            Statement::Let(name, value) => {
                let value = eval(value, scope)?;
                scope.insert(name.clone(), value);
            }
            Statement::If(condition, then, otherwise) => {
                let way = if is_truthy(&eval(condition, scope)?) { then } else { otherwise };
                if let Some(value) = run(way, scope)? {
                    return Ok(Some(value));
                }
            }
        }
    }
    Ok(None)
}

/// What counts as true.
pub(crate) fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64().is_some_and(|number| number != 0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(_) | Value::Object(_) => true,
    }
}

fn eval(expression: &Expression, scope: &Map<String, Value>) -> Result<Value, String> {
    Ok(match expression {
        Expression::Constant(value) => value.clone(),
        Expression::Name(name) => scope.get(name).cloned().unwrap_or_default(),
        Expression::List(items) => items.iter().map(|item| eval(item, scope)).collect::<Result<_, _>>()?,
        Expression::Field(of, name) => field(&eval(of, scope)?, name),
        Expression::Index(of, at) => field(&eval(of, scope)?, &text(&eval(at, scope)?)),
        Expression::Call(of, method, argument) => {
            let argument = argument.as_ref().map_or(Ok(Value::Null), |argument| eval(argument, scope))?;
            call(&eval(of, scope)?, *method, &argument)
        }
        Expression::Not(value) => (!is_truthy(&eval(value, scope)?)).into(),
        Expression::Minus(value) => number(-numeric(&eval(value, scope)?)),
        Expression::Choice(condition, then, otherwise) => {
            eval(if is_truthy(&eval(condition, scope)?) { then } else { otherwise }, scope)?
        }
        Expression::Two(operator, left, right) => two(*operator, eval(left, scope)?, || eval(right, scope))?,
    })
}

fn two(operator: Operator, left: Value, right: impl FnOnce() -> Result<Value, String>) -> Result<Value, String> {
    match operator {
        Operator::Or => return if is_truthy(&left) { Ok(left) } else { right() },
        Operator::And => return if is_truthy(&left) { right() } else { Ok(left) },
        _ => {}
    }
    let right = right()?;
    Ok(match operator {
        Operator::Same => same(&left, &right).into(),
        Operator::NotSame => (!same(&left, &right)).into(),
        Operator::Equal => equal(&left, &right).into(),
        Operator::NotEqual => (!equal(&left, &right)).into(),
        Operator::Plus if left.is_string() || right.is_string() => {
            let joined = text(&left) + &text(&right);
            if joined.len() > LONGEST {
                return Err("a condition puts together a text that is too long".to_owned());
            }
            joined.into()
        }
        Operator::Plus => number(numeric(&left) + numeric(&right)),
        Operator::Minus => number(numeric(&left) - numeric(&right)),
        compared => compare(compared, &left, &right).into(),
    })
}

fn compare(operator: Operator, left: &Value, right: &Value) -> bool {
    use std::cmp::Ordering::{Equal, Greater, Less};
    let order = match (left, right) {
        (Value::String(left), Value::String(right)) => Some(left.encode_utf16().cmp(right.encode_utf16())),
        _ => numeric(left).partial_cmp(&numeric(right)),
    };
    match operator {
        Operator::Less => order == Some(Less),
        Operator::More => order == Some(Greater),
        Operator::AtMost => matches!(order, Some(Less | Equal)),
        _ => matches!(order, Some(Greater | Equal)),
    }
}

/// `===`; two lists or objects are never the same, as they come from different places.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64() == right.as_f64(),
        (Value::Array(_) | Value::Object(_), _) => false,
        _ => left == right,
    }
}

/// `==`
fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Null, _) | (_, Value::Null) | (Value::String(_), Value::String(_)) => left == right,
        (Value::Array(_) | Value::Object(_), Value::Array(_) | Value::Object(_)) => false,
        (Value::Array(_) | Value::Object(_), other) | (other, Value::Array(_) | Value::Object(_)) => {
            text(left) == text(right) && other.is_string()
        }
        _ => numeric(left).partial_cmp(&numeric(right)) == Some(std::cmp::Ordering::Equal),
    }
}

fn field(of: &Value, name: &str) -> Value {
    match (of, name) {
        (Value::String(text), "length") => text.encode_utf16().count().into(),
        (Value::Array(items), "length") => items.len().into(),
        (Value::Array(items), at) => at.parse().ok().and_then(|at: usize| items.get(at)).cloned().unwrap_or_default(),
        (of, name) => of.get(name).cloned().unwrap_or_default(),
    }
}

fn call(of: &Value, method: Method, argument: &Value) -> Value {
    if let (Value::Array(items), Method::Includes) = (of, method) {
        return items.iter().any(|item| same(item, argument)).into();
    }
    let own = text(of);
    match method {
        Method::Includes => own.contains(&text(argument)).into(),
        Method::StartsWith => own.starts_with(&text(argument)).into(),
        Method::EndsWith => own.ends_with(&text(argument)).into(),
        Method::ToLowerCase => own.to_lowercase().into(),
        Method::ToUpperCase => own.to_uppercase().into(),
        Method::Trim => own.trim().into(),
        Method::ToText => own.into(),
    }
}

/// As JavaScript makes a number of a value.
fn numeric(value: &Value) -> f64 {
    match value {
        Value::Null => 0.0,
        Value::Bool(value) => f64::from(*value),
        Value::Number(number) => number.as_f64().unwrap_or(f64::NAN),
        Value::String(text) if text.trim().is_empty() => 0.0,
        Value::String(text) => text.trim().parse().unwrap_or(f64::NAN),
        Value::Array(_) | Value::Object(_) => f64::NAN,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "whole, and within what a double holds exactly")]
fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 9e15 {
        return (value as i64).into();
    }
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(","),
        Value::Object(_) => "[object Object]".to_owned(),
        value => value.to_string(),
    }
}
