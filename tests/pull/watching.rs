//! Upstreams are asked whether tags have moved before anybody asks for them.

use std::{
    fs::{self, File},
    path::Path,
    time::Duration,
};

use harbinger::events::{
    Event,
    log::{Segments, TraceReader, TraceWriter},
};

use crate::{
    client::eventually,
    content::{Image, KIB},
    proxy::{Setup, manifest_path},
    upstream::Upstream,
};

const NAME: &str = "library/demo";

/// What the demand log in a data folder tells was so much longer ago.
fn ages(data: &Path, by: Duration) {
    for path in Segments::in_folder(&data.join("demand")).paths().unwrap() {
        let trace = TraceReader::open(&path).unwrap();
        let header = trace.header();
        let events: Vec<Event> = trace.map(Result::unwrap).collect();
        let mut aged = TraceWriter::new(File::create(path.with_extension("aged")).unwrap(), header).unwrap();
        for event in events {
            aged.push(&Event { at: event.at - by.as_millis() as u64, ..event }).unwrap();
        }
        aged.finish().unwrap();
        fs::rename(path.with_extension("aged"), path).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_that_were_pulled_before_a_restart_are_still_asked_for() {
    let (upstream, image) = (Upstream::start().await, Image::new(1, &[KIB]));
    upstream.holds_image(NAME, "v1", &image);
    let proxy = Setup::in_front_of(&upstream).start().await;
    proxy.pull(NAME, "v1", &image).await;
    let setup = proxy.stop().await;
    ages(setup.data(), Duration::from_secs(2 * 3600));
    upstream.forgets_requests();
    let _proxy = setup.start().await;
    let question = manifest_path(NAME, "v1");
    eventually("the tag is asked for", async || upstream.count("HEAD", &question) > 0).await;
}
