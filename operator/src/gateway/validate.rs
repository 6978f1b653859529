//! The step `validate` of a reconcile.
