//! `harbinger graph export`

mod files;
mod live;
mod records;

use std::{error::Error, path::PathBuf};

use clap::{Args, ValueEnum};

use super::place::{Holder, Place};
use records::Source;

/// Write the graph into files, or bring it into a running graph database
#[derive(Debug, Args)]
#[command(after_help = format!("{HELP}\n\n{BUILD}"))]
pub(super) struct Export {
    #[command(flatten)]
    place: Place,
    /// Form of the files
    #[arg(long, value_name = "FORM", value_enum, required_unless_present = "live", conflicts_with = "live")]
    format: Option<Format>,
    /// File to write, or with csv the folder [default: standard output]
    #[arg(long, value_name = "PATH", conflicts_with = "live", required_if_eq("format", "csv"))]
    out: Option<PathBuf>,
    /// A running database: bolt://HOST:PORT/DATABASE (the port and the database may be left out) or ws://HOST:PORT/gremlin
    #[arg(long, value_name = "URL")]
    live: Option<String>,
    /// User name at the database; the password is read from GRAPH_PASSWORD
    #[arg(long, value_name = "NAME", env = "GRAPH_USER", requires = "live")]
    user: Option<String>,
}

const HELP: &str = "\
Examples:
  harbinger graph export --format graphml --out graph.graphml
      For Gephi, yEd, Cytoscape, networkx, igraph.
  harbinger graph export --format csv --out folder
      For Neo4j: CSV files and folder/load.cypher, which loads them and names the command for a bulk import.
  harbinger graph export --format graphson --out graph.json
      For TinkerPop: g.io(\"graph.json\").read().
  harbinger graph export --format ndjson | jq -c 'select(.kind == \"repository\")'
      One line a node or edge, for anything else.
  GRAPH_PASSWORD=… harbinger graph export --live bolt://127.0.0.1:7687/neo4j --user neo4j
      Into a running Neo4j.
  harbinger graph export --live ws://127.0.0.1:8182/gremlin
      Into a running Gremlin Server or JanusGraph.

Everything is exported: private repositories, and who asks for what, too.

A live export can be repeated: what is there is changed, not doubled, and what is not in the graph any more is removed. It is told by
the property harbinger_generation, which every node and edge of an export bears; nothing else in the database is touched, but for edges
of yours at a node that has to be removed. One database takes the exports of one server. A live export that was cut goes on where it was,
if the graph has not changed there meanwhile, and begins anew otherwise; it ends with the same graph.";

/// What this build can do.
const BUILD: &str = match (cfg!(feature = "neo4j"), cfg!(feature = "gremlin")) {
    (true, true) => "This build speaks to Neo4j, Gremlin Server and JanusGraph.",
    (true, false) => "This build speaks to Neo4j; to Gremlin Server and JanusGraph when it is built with --features gremlin.",
    (false, true) => "This build speaks to Gremlin Server and JanusGraph; to Neo4j when it is built with --features neo4j.",
    (false, false) => "This build speaks to no database: build it with --features neo4j,gremlin.",
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// XML with typed properties
    Graphml,
    /// For Graphviz
    Dot,
    /// One document of nodes and links
    Json,
    /// One record a line
    Ndjson,
    /// A folder of tables, for Neo4j
    Csv,
    /// GraphSON 3, for TinkerPop and JanusGraph
    Graphson,
}

impl Export {
    pub(super) async fn run(self) -> Result<(), Box<dyn Error>> {
        let config = self.place.config()?;
        let holder = Holder::of(&config)?;
        let source = Source::new(holder.clone());
        if let Some(url) = &self.live {
            live::export(source, url, self.user, &config.storage.data).await?;
        } else if let Some(format) = self.format {
            files::export(source, format, self.out).await?;
        }
        holder.end().await
    }
}
