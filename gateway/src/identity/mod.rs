//! The OpenID relying party: from a browser's code to an admitted person.
//!
//! Invariant: an [`AdmittedPerson`] exists only if the provider vouched for the claims and the admission rules passed.
//! What the provider says goes to the operator's log, never to the person, and tokens, codes and secrets go to neither.

mod admission;
mod claims;
mod client_authentication;
mod google_groups;
mod id_token;
mod key_set;
pub mod person;
mod provider;
pub mod relying_party;
mod renewal;
mod sign_in;
mod token_endpoint;
mod userinfo;

pub use person::{AdmittedPerson, Person, Subject};
pub use relying_party::{Departure, PendingSignIn, RelyingParty, Renewal, RenewalError, SignIn, SignInError};
