//! The sign-in surface: discovery, device grant, verification pages, callback, tokens, revocation.
//!
//! Invariant: a form of another site changes nothing, a page never says whether a code exists before a counted try, and
//! every error leaves through one function per dialect (`error` for clients, `pages` for people).

mod agent;
mod callback;
mod cookie;
mod device;
mod discovery;
mod error;
mod form;
mod full;
pub mod grant;
mod grants;
mod guessing;
mod network;
mod notice;
mod origin;
mod pages;
mod parts;
mod revoke;
mod routes;
mod token;
pub mod user_code;
mod verify;
mod visitor;

pub use parts::OauthParts;
pub use routes::routes;
