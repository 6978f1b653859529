//! Maps that every request looks into, by a hash that costs a fifth of the standard one.
//!
//! Its seed is chance, but whoever watches for long may learn to make keys collide. So these maps hold only what strangers cannot
//! put there: configured names, facts that policies ask about, people whom the identity provider knows, tokens that were verified,
//! and small numbers.

use std::collections::HashMap;

pub type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;
