//! What holds for which repository.

use std::time::Duration;

use crate::{
    catalog::{Repository, TagKey},
    config::{self, Config, Names, Pattern},
};

/// The rules of a configuration, compiled once.
#[derive(Debug)]
pub(super) struct Rules {
    rules: Vec<Rule>,
    tag_ttl: Duration,
    unused_ttl: Duration,
}

#[derive(Debug)]
struct Rule {
    repositories: Vec<Pattern>,
    tag_ttl: Option<Duration>,
    unused_ttl: Option<Duration>,
    immutable_tags: Option<Vec<Pattern>>,
}

impl Rules {
    /// Takes the rules over. What is not well-formed was refused when the configuration was read, and matches nothing.
    pub(super) fn new(config: &Config) -> Self {
        let names = Names::new(&config.upstream).unwrap_or_default();
        let compile = |rule: &config::Rule| Rule {
            repositories: rule.repositories.iter().filter_map(|text| names.pattern(text, &config.upstream).ok()).collect(),
            tag_ttl: rule.tag_ttl,
            unused_ttl: rule.unused_ttl,
            immutable_tags: rule
                .immutable_tags
                .as_ref()
                .map(|tags| tags.iter().filter_map(|text| Pattern::of_tags(text).ok()).collect()),
        };
        let cache = &config.cache;
        Self { rules: cache.rule.iter().map(compile).collect(), tag_ttl: cache.tag_ttl, unused_ttl: cache.unused_ttl }
    }

    /// How long a tag of a repository is served without asking the upstream.
    pub(super) fn tag_ttl(&self, repository: &Repository) -> Duration {
        self.decided(repository, |rule| rule.tag_ttl).unwrap_or(self.tag_ttl)
    }

    /// After what time without a request a content that was asked for in a repository leaves the cache; `None`: never.
    pub(super) fn unused_ttl(&self, repository: &Repository) -> Option<Duration> {
        let ttl = self.decided(repository, |rule| rule.unused_ttl).unwrap_or(self.unused_ttl);
        (ttl > Duration::ZERO).then_some(ttl)
    }

    /// Whether a tag never moves.
    pub(super) fn is_immutable(&self, key: &TagKey) -> bool {
        let patterns = self.decided(&key.repository, |rule| rule.immutable_tags.as_deref());
        patterns.is_some_and(|patterns| patterns.iter().any(|pattern| pattern.matches(key.tag.as_str())))
    }

    /// What the first rule says that matches and says something.
    fn decided<'a, T>(&'a self, repository: &Repository, value: impl Fn(&'a Rule) -> Option<T>) -> Option<T> {
        if self.rules.is_empty() {
            return None;
        }
        let name = format!("{}/{}", repository.route, repository.name);
        let saying = self.rules.iter().filter_map(|rule| value(rule).map(|value| (rule, value)));
        let mut matching = saying.filter(|(rule, _)| rule.repositories.iter().any(|pattern| pattern.matches(&name)));
        matching.next().map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Upstream;

    fn rule(repositories: &[&str]) -> config::Rule {
        config::Rule { repositories: repositories.iter().map(|&text| text.to_owned()).collect(), ..config::Rule::default() }
    }

    fn rules(rules: Vec<config::Rule>) -> Rules {
        let mut config = Config { upstream: ["docker.io", "ghcr.io"].map(Upstream::new).into(), ..Config::default() };
        config.cache.rule = rules;
        Rules::new(&config)
    }

    fn repository(route: &str, name: &str) -> Repository {
        Repository { route: route.into(), name: name.parse().unwrap() }
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_first_rule_that_matches_and_sets_a_value_decides() {
        let rules = rules(vec![
            config::Rule { tag_ttl: Some(SECOND), ..rule(&["ghcr.io/acme/**", "index.docker.io/nginx"]) },
            config::Rule { unused_ttl: Some(SECOND), tag_ttl: Some(2 * SECOND), ..rule(&["ghcr.io/**"]) },
            config::Rule { unused_ttl: Some(Duration::ZERO), tag_ttl: Some(3 * SECOND), ..rule(&["ghcr.io/**"]) },
        ]);
        for (route, name, tag_ttl, unused_ttl) in [
            ("ghcr.io", "acme/app/x", 1, Some(SECOND)),
            ("ghcr.io", "other/app", 2, Some(SECOND)),
            ("docker.io", "library/nginx", 1, None),
            ("docker.io", "library/redis", 60, None),
        ] {
            let repository = repository(route, name);
            assert_eq!(rules.tag_ttl(&repository).as_secs(), tag_ttl, "{name}");
            let decided = rules.decided(&repository, |rule| rule.unused_ttl);
            assert_eq!(decided, unused_ttl, "{name}");
        }
    }

    #[test]
    fn nothing_is_immutable_unless_said() {
        let tags = |tags: &[&str]| Some(tags.iter().map(|&tag| tag.to_owned()).collect());
        let rules = rules(vec![
            config::Rule { immutable_tags: tags(&[]), ..rule(&["ghcr.io/acme/moving"]) },
            config::Rule { immutable_tags: tags(&["v*", "*-sha-*"]), ..rule(&["ghcr.io/acme/*"]) },
        ]);
        let is_immutable = |name: &str, tag: &str| {
            rules.is_immutable(&TagKey { repository: repository("ghcr.io", name), tag: tag.parse().unwrap() })
        };
        assert!(is_immutable("acme/app", "v1.2") && is_immutable("acme/app", "main-sha-1"));
        assert!(!is_immutable("acme/app", "latest") && !is_immutable("acme/app", "1-v"));
        assert!(!is_immutable("acme/moving", "v1"), "the first rule says that none is");
        assert!(!is_immutable("other/app", "v1"));
    }
}
