//! Which platforms' images are pulled of a repository, as far as it was seen.

use std::collections::{HashMap, VecDeque};

use crate::{
    events::{Child, Kind, ManifestSeen, Repository, Request},
    oci::Digest,
};

/// Manifests of indexes that are remembered, and repositories.
const MOST: usize = 50_000;

/// Platforms of a repository that are remembered.
const EACH: usize = 4;

/// The platform of a machine that nothing is known of.
const ORDINARY: &str = "linux/amd64";

/// Learned from requests for the manifests of indexes.
#[derive(Debug, Default)]
pub(super) struct Platforms {
    /// The platform of each manifest that an index names.
    of: HashMap<Digest, String>,
    /// The same, the oldest first.
    order: VecDeque<Digest>,
    /// What was pulled last of a repository, the last first.
    pulled: HashMap<Repository, Vec<String>>,
}

impl Platforms {
    /// It is known what an index names.
    pub(super) fn seen(&mut self, seen: &ManifestSeen) {
        for Child { manifest, platform } in seen.manifests.iter().flatten() {
            let Some(platform) = platform else { continue };
            if self.of.insert(manifest.digest, platform.clone()).is_none() {
                self.order.push_back(manifest.digest);
            }
        }
        while self.order.len() > MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.of.remove(&oldest);
        }
    }

    /// A client has asked for something.
    pub(super) fn asked(&mut self, request: &Request) {
        let platform = request.digest.filter(|_| request.kind == Kind::Manifest).and_then(|digest| self.of.get(&digest));
        let Some(platform) = platform.cloned() else { return };
        if self.pulled.len() >= MOST && !self.pulled.contains_key(&request.repository) {
            return;
        }
        let pulled = self.pulled.entry(request.repository.clone()).or_default();
        pulled.retain(|known| *known != platform);
        pulled.insert(0, platform);
        pulled.truncate(EACH);
    }

    /// The platforms that are pulled of a repository, the last one first; the ordinary one when nothing is known.
    pub(super) fn likely(&self, repository: &Repository) -> Vec<String> {
        self.pulled.get(repository).cloned().unwrap_or_else(|| vec![ORDINARY.to_owned()])
    }
}

/// The manifests of an index for `platforms`: of each the first that matches, where `linux/arm64` matches `linux/arm64/v8` too.
/// Of an index that names no platforms, all.
pub(super) fn chosen<'a>(children: &'a [Child], platforms: &[String]) -> Vec<&'a Child> {
    if children.iter().all(|child| child.platform.is_none()) {
        return children.iter().collect();
    }
    let matches = |child: &Child, wanted: &str| {
        let rest = child.platform.as_deref().and_then(|platform| platform.strip_prefix(wanted));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let mut found: Vec<&Child> = Vec::new();
    for platform in platforms {
        if let Some(child) = children.iter().find(|child| matches(child, platform))
            && !found.iter().any(|known| known.manifest.digest == child.manifest.digest)
        {
            found.push(child);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        events::{Layer, Source},
        oci::{Algorithm, MediaType},
    };

    fn child(n: u8, platform: Option<&str>) -> Child {
        let digest = Digest::of(Algorithm::Sha256, &[n]);
        let manifest = Layer { digest, size: 1, media_type: MediaType::OCI_MANIFEST.parse().unwrap() };
        Child { manifest, platform: platform.map(str::to_owned) }
    }

    fn children() -> Vec<Child> {
        vec![child(1, Some("linux/amd64")), child(2, Some("linux/arm64/v8")), child(3, Some("unknown/unknown")), child(4, None)]
    }

    #[test]
    fn a_platform_is_chosen_as_clients_do() {
        let chosen = |platforms: &[&str]| -> Vec<Option<String>> {
            let platforms: Vec<_> = platforms.iter().map(|&one| one.to_owned()).collect();
            chosen(&children(), &platforms).into_iter().map(|child| child.platform.clone()).collect()
        };
        assert_eq!(chosen(&["linux/arm64"]), [Some("linux/arm64/v8".to_owned())]);
        assert_eq!(chosen(&["linux/arm64/v8", "linux/arm64", "linux/amd64"]).len(), 2);
        assert!(chosen(&["linux/arm"]).is_empty() && chosen(&[]).is_empty());
        let nameless = [child(1, None), child(2, None)];
        assert_eq!(super::chosen(&nameless, &[]).len(), 2);
    }

    #[test]
    fn what_is_pulled_is_likely() {
        let repository = Repository { route: "docker.io".into(), name: "library/a".parse().unwrap(), private: false };
        let mut platforms = Platforms::default();
        assert_eq!(platforms.likely(&repository), [ORDINARY]);
        platforms.seen(&ManifestSeen {
            repository: repository.clone(),
            manifest: child(9, None).manifest,
            config: None,
            layers: Vec::new(),
            manifests: Some(children()),
            subject: None,
            base: None,
            created: None,
        });
        for n in [1, 2, 4] {
            platforms.asked(&Request {
                customer: None,
                region: "eu".into(),
                client: 1,
                repository: repository.clone(),
                tag: None,
                digest: Some(child(n, None).manifest.digest),
                kind: Kind::Manifest,
                status: 200,
                bytes: 1,
                source: Source::Disk,
                first_byte: 1,
                total: 1,
                complete: true,
            });
        }
        assert_eq!(platforms.likely(&repository), ["linux/arm64/v8", "linux/amd64"]);
    }
}
