//! Postgres, as the operator knows it: the schema, the pods' role, policy rows, and what pods say of themselves.
//!
//! Invariant: only this room speaks SQL, and no error or log line of it holds a password or a URL with one.
