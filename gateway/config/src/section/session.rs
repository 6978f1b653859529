//! `session`: how long a sign-in lasts and what signs it.

use std::time::Duration;

use secrecy::SecretString;

use crate::{
    complaint::Complaint,
    fields::Fields,
    vocabulary::{Fallback, Key, Shape, Table},
};

const LEAST_SECRET_BYTES: usize = 32;
const HOUR: f64 = 3_600.0;
const DAY: Duration = Duration::from_secs(86_400);

pub(crate) static SESSION: Table = Table {
    about: "How long a sign-in lasts and what signs it.",
    keys: &[&[
        Key::required(
            "jwt_secret",
            Shape::OneOrMore(&Shape::Secret),
            "A secret of 32 bytes or more, or a list of them: the first signs, all verify. To rotate, put the new one first \
             and drop the old one when no session can hold it any more.",
        ),
        Key::optional(
            "ttl_hours",
            Shape::Number(1.0 / 61.0, 87_600.0),
            "Hours that an access token lives; fractions down to a minute. Clients renew it silently where the identity \
             provider issues refresh tokens.",
        )
        .or(Fallback::Number(1.0)),
        Key::optional("max_days", Shape::Whole(1, 3_650), "Days after which every session ends and a new sign-in is due.")
            .or(Fallback::Whole(90)),
    ]],
};

#[derive(Debug, Clone)]
pub struct Session {
    /// The first signs and seals, all verify and open; 32 bytes or more each; never empty.
    pub jwt_secrets: Vec<SecretString>,
    /// Lifetime of an access token (`ttl_hours`), at least a minute.
    pub ttl: Duration,
    /// No session outlives it (`max_days`, ours).
    pub max_age: Duration,
}

impl Session {
    pub(crate) fn read(fields: &Fields<'_>) -> Option<Self> {
        let jwt_secrets = fields.parsed_texts("jwt_secret", jwt_secret);
        let ttl = fields.number("ttl_hours").map(|hours| Duration::from_secs_f64((hours * HOUR).round()));
        let max_age = fields.whole::<u32>("max_days").map(|days| DAY * days);
        let (ttl, max_age) = (ttl?, max_age?);
        if ttl < Duration::from_secs(60) {
            fields.refuse("ttl_hours", "is less than a minute", "write 0.0167 or more");
        }
        if ttl > max_age {
            fields.refuse("ttl_hours", "is longer than max_days allows a session to be", "lower it, or raise max_days");
        }
        Some(Self { jwt_secrets, ttl, max_age })
    }
}

fn jwt_secret(text: &str) -> Result<SecretString, Complaint> {
    if text.len() < LEAST_SECRET_BYTES {
        return Err(Complaint::new(
            format!("is shorter than {LEAST_SECRET_BYTES} bytes"),
            "make one with `openssl rand -base64 32`",
        ));
    }
    Ok(SecretString::from(text))
}
