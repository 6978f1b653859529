//! What is told when no upstream has answered: the failure that is most worth telling.

use http::StatusCode;

use super::refusal::{AllFailed, Refusal};

/// The best of the failures so far, by the order in which they are worth telling.
#[derive(Default)]
pub(super) struct Failures {
    throttled: Option<Option<u64>>,
    refused: Option<StatusCode>,
    unknown: bool,
    unsupported: bool,
    /// Upstreams without a free place.
    pub(super) full: usize,
    pub(super) tried: usize,
}

impl Failures {
    pub(super) fn remember(&mut self, status: StatusCode, retry_after: Option<u64>) {
        match status {
            StatusCode::TOO_MANY_REQUESTS => self.throttled = Some(retry_after),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => self.refused = Some(status),
            StatusCode::NOT_FOUND => self.unknown = true,
            StatusCode::NOT_IMPLEMENTED => self.unsupported = true,
            _ => {}
        }
    }

    pub(super) fn verdict(self, configured: usize) -> Refusal {
        let Self { throttled, refused, unknown, unsupported, full, tried } = self;
        if tried == 0 && full > 0 {
            return Refusal::AllFull;
        }
        let plain = |status| AllFailed::Status { status, retry_after: None };
        Refusal::Upstreams(match (throttled, refused) {
            (Some(retry_after), _) => AllFailed::Status { status: StatusCode::TOO_MANY_REQUESTS, retry_after },
            (None, Some(status)) => plain(status),
            (None, None) if unknown => plain(StatusCode::NOT_FOUND),
            (None, None) if unsupported => plain(StatusCode::NOT_IMPLEMENTED),
            (None, None) => AllFailed::Nothing { configured },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(statuses: &[u16]) -> (u16, String) {
        let mut failures = Failures::default();
        for status in statuses {
            failures.tried += 1;
            failures.remember(StatusCode::from_u16(*status).unwrap(), None);
        }
        let refusal = failures.verdict(3);
        (refusal.status().as_u16(), refusal.to_string())
    }

    #[test]
    fn the_answer_worth_telling_wins() {
        assert_eq!(verdict(&[429, 401, 404]).0, 429);
        assert_eq!(verdict(&[401, 403, 500]).0, 403, "the last of 401 and 403");
        assert_eq!(verdict(&[404, 501]).0, 404);
        assert_eq!(verdict(&[501, 500]).0, 501);
        assert_eq!(verdict(&[500, 529]), (502, "all upstreams failed (3 attempted)".to_owned()));
    }
}
