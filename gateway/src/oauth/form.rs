//! Forms and query strings: what we do not know is ignored, what we read is there once or not at all (RFC 6749, 3.2).

use std::{borrow::Cow, collections::HashMap};

use axum::http::{HeaderMap, header::CONTENT_TYPE};

/// Parameters by name; `None` where one was repeated.
pub(super) struct Form<'a>(HashMap<Cow<'a, str>, Option<Cow<'a, str>>>);

/// A parameter that we read was sent more than once.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Repeated(pub(super) &'static str);

impl<'a> Form<'a> {
    pub(super) fn read(unverified: &'a [u8]) -> Self {
        let mut parameters = HashMap::new();
        for (name, value) in url::form_urlencoded::parse(unverified) {
            parameters.entry(name).and_modify(|value| *value = None).or_insert(Some(value));
        }
        Self(parameters)
    }

    /// An empty value is as good as none (RFC 6749, 3.2).
    pub(super) fn one(&self, name: &'static str) -> Result<Option<&str>, Repeated> {
        match self.0.get(name) {
            None => Ok(None),
            Some(None) => Err(Repeated(name)),
            Some(Some(value)) => Ok((!value.is_empty()).then_some(value)),
        }
    }
}

/// Parameters after the media type do not matter.
pub(super) fn is_form(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = value.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_there_once_or_not_at_all() {
        let form = Form::read(b"a=1&b=&c=1&c=2&unknown=%ff%00");
        assert_eq!(form.one("a"), Ok(Some("1")));
        assert_eq!(form.one("b"), Ok(None));
        assert_eq!(form.one("c"), Err(Repeated("c")));
        assert_eq!(form.one("d"), Ok(None));
    }

    #[test]
    fn the_media_type_decides_and_its_parameters_do_not() {
        let of = |value: &'static str| is_form(&HeaderMap::from_iter([(CONTENT_TYPE, value.parse().unwrap())]));
        assert!(of("application/x-www-form-urlencoded"));
        assert!(of("Application/X-WWW-Form-Urlencoded; charset=utf-8"));
        assert!(!of("application/json") && !of("text/plain; application/x-www-form-urlencoded"));
        assert!(!is_form(&HeaderMap::new()));
    }
}
