//! The pages that people see, and the headers that all of them carry. No script, no image, nothing from elsewhere.

use std::sync::Arc;

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

use super::{cookie::BindingCookie, error::whole_seconds, notice::Notice};
use crate::{clock::Clock, session::chance, store::device_grant::Request};

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
