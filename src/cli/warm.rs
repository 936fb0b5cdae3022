//! `harbinger warm`

use std::{
    error::Error,
    io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use bytesize::ByteSize;
use clap::Args;
use futures_util::{StreamExt, stream};
use hyper::Method;

use super::{
    environment, failure,
    graph::progress::Progress,
    list,
    operator::{self, AskError},
};
use crate::{
    api::WarmReport,
    config::{self, Flags, Sources},
    oci::Reference,
};

/// Images that are asked for at once.
const AT_ONCE: usize = 4;

/// Have images fetched before anybody pulls them
#[derive(Debug, Args)]
#[command(after_help = "\
What can be named:
  docker.io/library/nginx:1.27       an image, as in a pull; nginx:1.27 is the same one
  ghcr.io/acme/app@sha256:…          an image by its digest
  images.txt                         a file that names one a line; what stands behind a # is for people
  -                                  the same from the standard input

Examples:
  harbinger warm nginx:1.27 ghcr.io/acme/app:v2 --platform linux/arm64
      Fetches two images for one platform.
  kubectl get pods -A -o jsonpath='{.items[*].spec.containers[*].image}' | tr ' ' '\\n' | sort -u | harbinger warm -
      Fetches whatever a cluster runs.

The running server does it, as if a client pulled slowly, at prefetch.rate: whoever pulls meanwhile goes first and joins what is
on its way. What is here is not fetched again. The bytes count against the day's budget (prefetch.share and prefetch.floor), unless
--beyond-budget says that they do not matter. Of an index, the images are fetched that were pulled of this repository before,
or linux/amd64.")]
pub struct Warm {
    /// What to fetch; see below
    #[arg(required = true, value_name = "IMAGE|FILE|-")]
    what: Vec<String>,
    /// Which image of an index, such as linux/arm64; can be given several times
    #[arg(long, value_name = "PLATFORM")]
    platform: Vec<String>,
    /// Fetch although the bytes of the day are used up
    #[arg(long)]
    beyond_budget: bool,
    /// Configuration file [default: harbinger/harbinger.toml in $XDG_CONFIG_HOME, or /etc/harbinger/harbinger.toml]
    #[arg(long, value_name = "FILE", env = "HARBINGER_CONFIG")]
    config: Option<PathBuf>,
    /// Folder for everything durable [default: harbinger in the user's data folder]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl Warm {
    pub(super) async fn run(self) -> ExitCode {
        match self.warm().await {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => failure(error),
        }
    }

    /// True when all of it is here.
    async fn warm(self) -> Result<bool, Box<dyn Error>> {
        let flags = Flags { data: self.data.clone(), ..Flags::default() };
        let config = config::load(Sources { file: self.config.clone(), environment: environment(), flags })?;
        let data = &config.storage.data;
        let images = self.images()?;
        let (total, mut done, mut is_whole) = (images.len() as u64, 0, true);
        let mut progress = Progress::new("images");
        progress.show(0, total);
        let asking = stream::iter(images).map(|image| {
            let path = self.path(&image);
            async move { (image, operator::ask::<WarmReport>(data, Method::POST, &path).await) }
        });
        let mut asking = asking.buffered(AT_ONCE);
        while let Some((image, answer)) = asking.next().await {
            match answer {
                Ok(report) => {
                    progress.say(&summary(&report));
                    report.failed.iter().for_each(|failed| progress.note(&format!("{image}: {}: {}", failed.what, failed.why)));
                    is_whole &= report.failed.is_empty();
                }
                Err(AskError::Refused(status, why)) if status.is_client_error() && status.as_u16() != 401 => {
                    progress.note(&format!("{image}: {why}"));
                    is_whole = false;
                }
                Err(error) => return Err(unasked(data, error)),
            }
            done += 1;
            progress.show(done, total);
        }
        Ok(is_whole)
    }

    /// What is named, each once.
    fn images(&self) -> Result<Vec<String>, Box<dyn Error>> {
        let mut images = Vec::new();
        for what in &self.what {
            if what == "-" || Path::new(what).is_file() {
                images.extend(list::read(Path::new(what))?.into_iter().map(|(_, image)| image));
            } else {
                Reference::of_image(what).map_err(|error| format!("'{what}' is no file and no image: {error}"))?;
                images.push(what.clone());
            }
        }
        let mut seen = std::collections::HashSet::new();
        images.retain(|image| seen.insert(image.clone()));
        Ok(images)
    }

    fn path(&self, image: &str) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("what", image);
        query.append_pair("platform", &self.platform.join(","));
        format!("/api/v1/warm?{}&beyond_budget={}", query.finish(), self.beyond_budget)
    }
}

fn summary(report: &WarmReport) -> String {
    let WarmReport { what, here, here_bytes, joined, fetched, fetched_bytes, failed, .. } = report;
    let mut text = format!("{what}: fetched {fetched} ({}), here {here} ({})", in_words(*fetched_bytes), in_words(*here_bytes));
    for (count, name) in [(*joined, "on their way"), (failed.len() as u64, "not to be had")] {
        if count > 0 {
            text += &format!(", {name} {count}");
        }
    }
    text
}

/// Why a server could not be asked.
fn unasked(data: &Path, error: AskError) -> Box<dyn Error> {
    match error {
        AskError::File(_, cause) if cause.kind() == io::ErrorKind::NotFound => {
            let data = data.display();
            format!("no server runs on the data folder {data}; start one with 'harbinger serve', or name its folder with --data")
                .into()
        }
        error => error.into(),
    }
}

fn in_words(bytes: u64) -> String {
    ByteSize::b(bytes).display().iec().to_string()
}
