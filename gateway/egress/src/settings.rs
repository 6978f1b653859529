//! What the environment says about going out.

use std::fmt;

use url::Url;

/// Read once at boot.
#[derive(Clone, Default)]
pub struct EgressSettings {
    /// `CLAUDE_GATEWAY_ALLOW_LOOPBACK=1`
    pub allow_loopback: bool,
    /// `HTTPS_PROXY` / `HTTP_PROXY`
    pub https_proxy: Option<Url>,
    pub http_proxy: Option<Url>,
    /// `NO_PROXY`, as it stands.
    pub no_proxy: String,
    /// `CLAUDE_GATEWAY_PROXY_IS_EGRESS_BOUNDARY=1`: names go to the proxy unresolved.
    pub proxy_is_boundary: bool,
}

impl EgressSettings {
    /// Why the proxy cannot be the boundary, for one warning at boot; `None` where it can, or was not asked to be.
    pub fn boundary_obstacle(&self) -> Option<&'static str> {
        if !self.proxy_is_boundary {
            None
        } else if self.https_proxy.is_none() && self.http_proxy.is_none() {
            Some("neither HTTPS_PROXY nor HTTP_PROXY is set")
        } else if !self.no_proxy.trim().is_empty() {
            Some("NO_PROXY is not empty")
        } else if self.allow_loopback {
            Some("CLAUDE_GATEWAY_ALLOW_LOOPBACK is on")
        } else {
            None
        }
    }
}

// A proxy's URL may hold a password.
impl fmt::Debug for EgressSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = |url: &Option<Url>| url.as_ref().map(|url| url.origin().ascii_serialization());
        f.debug_struct("EgressSettings")
            .field("allow_loopback", &self.allow_loopback)
            .field("https_proxy", &origin(&self.https_proxy))
            .field("http_proxy", &origin(&self.http_proxy))
            .field("no_proxy", &self.no_proxy)
            .field("proxy_is_boundary", &self.proxy_is_boundary)
            .finish()
    }
}

/// Whether a caller's requests use the forward proxy where one is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    ByEnvironment,
    Direct,
}
