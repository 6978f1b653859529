//! The pages that people see, and the headers that all of them carry. No script, no image, nothing from elsewhere.

use std::{sync::Arc, time::Duration};

use askama::Template;
use aws_lc_rs::rand::SecureRandom;
use axum::{
    http::{
        HeaderName, HeaderValue, StatusCode,
        header::{
            CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
            X_FRAME_OPTIONS,
        },
    },
    response::{IntoResponse, Response},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::{DateTime, Utc};
use gateway_config::PublicUrl;

use super::{cookie::BindingCookie, error::whole_seconds, grants::GrantError};
use crate::{
    clock::Clock,
    identity::SignInError,
    session::chance,
    store::{StoreError, device_grant::Request},
};

pub(super) struct Pages {
    pub(super) cookie: BindingCookie,
    pub(super) own_origin: String,
    host: String,
    form_action: String,
    clock: Arc<dyn Clock>,
    random: Arc<dyn SecureRandom + Send + Sync>,
}

#[derive(Template)]
#[template(path = "landing.html")]
struct Landing<'a> {
    nonce: &'a str,
    host: &'a str,
    origin: &'a str,
}

#[derive(Template)]
#[template(path = "enter.html")]
struct Enter<'a> {
    nonce: &'a str,
    host: &'a str,
    user_code: &'a str,
    /// What was wrong with the last try.
    trouble: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "check.html")]
struct Check<'a> {
    nonce: &'a str,
    host: &'a str,
    user_code: &'a str,
    from: &'a str,
    by: &'a str,
    at: String,
    ago: String,
    here: String,
    elsewhere: bool,
}

#[derive(Template)]
#[template(path = "notice.html")]
struct NoticePage<'a> {
    nonce: &'a str,
    host: &'a str,
    notice: Notice,
    request_id: &'a str,
}

/// A page that says one thing, and what to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Notice {
    status: StatusCode,
    pub(super) title: &'static str,
    pub(super) text: String,
    pub(super) next: &'static str,
    /// Whether the next step is a code that the person enters here.
    pub(super) to_codes: bool,
    retry_after: Option<Duration>,
}

impl Pages {
    pub(super) fn new(
        public_url: &PublicUrl,
        form_action_origins: &[String],
        clock: Arc<dyn Clock>,
        random: Arc<dyn SecureRandom + Send + Sync>,
    ) -> Self {
        Self {
            cookie: BindingCookie::of(public_url.is_https()),
            own_origin: public_url.as_str().to_owned(),
            host: public_url.url().host_str().unwrap_or_default().to_owned(),
            form_action: form_action_origins.iter().map(|origin| format!(" {origin}")).collect(),
            clock,
            random,
        }
    }

    pub(super) fn landing(&self) -> Response {
        self.page(StatusCode::OK, |nonce| Landing { nonce, host: &self.host, origin: &self.own_origin }.render())
    }

    pub(super) fn enter(&self, status: StatusCode, user_code: &str, trouble: Option<&str>) -> Response {
        self.page(status, |nonce| Enter { nonce, host: &self.host, user_code, trouble }.render())
    }

    /// What the device is: the person decides whether it is theirs. `here` is where the person's browser is.
    pub(super) fn check(&self, user_code: &str, request: &Request, here: String) -> Response {
        let Request { from, by, at } = request;
        self.page(StatusCode::OK, |nonce| {
            Check {
                nonce,
                host: &self.host,
                user_code,
                from,
                by,
                at: at.format("%-d %B %Y, %H:%M UTC").to_string(),
                ago: ago(self.clock.now(), *at),
                elsewhere: here != *from,
                here: here.clone(),
            }
            .render()
        })
    }

    pub(super) fn notice(&self, notice: Notice, request_id: &str) -> Response {
        let (status, retry_after) = (notice.status, notice.retry_after);
        let mut response = self
            .page(status, |nonce| NoticePage { nonce, host: &self.host, notice: notice.clone(), request_id }.render());
        if let Some(retry_after) = retry_after {
            response.headers_mut().insert(RETRY_AFTER, whole_seconds(retry_after));
        }
        response
    }

    fn page(&self, status: StatusCode, render: impl Fn(&str) -> askama::Result<String>) -> Response {
        let Ok(nonce) = chance::bytes::<16>(&*self.random) else {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        let nonce = BASE64_STANDARD.encode(nonce);
        let policy = format!(
            "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; form-action 'self'{}; \
             frame-ancestors 'none'; base-uri 'none'",
            self.form_action
        );
        let (Ok(html), Ok(policy)) = (render(&nonce), HeaderValue::try_from(policy)) else {
            tracing::error!("a page could not be rendered");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        let fixed = [
            (CONTENT_TYPE, "text/html; charset=utf-8"),
            (CACHE_CONTROL, "no-store"),
            (X_FRAME_OPTIONS, "DENY"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (REFERRER_POLICY, "no-referrer"),
            (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        ];
        (status, fixed, [(CONTENT_SECURITY_POLICY, policy)], html).into_response()
    }
}

impl Notice {
    fn new(status: StatusCode, title: &'static str, text: impl Into<String>, next: &'static str) -> Self {
        Self { status, title, text: text.into(), next, to_codes: false, retry_after: None }
    }

    fn is_good(&self) -> bool {
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
        const AGAIN: &str = "Try again in a minute. The code on your device stays the same until it runs out.";
        match error {
            GrantError::TooMany { retry_after } => Self {
                retry_after: Some(*retry_after),
                ..Self::new(
                    StatusCode::TOO_MANY_REQUESTS,
                    "Too many tries",
                    format!(
                        "More codes were entered from your network than the gateway allows. It opens again {}.",
                        within(*retry_after)
                    ),
                    "Wait, then enter the code that your device shows.",
                )
            },
            GrantError::NoSuchCode { .. } => Self {
                to_codes: true,
                ..Self::new(
                    StatusCode::BAD_REQUEST,
                    "This code does not work",
                    "It is mistyped, has run out, or was used already.",
                    "Compare it with the one on your device, or start a new sign-in there.",
                )
            },
            GrantError::NothingToContinue => Self {
                to_codes: true,
                ..Self::new(
                    StatusCode::BAD_REQUEST,
                    "This sign-in cannot be continued",
                    "It has run out, was finished already, or began in another browser.",
                    "If your device still waits, enter its code again, here in this browser.",
                )
            },
            GrantError::SignIn(SignInError::NotAdmitted { reason }) => Self::new(
                StatusCode::FORBIDDEN,
                "You have no access",
                format!("Your company's sign-in knows you, but this gateway may not let you in: {reason}."),
                "Ask whoever runs this gateway to give you access, then sign in on your device again.",
            ),
            GrantError::SignIn(SignInError::Refused { code }) if code == "access_denied" => Self::new(
                StatusCode::FORBIDDEN,
                "Sign-in cancelled",
                "Your company's sign-in did not confirm you.",
                "To try again, start a new sign-in on your device.",
            ),
            GrantError::SignIn(SignInError::Unavailable { .. }) => Self {
                to_codes: true,
                ..Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "Your company's sign-in does not answer",
                    "The gateway could not reach it to confirm who you are.",
                    AGAIN,
                )
            },
            GrantError::SignIn(SignInError::Untrustworthy { .. } | SignInError::Refused { .. }) => Self::new(
                StatusCode::BAD_GATEWAY,
                "The sign-in failed",
                "Your company's sign-in gave an answer that the gateway cannot accept.",
                "Tell whoever runs this gateway, with the number below.",
            ),
            GrantError::Store(StoreError::Unavailable(_)) => Self {
                retry_after: Some(Duration::from_secs(5)),
                ..Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "Sign-in is not available now",
                    "The gateway cannot start new sign-ins at the moment. Whoever is signed in already can go on.",
                    AGAIN,
                )
            },
            GrantError::Store(StoreError::Refused(_)) | GrantError::NoRandomness(_) => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "Something went wrong here",
                "The gateway failed, and that is not your fault.",
                "Try again; if it happens once more, tell whoever runs this gateway, with the number below.",
            ),
        }
    }
}

fn within(wait: Duration) -> String {
    match wait.as_secs() {
        ..90 => "within a minute or two".to_owned(),
        seconds => format!("in {} minutes", seconds.div_ceil(60)),
    }
}

fn ago(now: DateTime<Utc>, then: DateTime<Utc>) -> String {
    match (now - then).num_minutes() {
        ..1 => "just now".to_owned(),
        1 => "a minute ago".to_owned(),
        minutes => format!("{minutes} minutes ago"),
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn how_long_ago_is_said_as_people_say_it() {
        let now = DateTime::UNIX_EPOCH;
        let of = |seconds| ago(now, now - TimeDelta::seconds(seconds));
        assert_eq!([of(-3), of(59), of(61), of(400)], ["just now", "just now", "a minute ago", "6 minutes ago"]);
    }
}
