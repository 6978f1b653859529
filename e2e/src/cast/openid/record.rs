//! What the provider was asked.

use url::{Url, form_urlencoded};

#[derive(Debug, Clone)]
pub struct Recorded {
    pub method: String,
    pub path: String,
    pub query: Vec<(String, String)>,
    pub headers: Vec<(String, String)>,
    pub form: Vec<(String, String)>,
}

impl Recorded {
    pub fn query(&self, name: &str) -> Option<&str> {
        first(&self.query, name)
    }

    pub fn form(&self, name: &str) -> Option<&str> {
        first(&self.form, name)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        first(&self.headers, name)
    }

    pub(crate) fn of_url(method: &str, url: &Url) -> Self {
        Self {
            method: method.to_owned(),
            path: url.path().to_owned(),
            query: url.query_pairs().into_owned().collect(),
            headers: Vec::new(),
            form: Vec::new(),
        }
    }

    pub(crate) fn of_request(head: &http::request::Parts, body: &[u8]) -> Self {
        let parse = |text: &[u8]| form_urlencoded::parse(text).into_owned().collect();
        Self {
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            query: parse(head.uri.query().unwrap_or_default().as_bytes()),
            headers: head
                .headers
                .iter()
                .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
                .collect(),
            form: parse(body),
        }
    }
}

fn first<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}
