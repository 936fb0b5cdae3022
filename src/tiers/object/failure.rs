//! What an error of the bucket means to whoever asked.

use std::error::Error;

use object_store::client::HttpError;

/// How the library tells of an answer that is no success. What the server itself says comes behind it.
const STATUS: &str = "Server returned non-2xx status code: ";

/// The kinds of errors that are treated differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// An answer: there is no such object, or no such part of it.
    Absent,
    /// An answer: there is an object already, or it is not the one that was expected.
    Conflict,
    /// An answer: this request will never be served.
    Refused,
    /// Our credentials do not suffice.
    Denied,
    /// The server answers that it cannot, or not now.
    Unwell,
    /// No answer.
    Unreachable,
}

impl Failure {
    pub(super) fn of(error: &object_store::Error) -> Self {
        match error {
            object_store::Error::NotFound { .. } => Self::Absent,
            object_store::Error::AlreadyExists { .. }
            | object_store::Error::Precondition { .. }
            | object_store::Error::NotModified { .. } => Self::Conflict,
            object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => Self::Denied,
            object_store::Error::NotSupported { .. }
            | object_store::Error::NotImplemented { .. }
            | object_store::Error::InvalidPath { .. } => Self::Refused,
            other => Self::of_request(other),
        }
    }

    /// The library has no kinds for most statuses, and hides the type that holds them: they are read from its words. Words that
    /// are not known count as those of a server that is unwell.
    fn of_request(error: &(dyn Error + 'static)) -> Self {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if error.is::<HttpError>() {
                return Self::Unreachable;
            }
            if let Some(status) = status(&error.to_string()) {
                return match status {
                    404 | 416 => Self::Absent,
                    401 | 403 => Self::Denied,
                    409 | 412 => Self::Conflict,
                    408 | 429 => Self::Unwell,
                    // 501: the server does not know this kind of request.
                    400..=499 | 501 => Self::Refused,
                    _ => Self::Unwell,
                };
            }
            cause = error.source();
        }
        Self::Unwell
    }

    /// Whether the bucket is better left alone for a while.
    pub(super) const fn is_fault(self) -> bool {
        matches!(self, Self::Denied | Self::Unwell | Self::Unreachable)
    }
}

fn status(words: &str) -> Option<u16> {
    words.strip_prefix(STATUS)?.get(..3)?.parse().ok()
}

/// The whole chain of causes on one line, without the URL's query: it may hold a signature.
pub(super) fn explain(error: &object_store::Error) -> String {
    let text = error.to_string();
    let words = text.split_whitespace().map(|word| match word.split_once('?') {
        Some((url, _)) if url.contains("://") => url,
        _ => word,
    });
    let mut line = words.collect::<Vec<_>>().join(" ");
    // The body of an answer may be long.
    if let Some((end, _)) = line.char_indices().nth(400) {
        line.truncate(end);
    }
    if Failure::of(error) == Failure::Denied {
        line.push_str(
            "; cure: give the credentials of [storage.object] the right to read, list, write and delete objects below its url \
             (without the right to list, S3 says of what is absent that it is denied)",
        );
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_without_a_status_are_sorted_by_their_kind() {
        let source = || "cause".into();
        let path = || "a/b".to_owned();
        for (error, failure) in [
            (object_store::Error::NotFound { path: path(), source: source() }, Failure::Absent),
            (object_store::Error::AlreadyExists { path: path(), source: source() }, Failure::Conflict),
            (object_store::Error::Precondition { path: path(), source: source() }, Failure::Conflict),
            (object_store::Error::PermissionDenied { path: path(), source: source() }, Failure::Denied),
            (object_store::Error::NotSupported { source: source() }, Failure::Refused),
            (object_store::Error::Generic { store: "S3", source: source() }, Failure::Unwell),
        ] {
            assert_eq!(Failure::of(&error), failure, "{error}");
        }
    }

    #[test]
    fn a_denial_tells_its_cure_and_no_signature() {
        let source = "GET https://b.example/k?X-Amz-Signature=secret in 1ms\n - 403: <Error/>".into();
        let told = explain(&object_store::Error::PermissionDenied { path: "k".to_owned(), source });
        assert!(!told.contains("secret") && told.contains("https://b.example/k in"), "{told}");
        assert!(told.contains("cure: give the credentials"), "{told}");
        let long = object_store::Error::Generic { store: "S3", source: "x".repeat(10_000).into() };
        assert!(explain(&long).len() < 1000);
    }
}
