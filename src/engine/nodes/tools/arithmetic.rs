//! Expressions of the calculator, as math-expression-evaluator reads them: `^` from the left, angles in degrees, `2pi`
//! and `sin30` without signs between. Numbers are told as JavaScript tells them.

mod numbers;

use self::numbers::{FUNCTIONS, Function, and, arrangements, choices, factorial, rounded, told};

/// Longer expressions are nothing that a model would calculate.
const LONGEST: usize = 1000;
/// Brackets within brackets.
const DEEPEST: usize = 50;

/// The result; `None`: it cannot be understood.
pub(super) fn evaluated(expression: &str) -> Option<String> {
    if expression.len() > LONGEST {
        return None;
    }
    let mut reader = ExpressionParser { rest: expression, depth: 0 };
    let value = reader.sum()?;
    reader.skip();
    reader.rest.is_empty().then(|| told(rounded(value)))
}

struct ExpressionParser<'a> {
    rest: &'a str,
    depth: usize,
}

/// What a value was made of, since numbers alone do not multiply without a sign.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OperandKind {
    Number,
    Other,
}

impl ExpressionParser<'_> {
    fn skip(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, sign: &str) -> bool {
        self.skip();
        let left = self.rest.strip_prefix(sign);
        self.rest = left.unwrap_or(self.rest);
        left.is_some()
    }

    fn sum(&mut self) -> Option<f64> {
        let mut value = self.product()?;
        loop {
            if self.take("+") {
                value += self.product()?;
            } else if self.take("-") {
                value -= self.product()?;
            } else if self.take("&") {
                value = and(value, self.product()?);
            } else {
                return Some(value);
            }
        }
    }

    fn product(&mut self) -> Option<f64> {
        let (mut value, mut kind) = self.signed()?;
        loop {
            if self.rest.trim_start().starts_with("**") {
                return None;
            }
            if self.take("*") {
                let factor;
                (factor, kind) = self.signed()?;
                value *= factor;
            } else if self.take("/") {
                let divisor;
                (divisor, kind) = self.signed()?;
                value /= divisor;
            } else if self.take("Mod") {
                let divisor;
                (divisor, kind) = self.signed()?;
                value %= divisor;
            } else if self.multiplies(kind) {
                let factor;
                (factor, kind) = self.power()?;
                value *= factor;
            } else {
                return Some(value);
            }
        }
    }

    /// Whether a further factor follows without a sign.
    fn multiplies(&mut self, kind: OperandKind) -> bool {
        self.skip();
        match self.rest.chars().next() {
            Some('(') => true,
            Some('0'..='9' | '.') => kind == OperandKind::Other,
            Some(letter) => letter.is_ascii_alphabetic() && !self.rest.starts_with(['P', 'C']),
            None => false,
        }
    }

    fn signed(&mut self) -> Option<(f64, OperandKind)> {
        let mut is_negative = false;
        loop {
            if self.take("-") {
                is_negative = !is_negative;
            } else if !self.take("+") {
                break;
            }
        }
        let (value, kind) = self.power()?;
        Some((if is_negative { -value } else { value }, kind))
    }

    fn power(&mut self) -> Option<(f64, OperandKind)> {
        let (mut value, mut kind) = self.factor()?;
        loop {
            if self.take("^") {
                value = value.powf(self.exponent()?);
            } else if self.take("P") {
                value = arrangements(value, self.exponent()?)?;
            } else if self.take("C") {
                value = choices(value, self.exponent()?)?;
            } else {
                return Some((value, kind));
            }
            kind = OperandKind::Other;
        }
    }

    fn exponent(&mut self) -> Option<f64> {
        let mut is_negative = false;
        while self.take("-") {
            is_negative = !is_negative;
        }
        let (value, _) = self.factor()?;
        Some(if is_negative { -value } else { value })
    }

    fn factor(&mut self) -> Option<(f64, OperandKind)> {
        let (mut value, mut kind) = self.operand()?;
        while self.take("!") {
            value = factorial(value)?;
            kind = OperandKind::Other;
        }
        Some((value, kind))
    }

    fn operand(&mut self) -> Option<(f64, OperandKind)> {
        self.skip();
        if self.rest.starts_with(|letter: char| letter.is_ascii_digit() || letter == '.') {
            return Some((self.number()?, OperandKind::Number));
        }
        let value = if self.take("(") {
            self.bracketed()?
        } else if self.take("pow") {
            self.require("(")?;
            let base = self.sum()?;
            self.require(",")?;
            base.powf(self.bracketed()?)
        } else if let Some(function) = self.function() {
            let argument = if self.take("(") { self.bracketed()? } else { self.exponent()? };
            function(argument)
        } else if self.take("pi") {
            std::f64::consts::PI
        } else if self.take("e") {
            std::f64::consts::E
        } else {
            return None;
        };
        Some((value, OperandKind::Other))
    }

    /// Up to the bracket's end, which may be missing where the expression ends.
    fn bracketed(&mut self) -> Option<f64> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return None;
        }
        let value = self.sum()?;
        self.depth -= 1;
        (self.take(")") || self.rest.is_empty()).then_some(value)
    }

    fn require(&mut self, sign: &str) -> Option<()> {
        self.take(sign).then_some(())
    }

    fn function(&mut self) -> Option<Function> {
        FUNCTIONS.iter().find(|(name, _)| self.take(name)).map(|(_, function)| *function)
    }

    fn number(&mut self) -> Option<f64> {
        let digits = |text: &str| text.len() - text.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
        let mut end = digits(self.rest);
        if let Some(fraction) = self.rest.get(end..).and_then(|rest| rest.strip_prefix('.')) {
            let length = digits(fraction);
            if length == 0 || fraction.get(length..).is_some_and(|rest| rest.starts_with('.')) {
                return None;
            }
            end += 1 + length;
        }
        if let Some(exponent) = self.rest.get(end..).and_then(|rest| rest.strip_prefix(['e', 'E'])) {
            let unsigned = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            let length = digits(unsigned);
            if length > 0 {
                end += 1 + (exponent.len() - unsigned.len()) + length;
            }
        }
        let (number, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        number.parse().ok()
    }
}

#[cfg(test)]
mod tests;
