//! A map that is looked up and changed without a lock.

use core::cmp::Ordering;

use crate::sync::Arc;

/// A map from keys to entries, each version of which stays as it is.
///
/// A key's `Ord` is user code: it may panic, take long, or ask the very holder of the map. So it is not called under a
/// lock: the lock guards nothing but which version is the current one. Whoever looks up takes that and compares
/// outside; whoever changes makes a new version, which shares all but a path with the old one, and exchanges them if
/// the old one is still current.
///
/// It is a treap: a search tree by key that is a heap by priority, which keeps it balanced if priorities are random.
#[derive(Debug)]
pub(super) struct KeyMap<E> {
    root: Link<E>,
    len: usize,
}

type Link<E> = Option<Arc<KeyNode<E>>>;

#[derive(Debug)]
struct KeyNode<E> {
    entry: Arc<E>,
    priority: u64,
    left: Link<E>,
    right: Link<E>,
}

/// What knows its key.
pub(super) trait Keyed {
    type Key: Ord;

    fn key(&self) -> &Self::Key;
}

impl<E> KeyMap<E> {
    pub(super) const fn new() -> Self {
        Self { root: None, len: 0 }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Returns all entries in the order of their keys.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<E>> {
        let mut path = alloc::vec::Vec::new();
        let mut below = self.root.as_deref();
        core::iter::from_fn(move || {
            while let Some(node) = below {
                path.push(node);
                below = node.left.as_deref();
            }
            let node = path.pop()?;
            below = node.right.as_deref();
            Some(&node.entry)
        })
    }
}

impl<E: Keyed> KeyMap<E> {
    pub(super) fn find(&self, key: &E::Key) -> Option<&Arc<E>> {
        let mut link = self.root.as_deref();
        while let Some(node) = link {
            link = match key.cmp(node.entry.key()) {
                Ordering::Less => node.left.as_deref(),
                Ordering::Equal => return Some(&node.entry),
                Ordering::Greater => node.right.as_deref(),
            };
        }
        None
    }

    /// Returns the map with one entry more. There must be none of its key.
    pub(super) fn with(&self, entry: Arc<E>, priority: u64) -> Self {
        let leaf = KeyNode {
            entry,
            priority,
            left: None,
            right: None,
        };
        Self {
            root: Some(Arc::new(insert(&self.root, leaf))),
            len: self.len + 1,
        }
    }

    /// Returns the map without the entry of this key, of which there must be one.
    pub(super) fn without(&self, key: &E::Key) -> Self {
        Self {
            root: remove(&self.root, key),
            len: self.len.saturating_sub(1),
        }
    }
}

fn insert<E: Keyed>(link: &Link<E>, new: KeyNode<E>) -> KeyNode<E> {
    let Some(node) = link else {
        return new;
    };
    let goes_left = new.entry.key() < node.entry.key();
    let mut top = KeyNode::clone(node);
    let side = if goes_left { &node.left } else { &node.right };
    let mut below = insert(side, new);
    if below.priority <= top.priority {
        let side = if goes_left {
            &mut top.left
        } else {
            &mut top.right
        };
        *side = Some(Arc::new(below));
        return top;
    }
    // The lower one comes first: it takes the other as a child.
    if goes_left {
        top.left = below.right.take();
        below.right = Some(Arc::new(top));
    } else {
        top.right = below.left.take();
        below.left = Some(Arc::new(top));
    }
    below
}

fn remove<E: Keyed>(link: &Link<E>, key: &E::Key) -> Link<E> {
    let node = link.as_ref()?;
    let mut top = KeyNode::clone(node);
    match key.cmp(node.entry.key()) {
        Ordering::Less => top.left = remove(&node.left, key),
        Ordering::Greater => top.right = remove(&node.right, key),
        Ordering::Equal => return join(&node.left, &node.right),
    }
    Some(Arc::new(top))
}

/// Makes one tree of two, all keys of the first of which are below those of the second.
fn join<E>(left: &Link<E>, right: &Link<E>) -> Link<E> {
    match (left, right) {
        (None, only) | (only, None) => only.clone(),
        (Some(first), Some(second)) if first.priority > second.priority => {
            let mut top = KeyNode::clone(first);
            top.right = join(&first.right, right);
            Some(Arc::new(top))
        }
        (Some(_), Some(second)) => {
            let mut top = KeyNode::clone(second);
            top.left = join(left, &second.left);
            Some(Arc::new(top))
        }
    }
}

impl<E> Clone for KeyMap<E> {
    fn clone(&self) -> Self {
        Self {
            root: self.root.clone(),
            len: self.len,
        }
    }
}

impl<E> Clone for KeyNode<E> {
    fn clone(&self) -> Self {
        Self {
            entry: self.entry.clone(),
            priority: self.priority,
            left: self.left.clone(),
            right: self.right.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;
    use alloc::vec::Vec;

    use super::*;
    use crate::random::Random;

    #[derive(Debug, PartialEq)]
    struct Pair(u64, u64);

    impl Keyed for Pair {
        type Key = u64;

        fn key(&self) -> &u64 {
            &self.0
        }
    }

    fn depth(link: &Link<Pair>) -> usize {
        link.as_ref()
            .map_or(0, |node| 1 + depth(&node.left).max(depth(&node.right)))
    }

    /// Against the standard library's.
    #[test]
    fn a_map_holds_what_was_put_in_and_each_version_stays_as_it_was() {
        for seed in 0..50 {
            let mut random = Random::seeded(seed);
            let mut below = |n: u64| random.next_u64() % n;
            let (mut map, mut model) = (KeyMap::<Pair>::new(), BTreeMap::new());
            let mut versions = Vec::new();
            for round in 0..400 {
                let key = below(60);
                match (map.find(&key), model.contains_key(&key)) {
                    (Some(pair), true) => {
                        assert_eq!(Some(&pair.1), model.get(&key));
                        map = map.without(&key);
                        model.remove(&key);
                    }
                    (None, false) => {
                        map = map.with(Arc::new(Pair(key, round)), below(u64::MAX));
                        model.insert(key, round);
                    }
                    _ => panic!("seed {seed}, round {round}: one has {key}, the other has not"),
                }
                assert_eq!(map.len(), model.len());
                if round % 40 == 0 {
                    versions.push((map.clone(), model.clone()));
                }
            }
            for (map, model) in versions {
                let pairs = map.iter().map(|pair| (pair.0, pair.1));
                assert!(pairs.eq(model), "seed {seed}");
            }
        }
    }

    #[test]
    fn a_map_stays_shallow_in_whatever_order_keys_come() {
        let mut random = Random::seeded(7);
        let mut map = KeyMap::<Pair>::new();
        for key in 0..4_096 {
            map = map.with(Arc::new(Pair(key, 0)), random.next_u64());
        }
        assert!(depth(&map.root) < 48, "{} deep", depth(&map.root));
    }
}
