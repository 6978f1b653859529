//! The public name: clients connect to a gateway only if every address of its name is private, since a gateway may run commands
//! on the machines that trust it.

use std::net::IpAddr;

use gateway_egress::Resolver;
use ipnet::IpNet;
use url::{Host, Url};

use super::Finding;

/// What a client takes for private.
const PRIVATE: [&str; 7] =
    ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "::1/128", "fc00::/7"];

pub(super) async fn name(called: &str, url: &Url, resolver: &dyn Resolver) -> Finding {
    let port = url.port_or_known_default().unwrap_or(443);
    let (host, addresses) = match url.host() {
        None => return Finding::Bad(format!("{called} names no host: write one such as https://claude.example.com")),
        Some(Host::Ipv4(address)) => (address.to_string(), Ok(vec![IpAddr::from(address)])),
        Some(Host::Ipv6(address)) => (address.to_string(), Ok(vec![IpAddr::from(address)])),
        Some(Host::Domain(name)) => {
            let found = resolver.resolve(name, port).await;
            (name.to_owned(), found.map(|found| found.into_iter().map(|address| address.ip()).collect()))
        }
    };
    judged(called, &host, addresses.unwrap_or_default())
}

fn judged(called: &str, host: &str, addresses: Vec<IpAddr>) -> Finding {
    if addresses.is_empty() {
        return Finding::Note(format!(
            "{called}: {host} has no address here; developers' machines need one, and only private ones"
        ));
    }
    match addresses.iter().find(|address| !is_private(**address)) {
        None => Finding::Good(format!("{called}: {host} leads to private addresses only")),
        Some(public) => Finding::Bad(format!(
            "{called}: {host} leads to {public}, which is public, and clients refuse such a gateway: let DNS answer with the \
             private address of the load balancer only"
        )),
    }
}

fn is_private(address: IpAddr) -> bool {
    let address = address.to_canonical();
    PRIVATE.iter().filter_map(|range| range.parse::<IpNet>().ok()).any(|range| range.contains(&address))
}

#[cfg(test)]
mod tests {
    use std::{io, net::SocketAddr};

    use gateway_egress::Answer;

    use super::*;

    #[derive(Debug)]
    struct Says(&'static [&'static str]);

    impl Resolver for Says {
        fn resolve<'a>(&'a self, _: &'a str, port: u16) -> Answer<'a> {
            let addresses: Vec<_> =
                self.0.iter().map(|address| SocketAddr::new(address.parse().unwrap(), port)).collect();
            Box::pin(async move {
                match addresses.is_empty() {
                    true => Err(io::ErrorKind::NotFound.into()),
                    false => Ok(addresses),
                }
            })
        }
    }

    #[tokio::test]
    async fn f8_one_public_address_is_enough_for_clients_to_refuse() {
        let url = Url::parse("https://claude.example.com").unwrap();
        let said = async |addresses| name("the name", &url, &Says(addresses)).await.to_string();
        for private in [&["10.1.2.3"][..], &["192.168.0.1", "fd00::1"], &["100.64.0.9"], &["::ffff:172.20.1.1"]] {
            assert!(said(private).await.starts_with("ok"), "{private:?}");
        }
        for public in
            [&["203.0.113.9"][..], &["10.1.2.3", "203.0.113.9"], &["2001:db8::1"], &["172.32.0.1"], &["169.254.1.1"]]
        {
            let said = said(public).await;
            assert!(said.starts_with("FAIL") && said.contains("private address of the load balancer"), "{said}");
        }
        assert!(said(&[]).await.starts_with("note"), "developers' DNS may know it");
    }
}
