//! What stands for a stored rating: `PUT feedback/{id}` names no chatflow and no chat, and Flowise changes whatever row
//! it names. A handle names the chatflow and carries a proof that it was given to this caller; nothing is stored.

use aws_lc_rs::constant_time::verify_slices_are_equal;

use crate::predict::session::Namespace;
use crate::uuid::is_uuid;

/// Between a handle's parts; may stand in a path, and in a chatflow's name, but in no UUID.
const BETWEEN: char = '~';

/// The handle of Flowise's row `id` for the caller of that namespace.
pub(crate) fn seal(chatflow: &str, id: &str, namespace: &Namespace) -> Option<String> {
    is_uuid(id).then(|| format!("{chatflow}{BETWEEN}{id}{BETWEEN}{}", proof(id, namespace)))
}

/// The chatflow and the row that a handle names, not yet proven.
pub(crate) fn parts(handle: &str) -> Option<(&str, &str, &str)> {
    let (rest, proof) = handle.rsplit_once(BETWEEN)?;
    let (chatflow, id) = rest.rsplit_once(BETWEEN)?;
    (is_uuid(id) && is_uuid(proof)).then_some((chatflow, id, proof))
}

/// Whether the handle was given to the caller of that namespace.
pub(crate) fn is_proven(id: &str, given: &str, namespace: &Namespace) -> bool {
    verify_slices_are_equal(proof(id, namespace).as_bytes(), given.as_bytes()).is_ok()
}

fn proof(id: &str, namespace: &Namespace) -> String {
    // Never an id of a chat: those that clients name hold no control characters.
    namespace.upstream_id(&format!("\u{1}rating:{id}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::predict::session::{Scope, SessionKey};

    #[test]
    fn a_handle_is_worth_something_to_its_caller_only() {
        let id = "dff925d5-e82d-4e3e-b85e-f49c8415023b";
        let key = SessionKey::new(Some("a secret of the tests"), Some("flow"));
        let of = |caller: &str| Namespace::new(key.of("flow"), Scope::Key(caller));
        let handle = seal("a~b", id, &of("anna")).unwrap();
        let (chatflow, row, proof) = parts(&handle).unwrap();
        assert_eq!((chatflow, row), ("a~b", id));
        assert!(is_proven(row, proof, &of("anna")) && !is_proven(row, proof, &of("bob")));
        for wrong in [id.to_owned(), format!("a~{id}"), format!("a~{id}~x"), format!("a~../x~{id}")] {
            assert_eq!(parts(&wrong), None, "{wrong}");
        }
        assert_eq!(seal("a", "../x", &of("anna")), None);
    }
}
