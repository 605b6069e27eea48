//! Sets and maps, in order: nothing here is random, and one run is as the other.

pub use alloc::collections::{
    BTreeMap, BTreeMap as HashMap, BTreeSet, BTreeSet as HashSet, VecDeque,
};
