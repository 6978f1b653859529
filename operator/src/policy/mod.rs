//! The `UserPolicy` controller: one policy, one row, one revision.
