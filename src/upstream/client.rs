//! The HTTP client of one upstream: how connections are made, and what of an answer is refused at once.

use std::{error::Error as _, fs, path::Path};

use reqwest::{
    Method, Response,
    header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap, HeaderValue, VIA},
};
use url::Url;

use super::{
    OriginError, UpstreamError, UpstreamErrorKind,
    addresses::{AddressRule, PrivateAddress},
};
use crate::config::Upstream;

const USER_AGENT: &str = concat!("harbinger/", env!("CARGO_PKG_VERSION"));
/// More than any registry sends, little enough to hold.
const MAX_HEADER_LIST: u32 = 64 << 10;
/// The variables from which a proxy may come.
const PROXY_VARIABLES: [&str; 6] = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

/// Sends single requests. Follows nothing, decodes nothing, keeps no cookies; connections are pooled.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    addresses: AddressRule,
}

impl Client {
    /// The client for the upstream at `own`; `via` names this server in the `Via` header.
    ///
    /// # Errors
    /// [`OriginError`], naming the key whose value cannot be used.
    pub(super) fn new(config: &Upstream, own: &Url, via: &str) -> Result<Self, OriginError> {
        let bad = |key: &'static str, reason: String| OriginError::new(&config.name, key, reason);
        let via =
            HeaderValue::from_str(&format!("1.1 {via}")).map_err(|_| bad("via", "it is not fit for a header".to_owned()))?;
        let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("identity")), (VIA, via)]);
        let addresses = AddressRule::new(configured_hosts(config, own), config.allow_private_addresses);
        let mut builder = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .default_headers(headers)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(config.connect_timeout)
            .http2_max_header_list_size(MAX_HEADER_LIST)
            .http2_adaptive_window(true)
            .dns_resolver(addresses.clone());
        if let Some(path) = &config.ca_file {
            let certificates = reqwest::Certificate::from_pem_bundle(&read("ca_file", config, path)?)
                .map_err(|error| bad("ca_file", format!("{} holds no certificates in PEM form: {error}", path.display())))?;
            if certificates.is_empty() {
                return Err(bad("ca_file", format!("{} holds no certificates in PEM form", path.display())));
            }
            builder = builder.tls_certs_merge(certificates);
        }
        if let Some(path) = &config.client_cert_file {
            let identity = reqwest::Identity::from_pem(&read("client_cert_file", config, path)?).map_err(|_| {
                bad("client_cert_file", format!("{} does not hold a certificate and its key in PEM form", path.display()))
            })?;
            builder = builder.identity(identity);
        }
        if let Some(url) = &config.proxy {
            // The URL may hold a password: it is not repeated.
            let proxy = reqwest::Proxy::all(url.clone()).map_err(|_| bad("proxy", "it is not the URL of a proxy".to_owned()))?;
            builder = builder.proxy(proxy);
        }
        let http = builder.build().map_err(|error| bad("url", format!("cannot make a client for it: {}", cause(&error))))?;
        Ok(Self { http, addresses })
    }

    /// Sends one request and waits for the head of its answer, for as long as it takes.
    ///
    /// # Errors
    /// `Forbidden`, without a connection, when the URL leads where it must not; `Timeout` or `Unavailable` when nothing
    /// answers; `BadAnswer` when a content is encoded. Every status is an answer.
    pub(super) async fn send(
        &self,
        method: Method,
        url: Url,
        headers: HeaderMap,
        body: Option<String>,
    ) -> Result<Response, UpstreamError> {
        self.addresses.check(&url)?;
        let place = place(&url);
        let mut request = self.http.request(method, url).headers(headers);
        if let Some(body) = body {
            request = request.body(body);
        }
        let response = request.send().await.map_err(|error| failure(error, &place))?;
        let encoded =
            response.headers().get_all(CONTENT_ENCODING).iter().any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"));
        if encoded && response.status().is_success() {
            let text = format!("{place} sent an encoded content although identity was asked for");
            return Err(UpstreamError::new(UpstreamErrorKind::BadAnswer, text));
        }
        Ok(response)
    }
}

/// Scheme, host and port: what may be said of a URL in a message. The rest may be signed.
pub(super) fn place(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| format!("{}://{host}", url.scheme()), |port| format!("{}://{host}:{port}", url.scheme()))
}

/// A failure of the connection, said without the URL.
pub(super) fn failure(error: reqwest::Error, place: &str) -> UpstreamError {
    let error = error.without_url();
    if causes(&error).any(|cause| cause.is::<PrivateAddress>()) {
        return UpstreamError::new(UpstreamErrorKind::Forbidden, format!("the upstream leads to {place}: {PrivateAddress}"));
    }
    let (kind, what) = if error.is_timeout() {
        (UpstreamErrorKind::Timeout, "did not answer in time")
    } else if error.is_connect() {
        (UpstreamErrorKind::Unavailable, "cannot be reached")
    } else {
        (UpstreamErrorKind::Unavailable, "broke off")
    };
    UpstreamError::new(kind, format!("{place} {what}: {}", cause(&error))).caused_by(error)
}

/// The deepest cause: the one that tells people something.
fn cause(error: &reqwest::Error) -> String {
    causes(error).last().map_or_else(|| error.to_string(), ToString::to_string)
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |&error| error.source())
}

fn read(key: &'static str, config: &Upstream, path: &Path) -> Result<Vec<u8>, OriginError> {
    fs::read(path).map_err(|error| OriginError::new(&config.name, key, format!("cannot read {}: {error}", path.display())))
}

/// The hosts that the operator chose: the upstream and the proxies on the way to it.
fn configured_hosts(config: &Upstream, own: &Url) -> Vec<String> {
    let environment = PROXY_VARIABLES.iter().filter_map(|name| {
        let value = std::env::var(name).ok()?;
        if value.contains("://") { Url::parse(&value).ok() } else { Url::parse(&format!("http://{value}")).ok() }
    });
    let proxies: Vec<Url> = match &config.proxy {
        Some(proxy) => vec![proxy.clone()],
        None => environment.collect(),
    };
    proxies.iter().chain([own]).filter_map(|url| url.host_str().map(str::to_owned)).collect()
}
