//! What each client has pulled of late: what it pulls next is pulled together with it.

use hashbrown::HashMap;
use petgraph::stable_graph::NodeIndex;

use super::model::Seconds;

/// Pulls of one client that are further apart have nothing to do with each other, in seconds.
const TOGETHER: u32 = 600;

/// Repositories that are remembered of each client.
const REPOSITORIES: usize = 4;

/// Clients after which the older generation is forgotten: twice as many are remembered at most.
const CLIENTS: usize = 8192;

/// Recent pulls by client, in little room, for this run of the server only.
#[derive(Debug, Default)]
pub(super) struct Clients {
    recent: HashMap<u64, Pulls>,
    /// Those of whom nothing was heard since the generation began.
    older: HashMap<u64, Pulls>,
}

/// The last repositories, the newest last.
type Pulls = Vec<(NodeIndex, Seconds)>;

impl Clients {
    /// A client pulls of a repository. Returns those that it began to pull shortly before; none when this one is among them.
    pub(super) fn pulled(&mut self, client: u64, repository: NodeIndex, at: Seconds) -> Vec<NodeIndex> {
        if self.recent.len() >= CLIENTS && !self.recent.contains_key(&client) {
            self.older = std::mem::take(&mut self.recent);
        }
        let older = &mut self.older;
        let pulls = self.recent.entry(client).or_insert_with(|| older.remove(&client).unwrap_or_default());
        pulls.retain(|&(_, last)| last.abs_diff(at) <= TOGETHER);
        if let Some(place) = pulls.iter().position(|&(other, _)| other == repository) {
            let (_, last) = pulls.remove(place);
            pulls.push((repository, last.max(at)));
            return Vec::new();
        }
        let before = pulls.iter().map(|&(other, _)| other).collect();
        if pulls.len() == REPOSITORIES {
            pulls.remove(0);
        }
        pulls.push((repository, at));
        before
    }

    /// A repository is not there any more.
    pub(super) fn forget(&mut self, repository: NodeIndex) {
        for pulls in self.recent.values_mut().chain(self.older.values_mut()) {
            pulls.retain(|&(other, _)| other != repository);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(n: usize) -> NodeIndex {
        NodeIndex::new(n)
    }

    #[test]
    fn what_a_client_pulled_shortly_before_belongs_together() {
        let mut clients = Clients::default();
        assert_eq!(clients.pulled(1, node(1), 1000), []);
        assert_eq!(clients.pulled(2, node(9), 1000), []);
        assert_eq!(clients.pulled(1, node(2), 1010), [node(1)]);
        assert_eq!(clients.pulled(1, node(2), 1020), [], "the same pull goes on");
        assert_eq!(clients.pulled(1, node(3), 1615), [node(2)], "the first was too long ago");
        assert_eq!(clients.pulled(1, node(4), 1600), [node(2), node(3)], "a time that runs back");
        assert_eq!(clients.pulled(1, node(4), u32::MAX), []);
        assert_eq!(clients.pulled(1, node(5), 0), []);
    }

    #[test]
    fn only_the_last_few_repositories_and_clients_are_remembered() {
        let mut clients = Clients::default();
        (0..9).for_each(|n| drop(clients.pulled(1, node(n), 1)));
        assert_eq!(clients.pulled(1, node(9), 1), [node(5), node(6), node(7), node(8)]);
        clients.forget(node(7));
        assert_eq!(clients.pulled(1, node(10), 1), [node(6), node(8), node(9)]);
        for client in 2..2 + 2 * CLIENTS as u64 {
            clients.pulled(client, node(1), 1);
        }
        assert_eq!(clients.pulled(1, node(11), 1), []);
        assert!(clients.recent.len() + clients.older.len() <= 2 * CLIENTS);
    }
}
