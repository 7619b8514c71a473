//! What is near to a question and differs from the rest: maximal marginal relevance, as `LangChain` reckons it.

/// The places of the chosen, in the order of their choice.
pub(super) fn most_marginal(question: &[f32], vectors: &[&[f32]], lambda: f64, most: usize) -> Vec<usize> {
    let to_question: Vec<f64> = vectors.iter().map(|vector| cosine(question, vector)).collect();
    // How near each is to the nearest of the chosen.
    let mut to_chosen = vec![f64::NEG_INFINITY; vectors.len()];
    let mut chosen: Vec<usize> = Vec::new();
    while chosen.len() < most.min(vectors.len()) {
        let score = |place: usize, near: f64| {
            let other = to_chosen.get(place).copied().filter(|other| other.is_finite());
            other.map_or(near, |other| lambda * near - (1.0 - lambda) * other)
        };
        let left = to_question.iter().enumerate().filter(|(place, _)| !chosen.contains(place));
        let mut best: Option<(usize, f64)> = None;
        for (place, score) in left.map(|(place, near)| (place, score(place, *near))) {
            // Of equals the first.
            if best.is_none_or(|(_, known)| score > known) {
                best = Some((place, score));
            }
        }
        let Some((place, _)) = best else { break };
        let Some(vector) = vectors.get(place) else { break };
        for (other, near) in vectors.iter().zip(&mut to_chosen) {
            *near = near.max(cosine(other, vector));
        }
        chosen.push(place);
    }
    chosen
}

fn cosine(one: &[f32], other: &[f32]) -> f64 {
    let product = |one: &[f32], other: &[f32]| -> f64 {
        one.iter().zip(other).map(|(one, other)| f64::from(*one) * f64::from(*other)).sum()
    };
    let length = product(one, one).sqrt() * product(other, other).sqrt();
    if length > 0.0 { product(one, other) / length } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near_and_differs_is_chosen() {
        let vectors: &[&[f32]] = &[&[1.0, 0.1], &[1.0, 0.0], &[1.0, 0.01], &[0.6, 0.8]];
        assert_eq!(most_marginal(&[1.0, 0.0], vectors, 1.0, 3), [1, 2, 0]);
        assert_eq!(most_marginal(&[1.0, 0.0], vectors, 0.3, 2), [1, 3]);
        assert_eq!(most_marginal(&[1.0, 0.0], vectors, 0.5, 9).len(), 4);
        assert_eq!(most_marginal(&[1.0], &[], 0.5, 2), Vec::<usize>::new());
    }
}
