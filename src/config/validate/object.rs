//! `[storage.object]`

use std::fs::File;

use bytesize::ByteSize;

use super::{Checked, HOUR, MINUTE, MOMENT, invalid, positive, within};
use crate::config::{Cloud, Object};

/// Clouds refuse smaller parts, and larger ones.
const PART: (ByteSize, ByteSize) = (ByteSize::mib(5), ByteSize::gib(1));

/// A content that is sent in one piece is held in memory.
const WHOLE: ByteSize = ByteSize::gib(1);

/// Room for the names of contents below the prefix: clouds end at 1,024 bytes.
const PREFIX: usize = 256;

pub(super) fn validate(object: &Object) -> Checked {
    if object.url.is_empty() {
        return Ok(());
    }
    let cloud = place(object)?;
    endpoint(object)?;
    credentials(object, cloud)?;
    within("storage.object.lookup_timeout", object.lookup_timeout, MOMENT, MINUTE)?;
    within("storage.object.breaker_pause", object.breaker_pause, MOMENT, HOUR)?;
    positive("storage.object.queue_entries", object.queue_entries)?;
    positive("storage.object.max_uploads", object.max_uploads)?;
    if object.queue_limit == ByteSize::b(0) {
        return invalid("storage.object.queue_limit", "must be more than nothing");
    }
    if object.part_size < PART.0 || object.part_size > PART.1 {
        return invalid("storage.object.part_size", "must be from 5 MiB to 1 GiB: clouds refuse smaller parts");
    }
    if object.multipart_above < object.part_size || object.multipart_above > WHOLE {
        return invalid("storage.object.multipart_above", "must be from storage.object.part_size to 1 GiB");
    }
    Ok(())
}

fn place(object: &Object) -> Result<Cloud, super::Invalid> {
    let wrong = |cause: String| super::Invalid { key: "storage.object.url".to_owned(), cause };
    let Some((cloud, bucket, prefix)) = object.place() else {
        return Err(wrong("must begin with s3://, gs:// or az:// and name a bucket, such as \"s3://bucket/prefix\"".to_owned()));
    };
    if bucket.is_empty() {
        return Err(wrong("names no bucket; write it as \"s3://bucket/prefix\"".to_owned()));
    }
    if !bucket.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) || bucket.len() > 222 {
        return Err(wrong(format!("'{bucket}' is no bucket's name: letters, digits, '-', '_' and '.'")));
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    let parts = || prefix.split('/').filter(|_| !prefix.is_empty());
    if prefix.len() > PREFIX || !prefix.bytes().all(plain) || parts().any(|part| matches!(part, "" | "." | "..")) {
        return Err(wrong(format!("'{prefix}' is no prefix: words of letters, digits, '-', '_' and '.' with '/' between them")));
    }
    Ok(cloud)
}

fn endpoint(object: &Object) -> Checked {
    let key = "storage.object.endpoint";
    let Some(endpoint) = &object.endpoint else {
        return Ok(());
    };
    if !matches!(endpoint.scheme(), "http" | "https") || endpoint.host_str().is_none_or(str::is_empty) {
        return invalid(key, "must begin with https:// or http:// and name a host");
    }
    if !endpoint.username().is_empty() || endpoint.password().is_some() {
        return invalid(key, "must hold no user name or password; use the keys access_key_id and secret_access_key");
    }
    if endpoint.query().is_some() || endpoint.fragment().is_some() {
        return invalid(key, "must hold neither '?' nor '#'");
    }
    Ok(())
}

fn credentials(object: &Object, cloud: Cloud) -> Checked {
    let secret = match (&object.secret_access_key, &object.secret_access_key_file) {
        (Some(_), Some(_)) => {
            return invalid("storage.object.secret_access_key_file", "is given beside secret_access_key; keep one of them");
        }
        (Some(_), None) => Some("secret_access_key"),
        (None, Some(_)) => Some("secret_access_key_file"),
        (None, None) => None,
    };
    let given = [
        ("region", object.region.is_some(), cloud == Cloud::S3, "s3"),
        ("path_style", object.path_style.is_some(), cloud == Cloud::S3, "s3"),
        ("access_key_id", object.access_key_id.is_some(), cloud == Cloud::S3, "s3"),
        (secret.unwrap_or_default(), secret.is_some(), cloud != Cloud::Gcs, "s3 and az"),
        ("account", object.account.is_some(), cloud == Cloud::Azure, "az"),
        ("credentials_file", object.credentials_file.is_some(), cloud == Cloud::Gcs, "gs"),
    ];
    for (field, is_given, suits, clouds) in given {
        if is_given && !suits {
            return invalid(&format!("storage.object.{field}"), format!("is for {clouds} buckets only; leave it out"));
        }
    }
    let keys = [("access_key_id", object.access_key_id.is_some()), (secret.unwrap_or_default(), secret.is_some())];
    let keys = keys.into_iter().chain([("credentials_file", object.credentials_file.is_some())]);
    if let Some((field, _)) = keys.into_iter().find(|(_, given)| *given && object.anonymous) {
        return invalid(&format!("storage.object.{field}"), "is given beside anonymous = true; keep one of them");
    }
    if cloud == Cloud::S3 && object.access_key_id.is_some() && secret.is_none() {
        return invalid("storage.object.access_key_id", "needs a secret_access_key or a secret_access_key_file");
    }
    if let Some(secret) = secret {
        if cloud == Cloud::S3 && object.access_key_id.is_none() {
            return invalid(&format!("storage.object.{secret}"), "needs an access_key_id");
        }
        if cloud == Cloud::Azure && object.account.is_none() {
            return invalid(&format!("storage.object.{secret}"), "needs an account");
        }
    }
    for (field, file) in
        [("secret_access_key_file", &object.secret_access_key_file), ("credentials_file", &object.credentials_file)]
    {
        if let Some(file) = file
            && let Err(error) = File::open(file)
        {
            return invalid(&format!("storage.object.{field}"), format!("{} cannot be read: {error}", file.display()));
        }
    }
    Ok(())
}
