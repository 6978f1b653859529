//! The program that asks, in its own words, fit to be shown to a person.

use axum::http::{HeaderMap, header::USER_AGENT};

const LONGEST: usize = 100;

pub(super) fn described(headers: &HeaderMap) -> String {
    let value = headers.get(USER_AGENT).map(|value| value.as_bytes()).unwrap_or_default();
    let readable = value.iter().copied().filter(|byte| byte.is_ascii_graphic() || *byte == b' ');
    let text: String = readable.take(LONGEST).map(char::from).collect();
    match text.trim() {
        "" => "a program that does not say its name".to_owned(),
        text => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_program_is_shown_in_readable_letters_and_not_for_long() {
        let of =
            |value: &[u8]| described(&HeaderMap::from_iter([(USER_AGENT, HeaderValue::from_bytes(value).unwrap())]));
        assert_eq!(of(b"claude-code/2.1.330"), "claude-code/2.1.330");
        assert_eq!(of(b"a\tb\xff\xe2\x80\xae"), "ab");
        assert_eq!(of(&[b'x'; 5000]).len(), LONGEST);
        assert_eq!(described(&HeaderMap::new()), of(b"\xff"));
    }
}
