//! A caller's name in the store. What clients choose is hashed: it neither shows nor chooses where keys lie.

use std::fmt::Write as _;

use aws_lc_rs::digest;

use crate::state::limits::visitor::Visitor;

/// See the module. As hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CallerTag([u8; 16]);

impl CallerTag {
    pub(crate) fn key(id: &str) -> Self {
        Self::of(&["key", id])
    }

    /// A visitor under a plan.
    pub(in crate::state::limits) fn visitor(plan: &str, visitor: Visitor) -> Self {
        Self::of(&["visitor", plan, &visitor.to_string()])
    }

    fn of(parts: &[&str]) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        for part in parts {
            // With its length, so that no two lists are written alike.
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        Self(context.finish().as_ref().first_chunk().copied().unwrap_or_default())
    }

    /// A key of that caller. In braces stands what all of them have in common, so that a Cluster keeps them together.
    pub(crate) fn name(&self, prefix: &str, what: &str) -> String {
        let mut name = format!("{prefix}v1:{{");
        for byte in self.0 {
            let _ = write!(name, "{byte:02x}");
        }
        name.push_str("}:");
        name.push_str(what);
        name
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
