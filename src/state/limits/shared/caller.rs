//! A caller's name in the store. What clients choose is hashed: it neither shows nor chooses where keys lie.

use crate::state::limits::visitor::Visitor;
use crate::state::valkey::StoreTag;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CallerTag(StoreTag);

impl CallerTag {
    pub(crate) fn key(id: &str) -> Self {
        Self(StoreTag::of(&["key", id]))
    }

    /// A visitor under a plan.
    pub(crate) fn visitor(plan: &str, visitor: Visitor) -> Self {
        Self(StoreTag::of(&["visitor", plan, &visitor.to_string()]))
    }

    /// A key of that caller. In braces stands what all of them have in common, so that a Cluster keeps them together.
    pub(crate) fn name(&self, prefix: &str, what: &str) -> String {
        format!("{prefix}v1:{{{}}}:{what}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_have_names_of_their_own_in_one_place_each() {
        let visitor = |plan, number| CallerTag::visitor(plan, Visitor::V4([192, 0, 2, number]));
        let tags = [CallerTag::key("a"), CallerTag::key("b"), visitor("a", 1), visitor("b", 1), visitor("a", 2)];
        for (index, tag) in tags.iter().enumerate() {
            assert!(!tags[..index].contains(tag), "{index}");
        }
        let name = tags[0].name("p:", "rate");
        assert!(name.starts_with("p:v1:{") && name.ends_with("}:rate") && name.len() == 6 + 32 + 6, "{name}");
        assert!(!CallerTag::key("}{").name("p:", "rate").contains("}{"));
    }
}
