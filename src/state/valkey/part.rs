//! Whether a Cluster answers in part, when the node does not that counts the replicas.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::link::Link;

/// Names that are asked for: one figure is all that tells them apart, so they lie in all quarters of the slots.
const PLACES: u32 = 8;

/// Whether some node answers for what it has. One that serves nothing because others are gone does not.
pub(super) async fn answers_in_part(link: &Link, prefix: &str, patience: Duration) -> bool {
    if !matches!(link, Link::Cluster(_)) {
        return false;
    }
    let mut questions = JoinSet::new();
    for key in places(prefix) {
        let mut link = link.clone();
        questions.spawn(async move { redis::cmd("GET").arg(key).exec_async(&mut link).await.is_ok() });
    }
    let first = async {
        while let Some(answer) = questions.join_next().await {
            if answer.unwrap_or(false) {
                return true;
            }
        }
        false
    };
    timeout(patience, first).await.unwrap_or(false)
}

fn places(prefix: &str) -> impl Iterator<Item = String> {
    (0..PLACES).map(move |place| format!("{prefix}v1:place:{place}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where a Cluster has a key: CRC-16 of all of it, while it has no braces.
    fn slot(key: &str) -> u16 {
        let shift = |sum: u16, _| (sum << 1) ^ if sum & 0x8000 == 0 { 0 } else { 0x1021 };
        key.bytes().fold(0_u16, |sum, byte| (0..8).fold(sum ^ u16::from(byte) << 8, shift)) % 16_384
    }

    #[test]
    fn places_lie_in_all_quarters_of_the_slots() {
        assert_eq!(slot("123456789"), 0x31c3);
        for prefix in ["flowgate:", "", "another:one:"] {
            let slots: Vec<u16> = places(prefix).map(|key| slot(&key)).collect();
            for quarter in 0..4 {
                assert!(slots.iter().any(|slot| slot / 4_096 == quarter), "{prefix}: {slots:?}");
            }
        }
    }
}
