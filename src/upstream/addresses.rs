//! Where an upstream may lead us: not into our own network, unless the operator says so.

use std::{
    collections::HashSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use super::{UpstreamError, UpstreamErrorKind};

/// Which hosts may have which addresses. Hosts that the operator configured may have any; hosts that an upstream names
/// (redirects, token services) only public ones. Behind a proxy it is the proxy that resolves names, so only addresses that
/// stand in a URL are checked here.
#[derive(Debug, Clone)]
pub(super) struct AddressRule {
    configured: Arc<HashSet<String>>,
    allow_private: bool,
}

/// A name resolves to nothing but addresses that may not be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "it resolves to a private, link-local or loopback address; set allow_private_addresses = true for this upstream if that is meant"
)]
pub(super) struct PrivateAddress;

impl AddressRule {
    /// `configured`: the hosts that may have any address.
    pub(super) fn new(configured: impl IntoIterator<Item = String>, allow_private: bool) -> Self {
        let configured = configured.into_iter().map(|host| host.to_ascii_lowercase()).collect();
        Self { configured: Arc::new(configured), allow_private }
    }

    /// Refuses URLs that lead nowhere good, before any connection. Names are checked once they are resolved.
    ///
    /// # Errors
    /// [`UpstreamErrorKind::Forbidden`].
    pub(super) fn check(&self, url: &Url) -> Result<(), UpstreamError> {
        let forbidden = |text: String| Err(UpstreamError::new(UpstreamErrorKind::Forbidden, text));
        if !matches!(url.scheme(), "http" | "https") {
            return forbidden(format!(
                "the upstream leads to a URL of scheme '{}'; only http and https are followed",
                url.scheme()
            ));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return forbidden("the upstream leads to a URL with user information in it".to_owned());
        }
        let address = match url.host() {
            None => return forbidden("the upstream leads to a URL without a host".to_owned()),
            Some(Host::Domain(_)) => return Ok(()),
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
        };
        if is_public(address) || self.any_address(url.host_str().unwrap_or_default()) {
            return Ok(());
        }
        forbidden(format!(
            "the upstream leads to {address}, a private, link-local or loopback address; set allow_private_addresses = true for \
             this upstream if that is meant"
        ))
    }

    fn any_address(&self, host: &str) -> bool {
        self.allow_private || self.configured.contains(&host.to_ascii_lowercase())
    }

    fn filter(&self, host: &str, addresses: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, PrivateAddress> {
        if self.any_address(host) || addresses.is_empty() {
            return Ok(addresses);
        }
        let public: Vec<_> = addresses.into_iter().filter(|address| is_public(address.ip())).collect();
        if public.is_empty() { Err(PrivateAddress) } else { Ok(public) }
    }
}

/// The system's resolver behind the rule. What it lets through is what is dialled: there is no second look-up that could
/// answer something else.
impl Resolve for AddressRule {
    fn resolve(&self, name: Name) -> Resolving {
        let rule = self.clone();
        Box::pin(async move {
            let addresses = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let allowed = rule.filter(name.as_str(), addresses)?;
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Whether an address belongs to the public network.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_loopback()
        || address.is_private()
        // 169.254.169.254, the metadata service of most clouds, is link-local.
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || a == 0
        // Shared address space of carriers; one cloud has its metadata service there.
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (18..20).contains(&b))
        || a >= 240)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        // Mapped (::ffff:a.b.c.d), translated (::ffff:0:a.b.c.d) and compatible (::a.b.c.d) addresses, :: and ::1 among them.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] | [0, 0, 0, 0, 0, 0, high, low] => {
            embedded(high, low)
        }
        // NAT64 and 6to4.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => embedded(high, low),
        [0x64, 0xff9b, 1, ..] | [0x2001, 0, ..] | [0x2001, 0xdb8, ..] => false,
        // Unique local, link-local, site-local, multicast.
        [first, ..] => {
            !(first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfe80 || first & 0xffc0 == 0xfec0 || first & 0xff00 == 0xff00)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(rule: &AddressRule, url: &str) -> Option<UpstreamErrorKind> {
        rule.check(&url.parse().unwrap()).err().map(|error| error.kind)
    }

    #[test]
    fn addresses_outside_of_the_public_network_are_refused_in_any_spelling() {
        let rule = AddressRule::new(["registry.example".to_owned()], false);
        for host in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "0.0.0.0",
            "10.1.2.3",
            "172.31.0.1",
            "192.168.0.1",
            "169.254.169.254",
            "100.100.100.200",
            "255.255.255.255",
            "224.0.0.1",
            "198.18.0.1",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:10.0.0.1]",
            "[::127.0.0.1]",
            "[64:ff9b::a9fe:a9fe]",
            "[2002:7f00:1::]",
            "[fe80::1]",
            "[fd00:ec2::254]",
            "[fec0::1]",
            "[ff02::1]",
        ] {
            assert_eq!(kind(&rule, &format!("http://{host}/x")), Some(UpstreamErrorKind::Forbidden), "{host}");
        }
        for host in ["1.1.1.1", "[2606:4700::1111]", "[::ffff:8.8.8.8]", "registry.example", "other.example"] {
            assert_eq!(kind(&rule, &format!("https://{host}/x")), None, "{host}");
        }
    }

    #[test]
    fn other_schemes_and_user_information_are_refused() {
        let rule = AddressRule::new([], true);
        for url in
            ["file:///etc/passwd", "data:text/plain,x", "unix:/run/x.sock", "ftp://a.example/", "https://user:pw@a.example/"]
        {
            assert_eq!(kind(&rule, url), Some(UpstreamErrorKind::Forbidden), "{url}");
        }
    }

    #[test]
    fn the_operator_may_configure_private_hosts() {
        let rule = AddressRule::new(["127.0.0.1".to_owned(), "[::1]".to_owned()], false);
        assert_eq!(kind(&rule, "http://127.0.0.1:5000/"), None);
        assert_eq!(kind(&rule, "http://[::1]:5000/"), None);
        assert_eq!(kind(&rule, "http://127.0.0.2/"), Some(UpstreamErrorKind::Forbidden));
        assert_eq!(kind(&AddressRule::new([], true), "http://127.0.0.2/"), None);
    }

    #[test]
    fn of_a_resolved_name_only_public_addresses_are_left() {
        let rule = AddressRule::new(["Mirror.example".to_owned()], false);
        let private: SocketAddr = "10.0.0.1:0".parse().unwrap();
        let public: SocketAddr = "1.1.1.1:0".parse().unwrap();
        assert_eq!(rule.filter("cdn.example", vec![private, public]), Ok(vec![public]));
        assert_eq!(rule.filter("cdn.example", vec![private]), Err(PrivateAddress));
        assert_eq!(rule.filter("mirror.example", vec![private]), Ok(vec![private]));
    }
}
