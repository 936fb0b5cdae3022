//! `harbinger cache`

use std::{error::Error, path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand, ValueEnum};
use hyper::Method;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    environment, failure, operator,
    table::{
        Align::{Left, Right},
        Table, size,
    },
};
use crate::{
    api::{BlobDetails, BlobReport, BlobsReport, CacheReport, CustomerReport, ObjectReport, TierReport},
    app::OperatorFile,
    config::{self, Flags, Sources},
    oci::Digest,
};

/// Hex digits of a digest that is cut short.
const SHORT: usize = 12;

/// Look into the cache of a running server
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  harbinger cache du
      Tells how full each tier is, and for whom.
  harbinger cache ls --sort value
      Tells what leaves next.
  harbinger cache ls --tier ssd --customer acme --limit 1000 --long
      Tells what acme has on that tier, with whole digests.
  harbinger cache show sha256:4bcff63911fcb4448bd4fdacec207030997caf25e9bea4045fa6c8c44de311d1
      Tells where one content lies, and which repositories may read it.

'harbinger purge' forgets a part of the cache, and 'harbinger scrub' looks for damage.")]
pub struct Cache {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Ls(Ls),
    Du(Du),
    Show(Show),
}

/// List contents of the disk tiers
#[derive(Debug, Args)]
#[command(after_help = "\
HEAT counts the requests, of which an old one counts less and less. VALUE is what holding it saves, as a binary logarithm: what
has the least leaves first. CUSTOMER is who asked last. VERIFIED says whether the bytes were hashed since the server started.")]
struct Ls {
    #[command(flatten)]
    server: Server,
    /// On this tier only
    #[arg(long, value_name = "NAME")]
    tier: Option<String>,
    /// Last asked for by this customer only
    #[arg(long, value_name = "NAME")]
    customer: Option<String>,
    /// What comes first
    #[arg(long, value_name = "BY", value_enum, default_value_t = Sort::Size)]
    sort: Sort,
    /// How many at most, up to 10,000
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    limit: usize,
    /// How many of the first are left out
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    offset: usize,
    /// Tell digests whole
    #[arg(long)]
    long: bool,
}

/// Tell how full each tier is, and for whom
#[derive(Debug, Args)]
struct Du {
    #[command(flatten)]
    server: Server,
}

/// Tell all that is known of one content
#[derive(Debug, Args)]
struct Show {
    #[command(flatten)]
    server: Server,
    /// Its digest
    #[arg(value_name = "DIGEST")]
    digest: Digest,
}

/// Which server, and how its answer is told.
#[derive(Debug, Args)]
struct Server {
    /// Configuration file [default: harbinger/harbinger.toml in $XDG_CONFIG_HOME, or /etc/harbinger/harbinger.toml]
    #[arg(long, value_name = "FILE", env = "HARBINGER_CONFIG")]
    config: Option<PathBuf>,
    /// The server's folder for everything durable [default: harbinger in the user's data folder]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Tell it as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Sort {
    /// The largest
    Size,
    /// What is wanted most
    Heat,
    /// What is worth least, and leaves next
    Value,
    /// The lowest digest
    Digest,
}

impl Sort {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Size => "size",
            Self::Heat => "heat",
            Self::Value => "value",
            Self::Digest => "digest",
        }
    }
}

impl Cache {
    pub(super) async fn run(self) -> ExitCode {
        let told = match self.command {
            Command::Ls(ls) => ls.tell().await,
            Command::Du(du) => du.server.tell("/api/v1/cache", print_usage).await,
            Command::Show(show) => show.tell().await,
        };
        told.map_or_else(failure, |()| ExitCode::SUCCESS)
    }
}

impl Ls {
    async fn tell(self) -> Result<(), Box<dyn Error>> {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("sort", self.sort.as_str());
        query.append_pair("limit", &self.limit.to_string());
        query.append_pair("offset", &self.offset.to_string());
        for (name, value) in [("tier", &self.tier), ("customer", &self.customer)] {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        let (path, long) = (format!("/api/v1/cache/blobs?{}", query.finish()), self.long);
        self.server.tell(&path, |report| print_blobs(report, long)).await
    }
}

impl Show {
    async fn tell(self) -> Result<(), Box<dyn Error>> {
        self.server.tell(&format!("/api/v1/cache/blobs/{}", self.digest), print_details).await
    }
}

impl Server {
    /// Asks for a report, and tells it.
    async fn tell<T: Serialize + DeserializeOwned>(self, path: &str, print: impl FnOnce(&T)) -> Result<(), Box<dyn Error>> {
        let flags = Flags { data: self.data, ..Flags::default() };
        let config = config::load(Sources { file: self.config, environment: environment(), flags })?;
        let data = &config.storage.data;
        if !OperatorFile::path(data).exists() {
            let (data, serve) = (data.display(), "start one with 'harbinger serve', or name its folder with --data");
            return Err(format!("no server runs on the data folder {data}; {serve}").into());
        }
        let report = operator::ask::<T>(data, Method::GET, path).await?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&report)?);
        } else {
            print(&report);
        }
        Ok(())
    }
}

fn print_usage(report: &CacheReport) {
    let mut table = Table::new([
        ("TIER", Left),
        ("KIND", Left),
        ("CUSTOMER", Left),
        ("ENTRIES", Right),
        ("SIZE", Right),
        ("LIMIT", Right),
        ("SHARE", Right),
    ]);
    for tier in &report.tiers {
        let TierReport { tier: name, kind, entries, bytes, limit, share, customers, .. } = tier;
        let all = "(all)".to_owned();
        table.push([name.clone(), kind.clone(), all, entries.to_string(), size(*bytes), size(*limit), percent(*share)]);
        for CustomerReport { customer, entries, bytes: held } in customers {
            let share = percent(*held as f64 / (*bytes).max(1) as f64);
            let (name, kind) = (name.clone(), kind.clone());
            table.push([name, kind, customer.clone(), entries.to_string(), size(*held), String::new(), share]);
        }
    }
    let hosted = &report.hosted;
    let (name, all, none) = ("hosted".to_owned(), "(all)".to_owned(), String::new());
    table.push([name.clone(), name, all, hosted.entries.to_string(), size(hosted.bytes), none.clone(), none]);
    print!("{table}");
    if let Some(object) = &report.object {
        let ObjectReport { known_entries, known_bytes, waiting_entries, waiting_bytes } = object;
        println!("in the bucket, as far as is known: {known_entries}, {}", size(*known_bytes));
        println!("waiting for their upload: {waiting_entries}, {}", size(*waiting_bytes));
    }
    let aside: u64 = report.tiers.iter().map(|tier| tier.quarantined).sum();
    if aside > 0 {
        println!("damaged files that are kept aside: {aside}");
    }
}

fn print_blobs(report: &BlobsReport, long: bool) {
    let mut table = Table::new([
        ("DIGEST", Left),
        ("TIER", Left),
        ("SIZE", Right),
        ("HEAT", Right),
        ("VALUE", Right),
        ("CUSTOMER", Left),
        ("VERIFIED", Left),
    ]);
    for blob in &report.blobs {
        let BlobReport { digest, tier, heat, value, customer, verified, .. } = blob;
        let digest = if long { digest.as_str() } else { short(digest) };
        let (heat, value) = (format!("{heat:.2}"), format!("{value:.1}"));
        let (tier, customer) = (tier.clone(), customer.clone());
        table.push([digest.to_owned(), tier, size(blob.size), heat, value, customer, yes_or_no(*verified)]);
    }
    print!("{table}");
    println!("{} of {}", report.blobs.len(), report.total);
}

fn print_details(details: &BlobDetails) {
    let BlobDetails { digest, places, repositories, more_repositories, under_way } = details;
    println!("{digest}");
    if *under_way {
        println!("is on its way here");
    }
    if places.is_empty() {
        println!("lies nowhere");
    } else {
        let mut table = Table::new([
            ("TIER", Left),
            ("KIND", Left),
            ("SIZE", Right),
            ("HEAT", Right),
            ("VALUE", Right),
            ("CUSTOMER", Left),
            ("VERIFIED", Left),
        ]);
        for place in places {
            let heat = place.heat.map(|heat| format!("{heat:.2}")).unwrap_or_default();
            let value = place.value.map(|value| format!("{value:.1}")).unwrap_or_default();
            let customer = place.customer.clone().unwrap_or_default();
            let verified = place.verified.map(yes_or_no).unwrap_or_default();
            table.push([place.tier.clone(), place.kind.clone(), size(place.size), heat, value, customer, verified]);
        }
        print!("{table}");
    }
    if repositories.is_empty() {
        println!("no repository may read it");
    } else {
        println!("may be read in:");
    }
    for repository in repositories {
        println!("  {repository}");
    }
    if *more_repositories {
        println!("  …and others");
    }
}

/// `sha256:3f0a1b2c4d5e`
fn short(digest: &str) -> &str {
    let end = digest.find(':').map_or(0, |colon| colon + 1) + SHORT;
    digest.get(..end).unwrap_or(digest)
}

fn yes_or_no(yes: bool) -> String {
    if yes { "yes" } else { "no" }.to_owned()
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn a_digest_is_cut_where_it_can_be_told_still() {
        assert_eq!(short("sha256:4bcff63911fcb4448bd4fdac"), "sha256:4bcff63911fc");
        for text in ["", "sha256:4b", "x"] {
            assert_eq!(short(text), text);
        }
    }
}
