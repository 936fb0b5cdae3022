//! Looking whether tags have moved: the poller asks by way of the registry.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::runtime::Handle;

use super::learning::Learning;
use crate::{
    config::Config,
    events::{Bus, Repository, log::Pseudonyms},
    predict::watch::{Answer, Listed, Look, Poller, Settings, Subject},
    registry::{Looked, Registry, RegistryError, RegistryErrorKind},
    telemetry::Metrics,
};

/// Events that wait for it at most.
const QUEUE: usize = 65_536;

/// How long an upstream that limits us or is away is left alone when it does not say.
const PAUSE: Duration = Duration::from_secs(60);

#[derive(Debug)]
struct ByRegistry(Weak<Registry>);

/// Begins to watch. With `watch.enabled = false`, only hints are acted on.
pub(super) fn start(config: &Config, registry: &Arc<Registry>, learning: &Learning, metrics: &Metrics) -> Poller {
    let look = Arc::new(ByRegistry(Arc::downgrade(registry)));
    let log = learning.log_folder(config).filter(|_| config.watch.enabled);
    let events = learning.bus.subscribe("watch", QUEUE);
    Poller::start(&Handle::current(), settings(config, learning), log, events, look, metrics)
}

/// What the configuration allows.
pub(super) fn settings(config: &Config, learning: &Learning) -> Settings {
    let watch = &config.watch;
    let off = config.upstream.iter().filter(|upstream| !upstream.is_watched()).map(|upstream| upstream.route_name().into());
    Settings {
        requests_per_minute: if watch.enabled { watch.requests_per_minute } else { 0 },
        requests_per_minute_each: watch.requests_per_minute_each,
        off: off.collect(),
        tag_lists: watch.tag_lists,
        nearest: watch.min_interval,
        weights: weights(config, &learning.pseudonyms),
        ..Settings::default()
    }
}

/// How much customers count, by their names and by those that the demand log has for them.
fn weights(config: &Config, pseudonyms: &Pseudonyms) -> HashMap<Arc<str>, f32> {
    let named = config.customer.iter().map(|customer| (Arc::from(&*customer.name), customer.weight as f32));
    named.flat_map(|(name, weight)| [(pseudonyms.customer(&name), weight), (name, weight)]).collect()
}

impl Look for ByRegistry {
    fn look(&self, subject: Subject) -> BoxFuture<'static, Answer> {
        let registry = self.0.clone();
        Box::pin(async move {
            let Some(registry) = registry.upgrade() else { return Answer::Failed };
            let Subject { repository, tag } = subject;
            match registry.look(&repository.route, &repository.name, &tag).await {
                Ok(Looked::Names(digest)) => Answer::Names(digest),
                // The one is not needed, the other costs pulls.
                Ok(Looked::Fixed | Looked::ByGet(_)) => Answer::Fixed,
                Ok(Looked::Stale) => Answer::Failed,
                Err(error) => of_failure(&error),
            }
        })
    }

    fn list(&self, repository: Repository) -> BoxFuture<'static, Listed> {
        let registry = self.0.clone();
        Box::pin(async move {
            let Some(registry) = registry.upgrade() else { return Listed::Failed };
            let listed = registry.look_at_list(&repository.route, &repository.name).await;
            listed.map_or_else(|error| of_failed_list(&error), Listed::Tags)
        })
    }
}

fn of_failure(error: &RegistryError) -> Answer {
    match error.kind {
        RegistryErrorKind::ManifestUnknown | RegistryErrorKind::NameUnknown => Answer::Gone,
        RegistryErrorKind::RateLimited | RegistryErrorKind::UpstreamUnavailable | RegistryErrorKind::UpstreamTimeout => {
            Answer::Limited(error.retry_after.unwrap_or(PAUSE))
        }
        _ => Answer::Failed,
    }
}

fn of_failed_list(error: &RegistryError) -> Listed {
    match of_failure(error) {
        Answer::Limited(pause) => Listed::Limited(pause),
        Answer::Gone => Listed::Useless,
        _ if matches!(error.kind, RegistryErrorKind::Denied | RegistryErrorKind::BadUpstreamAnswer) => Listed::Useless,
        _ => Listed::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Customer;

    #[test]
    fn customers_count_by_both_of_their_names() {
        let pseudonyms = Pseudonyms::forgotten().unwrap();
        let config = Config { customer: vec![Customer { name: "acme".to_owned(), weight: 4.0 }], ..Config::default() };
        let weights = weights(&config, &pseudonyms);
        let of = |name: &str| weights.get(name).copied();
        assert_eq!([of("acme"), of(&pseudonyms.customer("acme")), of("other")], [Some(4.0), Some(4.0), None]);
    }

    #[test]
    fn a_list_that_is_too_long_or_forbidden_is_of_no_use_and_an_upstream_that_fails_is_asked_again() {
        let listed = |kind| of_failed_list(&RegistryError::new(kind, "because"));
        for useless in [RegistryErrorKind::NameUnknown, RegistryErrorKind::Denied, RegistryErrorKind::BadUpstreamAnswer] {
            assert_eq!(listed(useless), Listed::Useless, "{useless:?}");
        }
        assert_eq!(listed(RegistryErrorKind::RateLimited), Listed::Limited(PAUSE));
        assert_eq!(listed(RegistryErrorKind::Internal), Listed::Failed);
    }
}
