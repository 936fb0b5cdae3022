//! `SIGHUP`.

use crate::{process::Serving, upstream::Upstream};

const TAG: &str = "/v2/library/app/manifests/1";

#[test]
fn a_good_file_takes_over() {
    let upstream = Upstream::start();
    let serving = Serving::start(&format!("[cache]\ntag_ttl = \"1h\"\n{}", upstream.named("docker.io")));
    assert_eq!(serving.get(TAG).status, 200);
    assert_eq!(serving.get(TAG).header("cache-status"), "harbinger; hit; detail=memory");
    assert_eq!(serving.get(&format!("{TAG}?ns=b.io")).status, 404);

    let both = [upstream.named("docker.io"), upstream.named("b.io")].concat();
    let config =
        format!("[server]\nregion = \"eu\"\n[cache]\ntag_ttl = \"0s\"\nmax_fills = 7\n[logging]\nlevel = \"debug\"\n{both}");
    serving.reload(&config);
    let said = serving.err.wait_for("some keys need a restart");
    assert!(said.contains("server.region, cache.max_fills"), "{said}");
    assert_eq!(serving.get(TAG).header("cache-status"), "harbinger; fwd=stale; fwd-status=304");
    assert_eq!(serving.get(&format!("{TAG}?ns=b.io")).status, 200);

    // What waits for a restart is told until it is done, or no longer wanted.
    serving.reload(&config.replace("region = \"eu\"\n", ""));
    let said = serving.err.wait_for("keys=\"cache.max_fills\"");
    assert_eq!(said.matches("some keys need a restart").count(), 2, "{said}");
    serving.reload(&format!("[logging]\nlevel = \"error\"\n{both}"));
    serving.reload("[logging]\nlevel = \"info\"\n");
    serving.err.wait_for("configuration reloaded\n");
}

#[test]
fn a_bad_file_changes_nothing() {
    let upstream = Upstream::start();
    let good = format!("[cache]\ntag_ttl = \"1h\"\n{}", upstream.named("docker.io"));
    let serving = Serving::start(&good);
    assert_eq!(serving.get(TAG).status, 200);
    for (bad, cause) in [
        (good.replace("1h", "0s").replace("tag_ttl", "tag_tl"), "line 2: cache.tag_tl: unknown key"),
        (format!("{}ca_file = \"/nonexistent/ca.pem\"\n", good.replace("1h", "0s")), "/nonexistent/ca.pem"),
        (format!("[logging]\nlevel = \"harbinger=loud\"\n{}", good.replace("1h", "0s")), "logging.level"),
    ] {
        serving.reload(&bad);
        let said = serving.err.wait_for(cause);
        let line = said.lines().find(|line| line.contains(cause)).unwrap();
        assert!(line.contains("configuration not reloaded, the old one stays in force"), "{line}");
        assert_eq!(serving.get(TAG).header("cache-status"), "harbinger; hit; detail=memory");
    }
}
