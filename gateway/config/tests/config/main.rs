//! What gateway.yaml promises, read whole.

mod defaults;
mod support;
