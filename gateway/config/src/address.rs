//! Addresses as operators write them: hosts, ports, ranges, URLs, origins.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ipnet::IpNet;
use url::{Host, Url};

use crate::complaint::Complaint;

/// An address or a name to bind; brackets around an IPv6 address are taken off.
pub(crate) fn bind_host(text: &str) -> Result<String, Complaint> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let is_name = bare.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'));
    if bare.parse::<IpAddr>().is_ok() || (is_name && bare.bytes().any(|byte| byte.is_ascii_alphabetic())) {
        return Ok(bare.to_owned());
    }
    Err(Complaint::new("is no address to bind", "write one such as 0.0.0.0, ::, 127.0.0.1 or localhost"))
}

pub(crate) fn is_loopback_host(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// `host:port`, the host an IP address or `localhost`.
pub(crate) fn socket(text: &str) -> Result<SocketAddr, Complaint> {
    let named = || {
        let port = text.strip_prefix("localhost:")?.parse().ok()?;
        Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    };
    text.parse()
        .ok()
        .or_else(named)
        .filter(|address| address.port() != 0)
        .ok_or_else(|| Complaint::new("is no address and port", "write one such as 127.0.0.1:9464"))
}

/// A range, or a single address.
pub(crate) fn range(text: &str) -> Result<IpNet, Complaint> {
    let text = text.trim();
    let single = || text.parse::<IpAddr>().ok().map(IpNet::from);
    text.parse::<IpNet>()
        .ok()
        .map(|range| range.trunc())
        .or_else(single)
        .ok_or_else(|| Complaint::new("is no IP address or CIDR range", "write one such as 10.0.0.0/8 or 192.0.2.7"))
}

/// An `http` or `https` URL without credentials and fragment.
pub(crate) fn web(text: &str) -> Result<Url, Complaint> {
    let url = Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or_else(|| Complaint::new("is no http or https URL", "write one such as https://host.example.com"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Complaint::new("carries credentials in the URL", "take them out of the URL"));
    }
    if url.fragment().is_some() {
        return Err(Complaint::new("has a fragment", "remove `#` and what follows it"));
    }
    Ok(url)
}

/// A URL below which paths are put: no query, no trailing slash of its own.
pub(crate) fn base(text: &str) -> Result<Url, Complaint> {
    let mut url = web(text)?;
    if url.query().is_some() {
        return Err(Complaint::new("has a query", "remove `?` and what follows it"));
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

/// Scheme, host and port, nothing else.
pub(crate) fn origin(text: &str) -> Result<Url, Complaint> {
    let url = web(text)?;
    if url.path() != "/" || url.query().is_some() {
        return Err(Complaint::new("is more than an origin", "write only the scheme, the host and the port"));
    }
    Ok(url)
}

pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => {
            address.is_loopback() || address.to_ipv4_mapped().is_some_and(|address| address.is_loopback())
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{base, bind_host, is_loopback, origin, range, socket, web};

    #[test]
    fn a_range_may_be_one_address_and_is_cut_to_its_network() {
        assert_eq!(range("10.1.2.3/8").unwrap().to_string(), "10.0.0.0/8");
        assert_eq!(range("192.0.2.7").unwrap().to_string(), "192.0.2.7/32");
        assert_eq!(range("2001:db8::1").unwrap().to_string(), "2001:db8::1/128");
        for text in ["", "10.0.0.0/33", "10.0.0", "proxy.internal", "10.0.0.0/8,192.0.2.0/24"] {
            assert!(range(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_origin_is_nothing_more() {
        assert!(origin("https://gateway.example.com:8443/").is_ok());
        for text in ["https://a/b", "https://a?b", "https://a#b", "https://me:secret@a", "ftp://a", "a.example.com"] {
            assert!(origin(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_base_loses_its_trailing_slash() {
        assert_eq!(base("https://proxy/anthropic/").unwrap().as_str(), "https://proxy/anthropic");
        assert!(base("https://proxy/?a").is_err());
    }

    #[test]
    fn loopback_has_many_spellings() {
        for text in
            ["http://localhost:1", "http://127.9.9.9", "http://[::1]", "http://[::ffff:127.0.0.1]", "http://0x7f.1"]
        {
            assert!(is_loopback(&web(text).unwrap()), "{text}");
        }
        assert!(!is_loopback(&web("http://localhost.example.com").unwrap()));
    }

    #[test]
    fn a_socket_needs_its_port_and_a_host_its_name() {
        assert_eq!(socket("localhost:9464").unwrap().to_string(), "127.0.0.1:9464");
        assert_eq!(socket("[::]:9464").unwrap().to_string(), "[::]:9464");
        for text in ["9464", ":9464", "127.0.0.1", "127.0.0.1:0", "metrics.example.com:9464"] {
            assert!(socket(text).is_err(), "{text}");
        }
        assert_eq!(bind_host("[::]").unwrap(), "::");
        for text in ["1.2.3", "a b", "*", "http://a"] {
            assert!(bind_host(text).is_err(), "{text}");
        }
    }
}
