//! People whose tokens one worker has checked under one snapshot, so that a signature is not checked with every request:
//! that takes longer than everything else that a request needs.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use crate::jwt::KeySet;
use crate::policy::Person;

/// As many are kept; in a crowd all begin anew.
const MOST: usize = 1024;

/// See the module. By the SHA-256 of the token.
#[derive(Debug, Default)]
pub(crate) struct KnownPeople(RefCell<HashMap<[u8; 32], KnownPerson>>);

#[derive(Debug)]
struct KnownPerson {
    person: Rc<Person>,
    /// Which one of has signed the token.
    keys: Arc<KeySet>,
}

impl KnownPeople {
    /// Whom the token is for, while it counts and its issuer has the keys that it had.
    pub(crate) fn find(
        &self,
        token: &[u8; 32],
        now: i64,
        has_keys: impl FnOnce(u32, &Arc<KeySet>) -> bool,
    ) -> Option<Rc<Person>> {
        let known = self.0.borrow();
        let KnownPerson { person, keys } = known.get(token)?;
        (now < person.until && has_keys(person.identity, keys)).then(|| Rc::clone(person))
    }

    pub(crate) fn remember(&self, token: [u8; 32], person: &Rc<Person>, keys: Arc<KeySet>, now: i64) {
        let mut known = self.0.borrow_mut();
        if known.len() >= MOST {
            known.retain(|_, known| now < known.person.until);
        }
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(token, KnownPerson { person: Rc::clone(person), keys });
    }
}
