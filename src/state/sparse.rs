//! A table of which only what was used takes room: a tree whose branches grow as something in them is asked for.

use std::sync::OnceLock;

/// Digits of an index that a node tells apart, and how many slots it has for that.
const DIGIT: u32 = 3;
const WIDTH: usize = 1 << DIGIT;

/// See the module. Whoever finds a value takes no lock.
#[derive(Debug)]
pub(super) struct SparseTable<T> {
    len: usize,
    root: OnceLock<Box<SparseNode<T>>>,
}

#[derive(Debug)]
enum SparseNode<T> {
    Branch([OnceLock<Box<Self>>; WIDTH]),
    Leaf([OnceLock<T>; WIDTH]),
}

impl<T> SparseNode<T> {
    /// `shift`: digits below those that it tells apart.
    fn new(shift: u32) -> Self {
        match shift {
            0 => Self::Leaf([const { OnceLock::new() }; WIDTH]),
            _ => Self::Branch([const { OnceLock::new() }; WIDTH]),
        }
    }
}

impl<T> SparseTable<T> {
    /// With room for indices below that.
    pub(super) const fn new(len: usize) -> Self {
        Self { len, root: OnceLock::new() }
    }

    /// The value at an index, made if nobody has asked for it; `None`: there is no room for such an index.
    pub(super) fn get_or_init(&self, index: usize, make: impl FnOnce() -> T) -> Option<&T> {
        if index >= self.len {
            return None;
        }
        let digits = usize::BITS - (self.len - 1).leading_zeros();
        let mut shift = digits.saturating_sub(1) / DIGIT * DIGIT;
        let mut node = self.root.get_or_init(|| Box::new(SparseNode::new(shift)));
        loop {
            let slot = (index >> shift) % WIDTH;
            match &**node {
                SparseNode::Leaf(values) => return Some(values.get(slot)?.get_or_init(make)),
                SparseNode::Branch(nodes) => {
                    shift -= DIGIT;
                    node = nodes.get(slot)?.get_or_init(|| Box::new(SparseNode::new(shift)));
                }
            }
        }
    }

    /// How many nodes there are.
    #[cfg(test)]
    fn nodes(&self) -> usize {
        fn below<T>(node: &SparseNode<T>) -> usize {
            match node {
                SparseNode::Leaf(_) => 1,
                SparseNode::Branch(nodes) => {
                    1 + nodes.iter().filter_map(OnceLock::get).map(|node| below(node)).sum::<usize>()
                }
            }
        }
        self.root.get().map_or(0, |node| below(node))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_index_has_a_value_of_its_own() {
        for len in [1, 2, 7, 8, 9, 63, 64, 65, 511, 513, 4097] {
            let table = SparseTable::new(len);
            for round in 0..2 {
                for index in 0..len {
                    assert_eq!(table.get_or_init(index, || index + round), Some(&index), "{index} of {len}");
                }
            }
            assert_eq!(table.get_or_init(len, || 0), None);
        }
        assert_eq!(SparseTable::new(0).get_or_init(0, || 0), None);
    }

    #[test]
    fn what_nobody_asks_for_takes_no_room() {
        let table = SparseTable::new(100_001);
        assert_eq!(table.nodes(), 0);
        table.get_or_init(77_777, || 0);
        table.get_or_init(77_777, || 0);
        assert_eq!(table.nodes(), 6);
        table.get_or_init(77_776, || 0);
        assert_eq!(table.nodes(), 6);
    }

    #[test]
    fn threads_find_the_same_values() {
        let table = SparseTable::new(1000);
        let find =
            |thread: usize| (0..1000).map(|index| *table.get_or_init(index, || (thread, index)).unwrap()).collect();
        let found: Vec<Vec<_>> = std::thread::scope(|scope| {
            [0, 1].map(|thread| scope.spawn(move || find(thread))).map(|thread| thread.join().unwrap()).into()
        });
        assert_eq!(found[0], found[1]);
    }
}
