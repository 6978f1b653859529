//! Whether a form was sent by a page of ours.
//!
//! `Sec-Fetch-Site` decides where the browser sends it. `Origin` alone cannot: our pages send no referrer, and then browsers
//! say `Origin: null` even to ourselves. A browser too old to send either is refused.

use axum::http::{HeaderMap, header::ORIGIN};

pub(super) fn is_same_origin(headers: &HeaderMap, own: &str) -> bool {
    let one = |name: &str| {
        let mut values = headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => value.to_str().map(Some).map_err(|_| ()),
            (Some(_), Some(_)) => Err(()),
        }
    };
    match (one("sec-fetch-site"), one(ORIGIN.as_str())) {
        (Ok(Some(site)), Ok(origin)) => {
            site == "same-origin" && origin.is_none_or(|origin| origin == "null" || origin == own)
        }
        (Ok(None), Ok(origin)) => origin == Some(own),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "https://gateway.example";

    fn sent(headers: &[(&'static str, &'static str)]) -> bool {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        is_same_origin(&headers.collect(), OWN)
    }

    #[test]
    fn our_own_pages_may_post() {
        assert!(sent(&[("sec-fetch-site", "same-origin"), ("origin", OWN)]));
        assert!(sent(&[("sec-fetch-site", "same-origin"), ("origin", "null")]));
        assert!(sent(&[("sec-fetch-site", "same-origin")]));
        assert!(sent(&[("origin", OWN)]));
    }

    /// Catalogue S5: cross-site posts.
    #[test]
    fn nobody_elses_pages_may_post() {
        for headers in [
            &[][..],
            &[("origin", "null")],
            &[("origin", "https://attacker.example")],
            &[("origin", "https://gateway.example.attacker.example")],
            &[("origin", "http://gateway.example")],
            &[("origin", "https://gateway.example:8443")],
            &[("sec-fetch-site", "cross-site"), ("origin", OWN)],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "none")],
            &[("sec-fetch-site", "same-origin"), ("origin", "https://attacker.example")],
        ] {
            assert!(!sent(headers), "{headers:?}");
        }
    }

    #[test]
    fn a_repeated_header_is_no_proof() {
        let mut headers = HeaderMap::new();
        headers.append("sec-fetch-site", "same-origin".parse().unwrap());
        headers.append("sec-fetch-site", "cross-site".parse().unwrap());
        assert!(!is_same_origin(&headers, OWN));
    }
}
