//! `[storage.object]`

use std::{path::PathBuf, time::Duration};

use bytesize::ByteSize;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::Url;

/// A bucket that edges share: asked before an upstream, written behind.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Object {
    /// The bucket, and perhaps a folder in it: `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`. Empty: there
    /// is no object tier.
    pub url: String,
    /// Where the service answers, when it is not the cloud's own: an S3-compatible server, an emulator. That of
    /// Azurite ends with the account: `http://127.0.0.1:10000/devstoreaccount1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Url>,
    /// Region of an S3 bucket. Absent: the environment's (`AWS_REGION`), or `us-east-1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Storage account of an Azure container. Absent: the environment's (`AZURE_STORAGE_ACCOUNT_NAME`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Access key of S3. Absent: the usual chain of the cloud is tried (environment, web identity, instance metadata).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_key_id: Option<String>,
    /// Secret that belongs to `access_key_id`; for Azure, a key of the storage account.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "super::upstream::masked")]
    pub secret_access_key: Option<SecretString>,
    /// File that holds the secret, read at the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_access_key_file: Option<PathBuf>,
    /// Key file of a Google service account. Absent: the application's default credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials_file: Option<PathBuf>,
    /// Whether requests are sent without a signature, as to an emulator or a public bucket. Clients are never redirected then.
    pub anonymous: bool,
    /// Whether the bucket is named in the path and not in the host name. Absent: if there is an `endpoint`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_style: Option<bool>,
    /// Longest wait for the bucket before an answer is sought elsewhere. One that takes longer once is left alone for a while.
    #[serde(with = "humantime_serde")]
    pub lookup_timeout: Duration,
    /// How long the bucket is left alone after a failure. It doubles, up to a minute, for as long as a look in the background
    /// shows that nothing has changed.
    #[serde(with = "humantime_serde")]
    pub breaker_pause: Duration,
    /// Bytes that may wait on disk for their upload. What comes while it is full is not uploaded.
    #[serde(serialize_with = "super::size::exact")]
    pub queue_limit: ByteSize,
    /// Contents, and records, that may wait for their upload.
    pub queue_entries: usize,
    /// Uploads under way at once.
    pub max_uploads: usize,
    /// Contents larger than this are uploaded in parts.
    #[serde(serialize_with = "super::size::exact")]
    pub multipart_above: ByteSize,
    /// Size of such a part.
    #[serde(serialize_with = "super::size::exact")]
    pub part_size: ByteSize,
}

impl Default for Object {
    fn default() -> Self {
        Self {
            url: String::new(),
            endpoint: None,
            region: None,
            account: None,
            access_key_id: None,
            secret_access_key: None,
            secret_access_key_file: None,
            credentials_file: None,
            anonymous: false,
            path_style: None,
            lookup_timeout: Duration::from_millis(200),
            breaker_pause: Duration::from_secs(5),
            queue_limit: ByteSize::gib(10),
            queue_entries: 100_000,
            max_uploads: 4,
            multipart_above: ByteSize::mib(16),
            part_size: ByteSize::mib(8),
        }
    }
}

/// Which cloud's interface a bucket has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cloud {
    /// Amazon S3, and the many servers that speak like it.
    S3,
    /// Google Cloud Storage.
    Gcs,
    /// Azure Blob Storage.
    Azure,
}

impl Object {
    /// Cloud, bucket and prefix of `url`, the prefix without slashes around it. `None` when it is none of the known forms.
    pub fn place(&self) -> Option<(Cloud, &str, &str)> {
        let (scheme, rest) = self.url.split_once("://")?;
        let cloud = match scheme {
            "s3" => Cloud::S3,
            "gs" => Cloud::Gcs,
            "az" => Cloud::Azure,
            _ => return None,
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        Some((cloud, bucket, prefix.trim_matches('/')))
    }
}
