//! Times, told by their quantiles.

use perflab::quantile;

/// Of nanoseconds, in microseconds.
pub fn dist(mut v: Vec<u64>) -> String {
    v.sort_unstable();
    let us = |q| quantile(&v, q) as f64 / 1000.0;
    format!(
        "{{\"n\":{},\"p50\":{:.1},\"p90\":{:.1},\"p99\":{:.1},\"p999\":{:.1},\"max\":{:.1}}}",
        v.len(),
        us(0.5),
        us(0.9),
        us(0.99),
        us(0.999),
        us(1.0)
    )
}
