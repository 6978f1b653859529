//! `NO_PROXY`: the hosts that are reached without the proxy.
//!
//! The usual readings: `*` is everything; a name is itself and everything below it, with or without a leading dot; an
//! address or a CIDR matches hosts that are written as addresses; a port narrows an entry to that port.

use std::net::IpAddr;

use ipnet::IpNet;
use url::Host;

#[derive(Debug, Clone, Default)]
pub(crate) struct NoProxy {
    entries: Vec<Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    pattern: Pattern,
    port: Option<u16>,
}

#[derive(Debug, Clone)]
enum Pattern {
    Everything,
    Name(String),
    Network(IpNet),
}

impl NoProxy {
    pub(crate) fn parse(text: &str) -> Self {
        Self { entries: text.split([',', ' ']).map(str::trim).filter(|entry| !entry.is_empty()).map(entry).collect() }
    }

    pub(crate) fn covers(&self, host: &Host<&str>, port: u16) -> bool {
        self.entries.iter().any(|entry| entry.port.is_none_or(|only| only == port) && entry.pattern.matches(host))
    }
}

fn entry(text: &str) -> Entry {
    if let Some(network) = network(text) {
        return Entry { pattern: Pattern::Network(network), port: None };
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => match port.parse() {
            Ok(port) => (host, Some(port)),
            Err(_) => (text, None),
        },
        None => (text, None),
    };
    let pattern = match network(host) {
        Some(network) => Pattern::Network(network),
        None if host == "*" => Pattern::Everything,
        None => Pattern::Name(name(host.strip_prefix("*.").unwrap_or(host).trim_start_matches('.'))),
    };
    Entry { pattern, port }
}

fn network(text: &str) -> Option<IpNet> {
    let text = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

fn name(text: &str) -> String {
    text.trim_end_matches('.').to_ascii_lowercase()
}

impl Pattern {
    fn matches(&self, host: &Host<&str>) -> bool {
        match (self, host) {
            (Self::Everything, _) => true,
            (Self::Name(suffix), Host::Domain(host)) => below(&name(host), suffix),
            (Self::Network(network), Host::Ipv4(address)) => network.contains(&IpAddr::V4(*address)),
            (Self::Network(network), Host::Ipv6(address)) => network.contains(&IpAddr::V6(*address)),
            (Self::Name(_), _) | (Self::Network(_), Host::Domain(_)) => false,
        }
    }
}

fn below(host: &str, suffix: &str) -> bool {
    match host.strip_suffix(suffix) {
        Some("") => !suffix.is_empty(),
        Some(rest) => !suffix.is_empty() && rest.ends_with('.'),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(list: &str, host: &str, port: u16) -> bool {
        NoProxy::parse(list).covers(&host_of(host), port)
    }

    fn host_of(host: &str) -> Host<&str> {
        match Host::parse(host).unwrap() {
            Host::Domain(_) => Host::Domain(host),
            Host::Ipv4(address) => Host::Ipv4(address),
            Host::Ipv6(address) => Host::Ipv6(address),
        }
    }

    #[test]
    fn a_name_covers_itself_and_what_is_below_it() {
        for list in ["example.com", ".example.com", "*.example.com", "EXAMPLE.com.", "a.b, example.com"] {
            assert!(covers(list, "example.com", 443), "{list}");
            assert!(covers(list, "idp.Example.com", 443), "{list}");
            assert!(!covers(list, "notexample.com", 443), "{list}");
            assert!(!covers(list, "example.com.evil.test", 443), "{list}");
        }
    }

    #[test]
    fn a_star_covers_everything_and_nothing_covers_nothing() {
        assert!(covers("*", "example.com", 443));
        assert!(covers("*", "10.0.0.1", 80));
        for list in ["", " , ,", ".", "*."] {
            assert!(!covers(list, "example.com", 443), "{list:?}");
        }
    }

    #[test]
    fn a_port_narrows_an_entry() {
        assert!(covers("example.com:8443", "example.com", 8443));
        assert!(!covers("example.com:8443", "example.com", 443));
        assert!(covers("10.0.0.1:80", "10.0.0.1", 80));
        assert!(!covers("10.0.0.1:80", "10.0.0.1", 443));
        assert!(covers("[fd00::1]:80", "[fd00::1]", 80));
        assert!(!covers("[fd00::1]:80", "[fd00::1]", 443));
    }

    #[test]
    fn addresses_and_networks_cover_hosts_written_as_addresses() {
        assert!(covers("10.0.0.0/8", "10.1.2.3", 443));
        assert!(!covers("10.0.0.0/8", "11.1.2.3", 443));
        assert!(covers("fd00::/8", "[fd12::1]", 443));
        assert!(covers("fd12::1", "[fd12::1]", 443));
        assert!(covers("192.168.0.1", "192.168.0.1", 443));
        assert!(!covers("10.0.0.0/8", "ten.example.com", 443));
    }
}
