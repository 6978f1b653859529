//! The cookie that binds a browser to the one grant whose code it entered: only that browser may continue.

use axum::http::{HeaderMap, HeaderValue, header::COOKIE};
use secrecy::{ExposeSecret, SecretString};

/// As long as a grant at most.
const MAX_AGE: u32 = 600;
/// 256 bits in base64url.
const LENGTH: usize = 43;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BindingCookie {
    /// `__Host-`: no other host, path or plain connection can set it.
    Secure,
    /// Plain http on loopback, where browsers refuse the prefix.
    Loopback,
}

impl BindingCookie {
    pub(super) fn of(is_https: bool) -> Self {
        if is_https { Self::Secure } else { Self::Loopback }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Secure => "__Host-gateway-sign-in",
            Self::Loopback => "gateway-sign-in",
        }
    }

    /// `SameSite=Strict` would be lost on the way back from the identity provider.
    fn attributes(self) -> &'static str {
        match self {
            Self::Secure => "Path=/; HttpOnly; SameSite=Lax; Secure",
            Self::Loopback => "Path=/; HttpOnly; SameSite=Lax",
        }
    }

    /// A cookie that is there twice with different values is nobody's.
    pub(super) fn read(self, headers: &HeaderMap) -> Option<SecretString> {
        let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut values = cookies
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .filter(|(name, _)| *name == self.name())
            .map(|(_, value)| value);
        let value = values.next()?;
        let is_ours = value.len() == LENGTH && values.all(|other| other == value);
        is_ours.then(|| value.into())
    }

    pub(super) fn set(self, binding: &SecretString) -> Option<HeaderValue> {
        let (name, attributes) = (self.name(), self.attributes());
        let value = format!("{name}={}; Max-Age={MAX_AGE}; {attributes}", binding.expose_secret());
        let mut value = HeaderValue::try_from(value).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    pub(super) fn clear(self) -> Option<HeaderValue> {
        HeaderValue::try_from(format!("{}=; Max-Age=0; {}", self.name(), self.attributes())).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    fn read(cookies: &[&str]) -> Option<String> {
        let headers = cookies.iter().map(|cookie| (COOKIE, cookie.parse().unwrap())).collect();
        BindingCookie::Secure.read(&headers).map(|value| value.expose_secret().to_owned())
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let cookie = format!("a=b; __Host-gateway-sign-in={VALUE}; c=d");
        assert_eq!(read(&[&cookie]).as_deref(), Some(VALUE));
        assert_eq!(read(&["x=y", &cookie]).as_deref(), Some(VALUE));
    }

    /// Catalogue S16: oversized, duplicate and unprefixed cookies.
    #[test]
    fn a_doubtful_cookie_is_none() {
        let other = VALUE.replace('A', "B");
        let name = "__Host-gateway-sign-in";
        assert_eq!(read(&[&format!("{name}={VALUE}; {name}={other}")]), None);
        assert_eq!(read(&[&format!("{name}={VALUE}"), &format!("{name}={other}")]), None);
        assert_eq!(read(&[&format!("{name}={}", VALUE.repeat(100))]), None);
        assert_eq!(read(&[&format!("gateway-sign-in={VALUE}")]), None);
        assert_eq!(read(&[]), None);
    }

    /// Catalogue S16: the attributes.
    #[test]
    fn the_cookie_is_for_this_host_this_browser_and_no_script() {
        let set = BindingCookie::Secure.set(&VALUE.into()).unwrap();
        let set = set.to_str().unwrap();
        assert!(set.starts_with("__Host-gateway-sign-in=") && !set.contains("Domain"));
        for attribute in ["Path=/", "HttpOnly", "SameSite=Lax", "Secure", "Max-Age=600"] {
            assert!(set.split("; ").any(|part| part == attribute), "{attribute}");
        }
        let loopback = BindingCookie::Loopback.set(&VALUE.into()).unwrap();
        assert!(!loopback.to_str().unwrap().contains("__Host-"));
    }
}
