//! The local journal of usage: what a killed process had counted and not yet flushed is read from it by the next one.
//!
//! Invariant: a file under its own name is held by its living owner's lock, or its owner is dead. Only ids and numbers are
//! written, never content. A line is in the page cache when [`Journal::append`] returns: it outlives the process, not the
//! machine.

mod abandoned;
mod file;
mod line;
mod owner;

pub use abandoned::{Abandoned, abandoned};
pub use file::Journal;
pub use line::Line;
pub use owner::Owner;

const PREFIX: &str = "usage-";
const SUFFIX: &str = ".jsonl";
/// A file that is still being written under this name is nobody's yet.
const UNFINISHED: &str = ".jsonl.new";
