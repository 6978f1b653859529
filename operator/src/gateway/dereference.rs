//! The step `dereference` of a reconcile.
