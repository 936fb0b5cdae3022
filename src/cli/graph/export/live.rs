//! Into a running graph database.

use std::{error::Error, path::Path};

use super::records::Source;

/// Brings the graph to the database at `url`.
#[cfg(any(feature = "neo4j", feature = "gremlin"))]
pub(super) async fn export(source: Source, url: &str, user: Option<String>, data: &Path) -> Result<(), Box<dyn Error>> {
    use crate::graph::live::Login;
    let password = super::super::super::environment().into_iter().find(|(name, _)| name == PASSWORD).map(|(_, value)| value);
    let login = match (user, password) {
        (Some(user), Some(password)) => Some(Login { user, password: password.into() }),
        (Some(_), None) => return Err(format!("--user needs a password, in the variable {PASSWORD}").into()),
        (None, _) => None,
    };
    match url.split_once("://").map(|(scheme, _)| scheme) {
        #[cfg(feature = "neo4j")]
        Some("bolt" | "bolt+s" | "bolt+ssc" | "neo4j" | "neo4j+s" | "neo4j+ssc") => {
            bring(crate::graph::live::Neo4j::connect(url, login.as_ref()).await?, source, url, data).await
        }
        #[cfg(feature = "gremlin")]
        Some("ws" | "wss") => bring(crate::graph::live::Gremlin::connect(url, login.as_ref()).await?, source, url, data).await,
        #[cfg(not(feature = "neo4j"))]
        Some("bolt" | "neo4j") => Err(UNBUILT.into()),
        #[cfg(not(feature = "gremlin"))]
        Some("ws" | "wss") => Err(UNBUILT.into()),
        _ => Err("--live takes bolt://HOST[:PORT][/DATABASE] or ws://HOST[:PORT]/gremlin".into()),
    }
}

/// There is no way to a database in this build.
#[cfg(not(any(feature = "neo4j", feature = "gremlin")))]
pub(super) async fn export(_: Source, _: &str, _: Option<String>, _: &Path) -> Result<(), Box<dyn Error>> {
    Err(UNBUILT.into())
}

#[cfg(any(feature = "neo4j", feature = "gremlin"))]
const PASSWORD: &str = "GRAPH_PASSWORD";

#[cfg(not(all(feature = "neo4j", feature = "gremlin")))]
const UNBUILT: &str = "this build does not speak to such a database: build it with --features neo4j,gremlin";

#[cfg(any(feature = "neo4j", feature = "gremlin"))]
async fn bring<T: crate::graph::live::Target>(
    mut target: T,
    source: Source,
    url: &str,
    data: &Path,
) -> Result<(), Box<dyn Error>> {
    use crate::graph::live::{Memory, Outcome, Progress as There, export};
    let mut progress = super::super::progress::Progress::new("nodes and edges");
    let memory = Memory::read(data, url);
    let told = |there: There| progress.show(there.nodes + there.edges, source.total());
    let outcome = export(&mut target, &memory, || source.open(), told).await?;
    drop(progress);
    let Outcome { there: There { nodes, edges }, kept, removed } = outcome;
    let kept = if kept > 0 { format!(", {kept} of them since an export that was cut") } else { String::new() };
    let removed = if removed > 0 { format!("; {removed} that are no more were removed") } else { String::new() };
    eprintln!("{nodes} nodes and {edges} edges are there{kept}{removed}");
    Ok(())
}
