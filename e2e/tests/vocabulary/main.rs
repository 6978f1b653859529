//! The vocabulary as a real API server takes it: what it accepts, refuses, keeps, shows and lets others do.
//!
//! Each file is a line of the checklist, by whose number its tests begin. The cases are the table of `crds`.

#![expect(clippy::unwrap_used, reason = "a stage that cannot be set fails its test")]

mod a10_references;
mod a14_secrets;
mod a1_described;
mod a2_verdicts;
mod a4_merging;
mod a5_size;
mod a6_round_trip;
mod a7_columns;
mod a8_subresources;
mod a9_selectors;
mod stage;
#[path = "../../../crds/tests/table/mod.rs"]
mod table;
