//! What the README shows is what the code does.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use harbinger::{
    config::{Config, Mode},
    telemetry::{CacheStatus, MissReason, StaleReason, TierName},
};

fn readme() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    fs::read_to_string(path).unwrap_or_else(|error| panic!("README.md: {error}"))
}

#[test]
fn its_configuration_is_read() {
    let text = readme();
    let block = text.split("```").find(|block| block.starts_with("toml\n[server]")).unwrap();
    let config: Config = toml::from_str(block.strip_prefix("toml").unwrap()).unwrap();
    assert_eq!(config.upstream.len(), 2);
    assert_eq!(config.upstream[0].mode, Mode::Shared);
    assert_eq!(config.cache.stale_if_error, Duration::from_secs(24 * 3600));
}

#[test]
fn its_tiers_are_read() {
    let text = readme();
    let block = |start: &str| {
        let block = text.split("```").find_map(|block| block.strip_prefix("toml\n").filter(|block| block.starts_with(start)));
        toml::from_str::<Config>(block.unwrap()).unwrap()
    };
    let tiers = block("[[storage.disk]]");
    assert_eq!((tiers.storage.disk.len(), tiers.customer.len()), (2, 1));
    assert!(tiers.storage.object.place().is_some());
    let rules = block("[redirect]");
    assert_eq!((rules.upstream.len(), rules.cache.rule.len()), (1, 1));
}

#[test]
fn its_cache_statuses_are_all_there_are() {
    let said: BTreeSet<String> = readme()
        .lines()
        .filter_map(|line| line.strip_prefix("| `harbinger; ")?.split('`').next())
        .map(|rest| format!("harbinger; {rest}"))
        .collect();
    let shown = [
        CacheStatus::Hit(TierName::Memory),
        CacheStatus::Stale(StaleReason::UpstreamError),
        CacheStatus::Revalidated,
        CacheStatus::NegativeHit,
        CacheStatus::Collapsed,
        CacheStatus::Miss(MissReason::Absent),
        CacheStatus::Miss(MissReason::Changed),
        CacheStatus::Miss(MissReason::Unlinked),
        CacheStatus::Miss(MissReason::SpoolFailed),
        CacheStatus::Miss(MissReason::NotKept),
        CacheStatus::Miss(MissReason::UpstreamRefused),
        CacheStatus::Miss(MissReason::UpstreamFailed),
    ];
    assert_eq!(said, shown.iter().map(ToString::to_string).collect());
    let mentioned = [
        CacheStatus::Hit(TierName::Disk),
        CacheStatus::Hit(TierName::Ssd),
        CacheStatus::Hit(TierName::Hdd),
        CacheStatus::Hit(TierName::Object),
        CacheStatus::Hit(TierName::Hosted),
        CacheStatus::Hit(TierName::Catalog),
        CacheStatus::Stale(StaleReason::RateLimited),
        CacheStatus::Stale(StaleReason::UpstreamSlow),
        CacheStatus::Stale(StaleReason::DeletedUpstream),
    ];
    for status in mentioned {
        assert!(readme().contains(&format!("`{}`", status.detail())), "{status}");
    }
}
