//! A gateway's identity provider: its discovery document, and how far its clock is from this one.

use std::{sync::Arc, time::Duration};

use gateway_egress::Egress;
use jiff::{SignedDuration, Timestamp};

use super::Finding;
use crate::gateway::issuer::{Issuers, Question};

/// A `Date` header has whole seconds, and an answer takes its time.
const UNSURE: SignedDuration = SignedDuration::from_secs(5);

/// `skew` is `oidc.clockSkewSeconds`: what is forgiven.
pub(super) async fn provider(called: &str, question: &Question, skew: Duration, egress: &Arc<Egress>) -> Vec<Finding> {
    let (finding, date) = Issuers::new(egress.clone()).ask(question).await;
    let mut findings = vec![match finding.is_good() {
        true => Finding::Good(format!("{called}: {} answers as the issuer that it is", question.issuer())),
        false => Finding::Bad(format!("{called}: {}", finding.message())),
    }];
    findings.extend(date.map(|date| clock(called, date, Timestamp::now(), skew)));
    findings
}

/// Tokens are judged by the pods' clock, which is this one's or as good.
fn clock(called: &str, theirs: Timestamp, ours: Timestamp, skew: Duration) -> Finding {
    let forgiven = SignedDuration::try_from(skew).unwrap_or(SignedDuration::ZERO) + UNSURE;
    let off = theirs.duration_since(ours);
    match off.abs() <= forgiven {
        true => Finding::Good(format!("{called}: its clock and this one agree")),
        false => Finding::Bad(format!(
            "{called}: its clock is {} s {} this one, and tokens would be refused: set the nodes' clocks by NTP, or raise \
             oidc.clockSkewSeconds",
            off.abs().as_secs(),
            if off.is_negative() { "behind" } else { "ahead of" }
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f8_a_clock_that_is_off_by_more_than_is_forgiven_is_a_fault() {
        let ours = Timestamp::from_second(1_800_000_000).unwrap();
        let said = |seconds: i64, skew: u64| {
            let theirs = ours + SignedDuration::from_secs(seconds);
            clock("the provider", theirs, ours, Duration::from_secs(skew)).to_string()
        };
        assert!(said(-5, 0).starts_with("ok") && said(5, 0).starts_with("ok") && said(60, 60).starts_with("ok"));
        assert!(said(90, 0).contains("is 90 s ahead of this one"), "{}", said(90, 0));
        assert!(said(-90, 30).contains("is 90 s behind this one") && said(-90, 30).contains("NTP"));
    }
}
