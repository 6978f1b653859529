//! The step `apply` of a reconcile.
