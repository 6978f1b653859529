//! The OpenID relying party: from a browser's code to an admitted person.
//!
//! Invariant: an [`AdmittedPerson`] exists only if the provider vouched for the claims and the admission rules passed.

pub mod person;
pub mod relying_party;

pub use person::{AdmittedPerson, Person, Subject};
pub use relying_party::{Departure, PendingSignIn, RelyingParty, Renewal, RenewalError, SignIn, SignInError};
