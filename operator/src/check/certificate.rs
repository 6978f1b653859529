//! The certificate that a gateway's public address shows, as far as its Secret says it.

use jiff::{SignedDuration, Timestamp};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use url::Url;
use x509_parser::prelude::GeneralName;

use super::Finding;

/// Developers have to trust each new one, so nobody likes to hear of it on the last day.
const SOON: SignedDuration = SignedDuration::from_hours(30 * 24);

pub(super) fn certificate(called: &str, pem: &[u8], url: &Url, now: Timestamp) -> Finding {
    let leaf = CertificateDer::pem_slice_iter(pem).next().and_then(Result::ok);
    let parsed = leaf.as_deref().and_then(|leaf| x509_parser::parse_x509_certificate(leaf).ok());
    let Some((_, parsed)) = parsed else {
        return Finding::Bad(format!(
            "{called}: tls.crt of the Secret holds no certificate: put the chain in PEM form there, the server's own first"
        ));
    };
    let (from, until) = (parsed.validity().not_before.timestamp(), parsed.validity().not_after.timestamp());
    let host = url.host_str().unwrap_or_default();
    let names = parsed.subject_alternative_name().ok().flatten();
    let is_named = names.is_some_and(|names| names.value.general_names.iter().any(|name| covers(name, host)));
    if !is_named {
        return Finding::Bad(format!(
            "{called}: the certificate is not for {host}: put one with that name into the Secret"
        ));
    }
    if until <= now.as_second() || from > now.as_second() {
        return Finding::Bad(format!("{called}: the certificate is not valid today: put one that is into the Secret"));
    }
    let date = Timestamp::from_second(until).unwrap_or(Timestamp::MAX);
    match date.duration_since(now) < SOON {
        true => {
            Finding::Note(format!("{called}: the certificate ends at {date}: each developer has to trust the next one"))
        }
        false => Finding::Good(format!("{called}: its certificate is for {host}, until {date}")),
    }
}

fn covers(name: &GeneralName<'_>, host: &str) -> bool {
    match name {
        GeneralName::DNSName(name) => match name.strip_prefix("*.") {
            None => name.eq_ignore_ascii_case(host),
            Some(parent) => host.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(parent)),
        },
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(std::net::IpAddr::from);
            let address = v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(std::net::IpAddr::from));
            address.is_ok_and(|address| host.trim_matches(['[', ']']).parse() == Ok(address))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f8_a_certificate_of_another_name_or_another_time_is_a_fault() {
        let authority = e2e::cast::certificate::Authority::new().unwrap();
        let leaf = authority.leaf(&["claude.example.com", "*.wild.example.com", "10.1.2.3"]).unwrap();
        let pem = leaf.certificate_pem.as_bytes();
        let now = Timestamp::now();
        let said = |host: &str, pem: &[u8], at: Timestamp| {
            certificate("gateway", pem, &Url::parse(&format!("https://{host}")).unwrap(), at).to_string()
        };
        for host in ["claude.example.com", "a.wild.example.com", "10.1.2.3"] {
            let said = said(host, pem, now);
            assert!(!said.starts_with("FAIL"), "{said}");
        }
        for host in ["other.example.com", "a.b.wild.example.com", "10.1.2.4"] {
            assert!(said(host, pem, now).contains(&format!("is not for {host}")));
        }
        // The cast's certificates end with the year 4095.
        let at = |time: &str| said("claude.example.com", pem, time.parse().unwrap());
        assert!(at("4097-01-01T00:00:00Z").contains("not valid today"));
        assert!(at("4095-12-20T00:00:00Z").starts_with("note") && at("4095-01-01T00:00:00Z").starts_with("ok"));
        assert!(said("claude.example.com", pem, Timestamp::from_second(0).unwrap()).contains("not valid today"));
        assert!(said("claude.example.com", b"nothing", now).contains("holds no certificate"));
    }
}
