//! What the calculator does with numbers, as JavaScript does it.

/// Factors of a factorial or a choice.
const MOST_FACTORS: f64 = 10_000.0;

pub(super) type Function = fn(f64) -> f64;

/// Longer names first.
pub(super) const FUNCTIONS: &[(&str, Function)] = &[
    ("acosh", f64::acosh),
    ("asinh", f64::asinh),
    ("atanh", f64::atanh),
    ("acos", |x| x.acos().to_degrees()),
    ("asin", |x| x.asin().to_degrees()),
    ("atan", |x| x.atan().to_degrees()),
    ("cosh", f64::cosh),
    ("sinh", f64::sinh),
    ("tanh", f64::tanh),
    ("cos", |x| (x * std::f64::consts::PI / 180.0).cos()),
    ("sin", |x| (x * std::f64::consts::PI / 180.0).sin()),
    ("tan", |x| (x * std::f64::consts::PI / 180.0).tan()),
    ("root", f64::sqrt),
    ("sqrt", f64::sqrt),
    ("int", f64::floor),
    ("log", |x| x.ln() / std::f64::consts::LN_10),
    ("ln", f64::ln),
];

/// To 15 digits behind the point.
pub(super) fn rounded(value: f64) -> f64 {
    if value.is_finite() && value.abs() < 1e21 { format!("{value:.15}").parse().unwrap_or(value) } else { value }
}

/// As JavaScript writes a number.
pub(super) fn told(value: f64) -> String {
    let size = value.abs();
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "Infinity".to_owned() } else { "-Infinity".to_owned() }
    } else if size == 0.0 {
        "0".to_owned()
    } else if size >= 1e21 {
        format!("{value:e}").replace('e', "e+")
    } else if size < 1e-6 {
        format!("{value:e}")
    } else {
        value.to_string()
    }
}

/// Of the bits of 32-bit whole numbers.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "as JavaScript's operator does")]
pub(super) fn and(a: f64, b: f64) -> f64 {
    let bits = |x: f64| if x.is_finite() { (x.rem_euclid(4_294_967_296.0) as u32).cast_signed() } else { 0 };
    f64::from(bits(a.trunc()) & bits(b.trunc()))
}

/// The product of so many numbers, each one less than the next, the last of which is `to`. They are counted, not
/// compared: above 2^53 a float and one is the same float.
fn product(count: f64, to: f64) -> Option<f64> {
    if count > MOST_FACTORS {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded; less than none is none")]
    let count = count as u32;
    Some((0..count).rev().fold(1.0, |product, less| product * (to - f64::from(less))))
}

pub(super) fn factorial(of: f64) -> Option<f64> {
    if of.fract() == 0.0 { product(of - 1.0, of) } else { None }
}

pub(super) fn arrangements(of: f64, taken: f64) -> Option<f64> {
    product(taken.floor(), of.floor())
}

pub(super) fn choices(of: f64, taken: f64) -> Option<f64> {
    let fewer = if taken < of - taken { taken } else { of - taken };
    Some(product(fewer, of)? / factorial(fewer)?)
}
