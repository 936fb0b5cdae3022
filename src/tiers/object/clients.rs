//! From the configuration to a bucket of one of the clouds.

use std::{fs, io::Read, sync::Arc, time::Duration};

use object_store::{
    BackoffConfig, ClientOptions, ObjectStore, RetryConfig, StaticCredentialProvider,
    aws::{AmazonS3, AmazonS3Builder},
    azure::{MicrosoftAzure, MicrosoftAzureBuilder},
    gcp::{GcpCredential, GoogleCloudStorage, GoogleCloudStorageBuilder},
    path::Path,
    signer::Signer,
};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{Bucket, IDLE};
use crate::config::{Cloud, Object};

/// Longest time for one write, body included: 16 MiB at 1 Mbit/s.
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_secs(150);

/// Larger files hold no secret.
const SECRET: u64 = 64 << 10;

/// Why there is no bucket. The text names the key of the configuration and the cause.
#[derive(Debug, thiserror::Error)]
#[error("storage.object.{key}: {cause}")]
pub struct BucketError {
    key: &'static str,
    cause: String,
}

/// How patient a client is.
struct Manner {
    options: ClientOptions,
    retry: RetryConfig,
}

impl Bucket {
    /// The bucket that is configured; `None` when none is. Nothing is sent yet.
    ///
    /// # Errors
    /// When the place or the credentials cannot be understood, or a file cannot be read.
    pub fn connect(config: &Object) -> Result<Option<Self>, BucketError> {
        if config.url.is_empty() {
            return Ok(None);
        }
        let wrong = || BucketError { key: "url", cause: "must be such as \"s3://bucket/prefix\"".to_owned() };
        let (cloud, name, prefix) = config.place().ok_or_else(wrong)?;
        let secret = secret(config)?;
        let [reads, writes] = manners(config);
        let failed = |error: object_store::Error| BucketError { key: "url", cause: error.to_string() };
        let bucket = match cloud {
            Cloud::S3 => {
                let writes = s3(config, name, secret.as_ref(), writes).build().map_err(failed)?;
                // Credentials that have to be fetched are fetched once, by the more patient of the two.
                let credentials = writes.credentials().clone();
                let reads = s3(config, name, secret.as_ref(), reads).with_credentials(credentials);
                assemble::<AmazonS3>(reads.build().map_err(failed)?, writes, prefix)
            }
            Cloud::Gcs => {
                let writes = gcs(config, name, writes).build().map_err(failed)?;
                let reads = gcs(config, name, reads).with_credentials(writes.credentials().clone());
                assemble::<GoogleCloudStorage>(reads.build().map_err(failed)?, writes, prefix)
            }
            Cloud::Azure => {
                let writes = azure(config, name, secret.as_ref(), writes).build().map_err(failed)?;
                let credentials = writes.credentials().clone();
                let reads = azure(config, name, secret.as_ref(), reads).with_credentials(credentials);
                assemble::<MicrosoftAzure>(reads.build().map_err(failed)?, writes, prefix)
            }
        };
        Ok(Some(if config.anonymous { Self { signer: None, ..bucket } } else { bucket }))
    }
}

fn assemble<Store: ObjectStore + Signer>(reads: Store, writes: Store, prefix: &str) -> Bucket {
    let writes = Arc::new(writes);
    Bucket { reads: Arc::new(reads), writes: writes.clone(), signer: Some(writes), prefix: Path::from(prefix) }
}

/// Of the client for reads and of the one for writes.
fn manners(config: &Object) -> [Manner; 2] {
    let plain = config.endpoint.as_ref().is_some_and(|endpoint| endpoint.scheme() == "http");
    let options = || ClientOptions::new().with_allow_http(plain).with_pool_idle_timeout(Duration::from_secs(60));
    let reads = Manner {
        // A body may take as long as it likes, if it does not stand still.
        options: options().with_connect_timeout(config.lookup_timeout).with_timeout_disabled().with_read_timeout(IDLE),
        retry: RetryConfig { max_retries: 0, ..RetryConfig::default() },
    };
    let backoff = BackoffConfig { init_backoff: Duration::from_millis(100), max_backoff: Duration::from_secs(2), base: 2.0 };
    let writes = Manner {
        options: options().with_connect_timeout(Duration::from_secs(5)).with_timeout(WRITE_TIMEOUT),
        retry: RetryConfig { max_retries: 3, backoff, retry_timeout: Duration::from_secs(30) },
    };
    [reads, writes]
}

fn s3(config: &Object, name: &str, secret: Option<&SecretString>, manner: Manner) -> AmazonS3Builder {
    let own_keys = config.access_key_id.as_ref().zip(secret);
    let mut builder = match own_keys {
        // A token of the environment belongs to the environment's keys.
        Some((id, secret)) => AmazonS3Builder::new().with_access_key_id(id).with_secret_access_key(secret.expose_secret()),
        None => AmazonS3Builder::from_env(),
    };
    // Without an endpoint, a dot in the name would not match the certificate of *.s3.amazonaws.com.
    let in_path = config.path_style.unwrap_or(config.endpoint.is_some() || name.contains('.'));
    if let Some(endpoint) = &config.endpoint {
        builder = builder.with_endpoint(if in_path { text(endpoint) } else { with_bucket(endpoint, name) });
    }
    if let Some(region) = &config.region {
        builder = builder.with_region(region);
    }
    builder
        .with_bucket_name(name)
        .with_virtual_hosted_style_request(!in_path)
        .with_skip_signature(config.anonymous)
        // Not every server knows how to delete several at once, and it is never needed.
        .with_disable_bulk_delete(true)
        .with_client_options(manner.options)
        .with_retry(manner.retry)
}

fn gcs(config: &Object, name: &str, manner: Manner) -> GoogleCloudStorageBuilder {
    let mut builder = match &config.credentials_file {
        Some(file) => GoogleCloudStorageBuilder::new().with_service_account_path(file.to_string_lossy()),
        None => GoogleCloudStorageBuilder::from_env(),
    };
    if let Some(endpoint) = &config.endpoint {
        builder = builder.with_base_url(&text(endpoint));
    }
    if config.anonymous {
        // Without a signature it would still look for a token to write with.
        builder = builder.with_credentials(Arc::new(StaticCredentialProvider::new(GcpCredential { bearer: String::new() })));
    }
    builder
        .with_bucket_name(name)
        .with_skip_signature(config.anonymous)
        .with_client_options(manner.options)
        .with_retry(manner.retry)
}

fn azure(config: &Object, name: &str, secret: Option<&SecretString>, manner: Manner) -> MicrosoftAzureBuilder {
    let mut builder = match secret {
        Some(secret) => MicrosoftAzureBuilder::new().with_access_key(secret.expose_secret()),
        None => MicrosoftAzureBuilder::from_env(),
    };
    if let Some(account) = &config.account {
        builder = builder.with_account(account);
    }
    if let Some(endpoint) = &config.endpoint {
        builder = builder.with_endpoint(text(endpoint));
    }
    builder
        .with_container_name(name)
        .with_skip_signature(config.anonymous)
        .with_client_options(manner.options)
        .with_retry(manner.retry)
}

fn text(endpoint: &Url) -> String {
    endpoint.as_str().trim_end_matches('/').to_owned()
}

/// The endpoint with the bucket in its host name.
fn with_bucket(endpoint: &Url, name: &str) -> String {
    match text(endpoint).split_once("://") {
        Some((scheme, rest)) => format!("{scheme}://{name}.{rest}"),
        None => text(endpoint),
    }
}

fn secret(config: &Object) -> Result<Option<SecretString>, BucketError> {
    let Some(path) = &config.secret_access_key_file else {
        return Ok(config.secret_access_key.clone());
    };
    let mut text = String::new();
    let read = fs::File::open(path).and_then(|file| file.take(SECRET).read_to_string(&mut text));
    read.map_err(|error| BucketError {
        key: "secret_access_key_file",
        cause: format!("{} cannot be read: {error}", path.display()),
    })?;
    Ok(Some(SecretString::from(text.trim())))
}

#[cfg(test)]
mod tests {
    use object_store::signer::Method;

    use super::*;

    fn config(text: &str) -> Object {
        toml::from_str(text).unwrap()
    }

    /// The URL of an object `k`, as it is signed for clients.
    async fn signed(text: &str) -> Url {
        let bucket = Bucket::connect(&config(text)).unwrap().unwrap();
        bucket.signer.unwrap().signed_url(Method::GET, &Path::from("k"), Duration::from_secs(60)).await.unwrap()
    }

    #[tokio::test]
    async fn each_cloud_is_reached_where_it_is() {
        let s3 = "access_key_id = \"id\"\nsecret_access_key = \"s\"\nregion = \"eu-1\"\n";
        let az = "account = \"acc\"\nsecret_access_key = \"c2VjcmV0\"\nurl = \"az://box/p\"\n";
        for (text, start) in [
            (format!("{s3}url = \"s3://box/p\""), "https://box.s3.eu-1.amazonaws.com/k?"),
            (format!("{s3}url = \"s3://a.box\""), "https://s3.eu-1.amazonaws.com/a.box/k?"),
            (format!("{s3}url = \"s3://box\"\nendpoint = \"http://h:9/\""), "http://h:9/box/k?"),
            (format!("{s3}url = \"s3://box\"\nendpoint = \"http://h:9/\"\npath_style = false"), "http://box.h:9/k?"),
            (az.to_owned(), "https://acc.blob.core.windows.net/box/k?"),
            (format!("{az}endpoint = \"http://127.0.0.1:10000/acc\""), "http://127.0.0.1:10000/acc/box/k?"),
        ] {
            let url = signed(&text).await;
            assert!(url.as_str().starts_with(start), "{url}");
        }
    }

    #[test]
    fn nothing_is_configured_by_default_and_anonymous_buckets_sign_nothing() {
        assert!(Bucket::connect(&Object::default()).unwrap().is_none());
        for url in ["s3://b/p", "gs://b/p", "az://b/p\"\naccount = \"a"] {
            let text = format!("url = \"{url}\"\nanonymous = true\nendpoint = \"http://127.0.0.1:9\"");
            assert!(Bucket::connect(&config(&text)).unwrap().unwrap().signer.is_none());
        }
    }

    #[tokio::test]
    async fn the_secret_is_read_from_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, "from-file\n").unwrap();
        let text = format!("url = \"s3://b\"\naccess_key_id = \"id\"\nsecret_access_key_file = \"{}\"", file.display());
        assert_eq!(secret(&config(&text)).unwrap().unwrap().expose_secret(), "from-file");
        std::fs::remove_file(&file).unwrap();
        let error = Bucket::connect(&config(&text)).unwrap_err().to_string();
        assert!(error.starts_with("storage.object.secret_access_key_file: ") && error.contains("cannot be read"), "{error}");
    }

    #[test]
    fn a_key_of_the_wrong_form_is_told() {
        let text = "url = \"az://b\"\naccount = \"a\"\nsecret_access_key = \"not base64!\"";
        let error = Bucket::connect(&config(text)).unwrap_err().to_string();
        assert!(error.starts_with("storage.object.url: ") && !error.contains("not base64!"), "{error}");
    }
}
