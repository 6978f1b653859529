//! The step `update_status` of a reconcile.
