//! A browser without a window: cookies, redirects, forms. Enough to sign somebody in; a page's looks are Chromium's to judge.

mod form;

use std::{collections::BTreeMap, net::SocketAddr};

use anyhow::{Context, Result, ensure};
use http::Method;
use url::Url;

pub use form::{Button, Form};

use super::client::{Client, Request};

const MAX_REDIRECTS: usize = 20;

/// Cookies are kept by name: everything here is one host, and cookies do not know ports.
#[derive(Default)]
pub struct Browser {
    cookies: BTreeMap<String, String>,
    ca_pem: Option<String>,
    found: BTreeMap<String, SocketAddr>,
}

/// Where the browser has arrived.
#[derive(Debug)]
pub struct Page {
    pub url: Url,
    pub status: u16,
    pub text: String,
}

impl Browser {
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts this authority for every `https` page.
    pub fn trusting(ca_pem: Option<&str>) -> Self {
        Self { ca_pem: ca_pem.map(str::to_owned), ..Self::default() }
    }

    /// Finds this origin there, as behind a proxy.
    pub fn finding(mut self, origin: &str, address: SocketAddr) -> Self {
        self.found.insert(origin.to_owned(), address);
        self
    }

    pub async fn open(&mut self, url: &str) -> Result<Page> {
        self.follow(Method::GET, Url::parse(url)?, None).await
    }

    /// Presses a button of the page; its form's fields go along.
    pub async fn press(&mut self, page: &Page, choose: impl Fn(&Button) -> bool) -> Result<Page> {
        let forms = form::forms(&page.text);
        let found = forms.iter().find_map(|form| Some((form, form.buttons.iter().find(|button| choose(button))?)));
        let (form, button) = found.with_context(|| format!("no such button on {}:\n{}", page.url, page.text))?;
        let target = page.url.join(button.action.as_deref().unwrap_or(&form.action))?;
        let mut fields = form.fields.clone();
        fields.extend(button.field.clone());
        self.follow(Method::POST, target, Some((fields, origin(&page.url)))).await
    }

    /// Follows the page's link that says so in an attribute.
    pub async fn click(&mut self, page: &Page, attribute: &str, value: &str) -> Result<Page> {
        let link = form::link(&page.text, attribute, value);
        let link = link.with_context(|| format!("no link with {attribute}={value} on {}", page.url))?;
        self.follow(Method::GET, page.url.join(&link)?, None).await
    }

    pub fn cookies(&self) -> &BTreeMap<String, String> {
        &self.cookies
    }

    async fn follow(
        &mut self,
        mut method: Method,
        mut url: Url,
        mut form: Option<(Vec<(String, String)>, String)>,
    ) -> Result<Page> {
        for _ in 0..MAX_REDIRECTS {
            let mut request = self.request(method, &url)?;
            if let Some((fields, from)) = form.take() {
                let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                let site = if from == origin(&url) { "same-origin" } else { "same-site" };
                request = request.form(&fields).header("origin", &from).header("sec-fetch-site", site);
            }
            let response = request.send().await?;
            for cookie in response.headers.get_all("set-cookie") {
                self.keep(cookie.to_str()?);
            }
            match response.header("location").map(str::to_owned) {
                Some(location) if (300..400).contains(&response.status) => {
                    url = url.join(&location)?;
                    method = Method::GET;
                }
                _ => return Ok(Page { url, status: response.status, text: response.text().await? }),
            }
        }
        anyhow::bail!("redirected {MAX_REDIRECTS} times, last to {url}")
    }

    fn request(&self, method: Method, url: &Url) -> Result<Request> {
        let mut client = match self.found.get(&origin(url)) {
            Some(address) => Client::at(&origin(url), *address)?,
            None => Client::new(&origin(url))?,
        };
        if url.scheme() == "https" {
            client = client.trusting(self.ca_pem.as_deref().context("nobody to trust")?)?;
        }
        let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = client.request(method, target);
        Ok(if cookies.is_empty() { request } else { request.header("cookie", &cookies.join("; ")) })
    }

    fn keep(&mut self, cookie: &str) {
        let mut parts = cookie.split(';').map(str::trim);
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { return };
        let ended = parts.any(|part| {
            let part = part.to_ascii_lowercase();
            part == "max-age=0" || part.starts_with("expires=thu, 01 jan 1970")
        });
        match ended {
            true => drop(self.cookies.remove(name)),
            false => drop(self.cookies.insert(name.to_owned(), value.to_owned())),
        }
    }
}

impl Page {
    pub fn forms(&self) -> Vec<Form> {
        form::forms(&self.text)
    }

    /// Fails unless the page says so.
    pub fn expect(self, status: u16) -> Result<Self> {
        ensure!(self.status == status, "{} instead of {status} at {}:\n{}", self.status, self.url, self.text);
        Ok(self)
    }
}

fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}
