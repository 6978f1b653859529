//! What gateway.yaml promises, read whole.

mod arbitrary;
mod complete;
mod defaults;
mod not_yet;
mod on_disk;
mod refusals;
mod reload;
mod rows;
mod schema;
mod secrets;
mod settings;
mod support;
mod warnings;
