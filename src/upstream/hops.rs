//! The way that a request has come: `Via` (RFC 9110, section 7.6.3).

/// The Harbingers that a request has passed through, the first one first. Proxies of other kinds are left out: only a
/// Harbinger sends a request on to where it may have been, and the names of a client's own proxies are nobody's business.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hops(Vec<String>);

/// What the name of every Harbinger begins with.
const PREFIX: &str = "harbinger-";
/// Longer names are not ours.
const MAX_NAME: usize = 64;

impl Hops {
    /// More than any sensible tree of servers is high; a request with so many hops goes no further.
    pub const MAX: usize = 16;

    /// Reads the values of `Via` headers, in their order. Of a way that is too long, only so much is kept that it is known to be.
    pub fn read<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let hops = values.into_iter().flat_map(|value| value.split(','));
        // `1.1 name (comment)`
        let names = hops.filter_map(|hop| hop.split_whitespace().nth(1)).filter(|name| is_ours(name));
        Self(names.take(Self::MAX).map(str::to_owned).collect())
    }

    /// Whether the request has passed through `server` before.
    pub fn contains(&self, server: &str) -> bool {
        self.0.iter().any(|hop| hop == server)
    }

    /// Whether the way is too long to go on.
    pub fn is_full(&self) -> bool {
        self.0.len() >= Self::MAX
    }

    /// Whether the request comes from a client.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The header of the request that `server` sends on.
    pub(super) fn via(&self, server: &str) -> String {
        let names = self.0.iter().map(String::as_str).chain([server]);
        names.map(|name| format!("1.1 {name}")).collect::<Vec<_>>().join(", ")
    }
}

fn is_ours(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    name.len() <= MAX_NAME && name.starts_with(PREFIX) && name.bytes().all(legal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_is_read_hop_by_hop() {
        let hops = Hops::read(["1.1 harbinger-a", "1.0 squid, 1.1 harbinger-b (edge),harbinger-c", "1.1 harbinger-\u{e9}"]);
        assert_eq!(hops, Hops(vec!["harbinger-a".to_owned(), "harbinger-b".to_owned()]));
        assert!(hops.contains("harbinger-a") && !hops.contains("harbinger-c") && !hops.contains("squid"));
        for nothing in ["", ",", "1.1", "1.1 harbingerx", "harbinger-a", &format!("1.1 harbinger-{}", "a".repeat(64))] {
            assert!(Hops::read([nothing]).is_empty(), "{nothing}");
        }
    }

    #[test]
    fn the_next_hop_is_added_behind() {
        assert_eq!(Hops::default().via("harbinger-a"), "1.1 harbinger-a");
        assert_eq!(Hops::read(["1.1 harbinger-a, 1.1 b"]).via("harbinger-c"), "1.1 harbinger-a, 1.1 harbinger-c");
    }

    #[test]
    fn a_long_way_is_bounded() {
        let long = |count: usize| Hops::read([vec!["1.1 harbinger-a"; count].join(", ").as_str()]);
        assert!(!long(Hops::MAX - 1).is_full() && long(Hops::MAX).is_full());
        assert_eq!(long(500).0.len(), Hops::MAX);
    }
}
