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
mod tests {
    use super::*;

    /// Expected: what Flowise 3.1.4's calculator said.
    #[test]
    fn expressions_are_calculated_as_in_flowise() {
        for (expression, result) in [
            ("6*7", "42"),
            ("1+2*3", "7"),
            ("(1+2)*3", "9"),
            ("2^3^2", "64"),
            ("-2^2", "-4"),
            ("10/3", "3.333333333333333"),
            ("0.1+0.2", "0.3"),
            ("1/0", "Infinity"),
            ("-1/0", "-Infinity"),
            ("0/0", "NaN"),
            ("root4", "2"),
            ("sin30", "0.5"),
            ("sin(30)+1", "1.5"),
            ("sin-30", "-0.5"),
            ("2sin30", "1"),
            ("tan45", "1"),
            ("acos(1)", "0"),
            ("pi", "3.141592653589793"),
            ("2pi", "6.283185307179586"),
            ("2e", "5.43656365691809"),
            ("5!", "120"),
            ("3!!", "720"),
            ("-3!", "-6"),
            ("4!+1", "25"),
            ("5 Mod 3", "2"),
            ("3P2", "6"),
            ("5C2", "10"),
            ("log(100)", "2"),
            ("ln e", "1"),
            ("pow(2,10)", "1024"),
            ("int(2.7)", "2"),
            ("(2)(3)", "6"),
            ("2--2", "4"),
            ("2+-+3", "-1"),
            ("2*-3", "-6"),
            ("-(2+3)", "-5"),
            (".5+.5", "1"),
            ("12  *  3", "36"),
            ("10^21", "1e+21"),
            ("99999999999*99999999999", "9.9999999998e+21"),
            ("2/3*100", "66.66666666666666"),
            ("333382/1932", "172.55797101449275"),
            ("5&3", "1"),
            ("(1+2", "3"),
            ("1.005*1000", "1004.9999999999999"),
            ("100000000000000000000", "100000000000000000000"),
            ("1234567890123456789", "1234567890123456800"),
            ("0.0000001", "1e-7"),
            ("3 + 4 * 2 / ( 1 - 5 ) ^ 2", "3.5"),
            ("1-1-1", "-1"),
            ("8/4/2", "1"),
            ("root(2)*root(2)", "2"),
        ] {
            assert_eq!(evaluated(expression).as_deref(), Some(result), "{expression}");
        }
    }

    /// In these Flowise counts for ever.
    #[test]
    fn numbers_that_cannot_be_counted_up_to_are_factors_all_the_same() {
        for (expression, result) in [
            ("1e17P5", "1e+85"),
            ("9007199254740993P2", "8.112963841460667e+31"),
            ("1e17C3", "1.6666666666666667e+50"),
            ("1e300P2", "Infinity"),
            ("(1/0)P3", "Infinity"),
            ("2P5", "0"),
            ("5C7", "1"),
            ("5C5", "1"),
            ("5P0", "1"),
            ("0!", "1"),
            ("(0/0)P3", "NaN"),
        ] {
            assert_eq!(evaluated(expression).as_deref(), Some(result), "{expression}");
        }
        for expression in ["5P(1/0)", "(1/0)!", "1e17P1e17", "1e17!", "5P99999", "(1/0)C(1/0)"] {
            assert_eq!(evaluated(expression), None, "{expression}");
        }
    }

    #[test]
    fn what_flowise_cannot_read_or_reads_wrong_is_right_here() {
        for (expression, result) in [("1e3", "1000"), ("2^-1", "0.5"), ("10^-7", "1e-7"), ("sqrt(4)", "2")] {
            assert_eq!(evaluated(expression).as_deref(), Some(result), "{expression}");
        }
    }

    #[test]
    fn what_is_no_expression_has_no_result() {
        let deep = "(".repeat(400);
        let expressions = [
            "",
            "abc",
            "3+",
            "1+2)",
            "1.5.2",
            "1 2",
            "2**3",
            "50%",
            "$5",
            "1,000+1",
            "2.",
            "1..2",
            "5P",
            "0.5!",
            "99999999!",
            &deep,
        ];
        for expression in expressions {
            assert_eq!(evaluated(expression), None, "{expression}");
        }
    }
}
