//! How long everything about a session lasts: one place, so that a test can shrink it.

use std::time::Duration;

#[derive(Debug, Clone, Copy)]
pub struct Lifetimes {
    /// An access token.
    pub access: Duration,
    /// A session, whatever it does.
    pub session: Duration,
    /// How long the previous refresh token still gets the same successor: a lost reply, two processes on one machine.
    pub grace: Duration,
    /// How long the identity provider may take to renew somebody.
    pub renewal: Duration,
    /// How long one pod's claim keeps the others from asking the provider too. Longer than `renewal`, because the store
    /// must still be told.
    pub claim: Duration,
    /// How long a refresh waits for another pod's claim before it says 503.
    pub wait: Duration,
    /// How often it looks meanwhile.
    pub look: Duration,
    /// A device grant, from the code to the last poll.
    pub grant: Duration,
    /// What the device is told to leave between two polls.
    pub poll_interval: Duration,
    /// How often a pod writes its row and learns what it missed.
    pub tick: Duration,
}

impl Lifetimes {
    pub fn of(session: &gateway_config::Session) -> Self {
        Self { access: session.ttl, session: session.max_age, ..Self::default() }
    }
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self {
            access: Duration::from_secs(3600),
            session: Duration::from_secs(90 * 86_400),
            grace: Duration::from_secs(60),
            renewal: Duration::from_millis(3500),
            claim: Duration::from_secs(6),
            wait: Duration::from_millis(3500),
            look: Duration::from_millis(100),
            grant: Duration::from_secs(600),
            poll_interval: Duration::from_secs(5),
            tick: Duration::from_secs(1),
        }
    }
}
