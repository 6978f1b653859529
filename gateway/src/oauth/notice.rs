//! What people are told when a sign-in ended, well or not: what happened, and what to do next.

use std::time::Duration;

use axum::http::StatusCode;

use super::grants::GrantError;
use crate::{identity::SignInError, store::StoreError};

const AGAIN: &str = "Try again in a minute. The code on your device stays the same until it runs out.";

/// A page that says one thing, and what to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Notice {
    pub(super) status: StatusCode,
    pub(super) title: &'static str,
    pub(super) text: String,
    pub(super) next: &'static str,
    /// Whether the next step is a code that the person enters here.
    pub(super) to_codes: bool,
    pub(super) retry_after: Option<Duration>,
}

impl Notice {
    fn new(status: StatusCode, title: &'static str, text: impl Into<String>, next: &'static str) -> Self {
        Self { status, title, text: text.into(), next, to_codes: false, retry_after: None }
    }

    pub(super) fn is_good(&self) -> bool {
        self.status.is_success()
    }

    pub(super) fn signed_in(email: Option<&str>) -> Self {
        let text = match email {
            Some(email) => format!("You are signed in as {email}."),
            None => "You are signed in.".to_owned(),
        };
        Self::new(
            StatusCode::OK,
            "Connected",
            text,
            "Go back to your terminal; it continues by itself. You can close this page.",
        )
    }

    pub(super) fn denied() -> Self {
        Self::new(
            StatusCode::OK,
            "Request denied",
            "The device that asked with this code gets no access.",
            "If somebody sent you the code, tell your security team. You can close this page.",
        )
    }

    pub(super) fn cross_site() -> Self {
        Self {
            to_codes: true,
            ..Self::new(
                StatusCode::FORBIDDEN,
                "Nothing was changed",
                "This request did not come from a page of this gateway, so it was not carried out.",
                "If you were signing in, enter the code from your device again.",
            )
        }
    }

    pub(super) fn bad_request() -> Self {
        Self {
            to_codes: true,
            ..Self::new(
                StatusCode::BAD_REQUEST,
                "This cannot be read",
                "The address or form that your browser sent is incomplete.",
                "Start again with the code that your device shows.",
            )
        }
    }

    /// The one place that tells people about failures.
    pub(super) fn of(error: &GrantError) -> Self {
        match error {
            GrantError::TooMany { retry_after } => Self::too_many(*retry_after),
            GrantError::NoSuchCode { .. } => Self::no_such_code(),
            GrantError::NothingToContinue => Self::nothing_to_continue(),
            GrantError::SignIn(error) => Self::not_signed_in(error),
            GrantError::Store(StoreError::Unavailable(_)) => Self::store_away(),
            GrantError::Store(StoreError::Refused(_)) | GrantError::NoRandomness(_) => Self::our_fault(),
        }
    }

    fn too_many(retry_after: Duration) -> Self {
        Self {
            retry_after: Some(retry_after),
            ..Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "Too many tries",
                format!(
                    "More codes were entered from your network than the gateway allows. It opens again {}.",
                    within(retry_after)
                ),
                "Wait, then enter the code that your device shows.",
            )
        }
    }

    fn no_such_code() -> Self {
        Self {
            to_codes: true,
            ..Self::new(
                StatusCode::BAD_REQUEST,
                "This code does not work",
                "It is mistyped, has run out, or was used already.",
                "Compare it with the one on your device, or start a new sign-in there.",
            )
        }
    }

    fn nothing_to_continue() -> Self {
        Self {
            to_codes: true,
            ..Self::new(
                StatusCode::BAD_REQUEST,
                "This sign-in cannot be continued",
                "It has run out, was finished already, or began in another browser.",
                "If your device still waits, enter its code again, here in this browser.",
            )
        }
    }

    /// What came of asking the identity provider.
    fn not_signed_in(error: &SignInError) -> Self {
        match error {
            SignInError::NotAdmitted { reason } => Self::new(
                StatusCode::FORBIDDEN,
                "You have no access",
                format!("Your company's sign-in knows you, but this gateway may not let you in: {reason}."),
                "Ask whoever runs this gateway to give you access, then sign in on your device again.",
            ),
            SignInError::Refused { code } if code == "access_denied" => Self::new(
                StatusCode::FORBIDDEN,
                "Sign-in cancelled",
                "Your company's sign-in did not confirm you.",
                "To try again, start a new sign-in on your device.",
            ),
            SignInError::Unavailable { .. } => Self {
                to_codes: true,
                ..Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "Your company's sign-in does not answer",
                    "The gateway could not reach it to confirm who you are.",
                    AGAIN,
                )
            },
            SignInError::Untrustworthy { .. } | SignInError::Refused { .. } => Self::new(
                StatusCode::BAD_GATEWAY,
                "The sign-in failed",
                "Your company's sign-in gave an answer that the gateway cannot accept.",
                "Tell whoever runs this gateway, with the number below.",
            ),
        }
    }

    fn store_away() -> Self {
        Self {
            retry_after: Some(Duration::from_secs(5)),
            ..Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "Sign-in is not available now",
                "The gateway cannot start new sign-ins at the moment. Whoever is signed in already can go on.",
                AGAIN,
            )
        }
    }

    fn our_fault() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "Something went wrong here",
            "The gateway failed, and that is not your fault.",
            "Try again; if it happens once more, tell whoever runs this gateway, with the number below.",
        )
    }
}

fn within(wait: Duration) -> String {
    match wait.as_secs() {
        ..90 => "within a minute or two".to_owned(),
        seconds => format!("in {} minutes", seconds.div_ceil(60)),
    }
}
