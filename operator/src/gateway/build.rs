//! The step `build` of a reconcile.
