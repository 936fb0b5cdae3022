//! What the description of the API says in more than one place.

/// Of an answer 401, where the operator's token is needed.
pub(super) const UNAUTHORIZED: &str = "The operator's token, which lies in `admin.json` in the data folder, is missing or wrong";

/// Of an answer 401, where the graph may be public.
pub(super) const NOT_PUBLIC: &str = "The operator's token, which lies in `admin.json` in the data folder, is missing or wrong; \
    without one, where `graph.public` is not set";

/// Of an answer 503 of the graph.
pub(super) const LOADING: &str = "The graph is being loaded";

/// Of an answer 404 of the graph.
pub(super) const UNKNOWN: &str = "The graph does not know it, or this server keeps no graph";

/// Of an answer 400 of the graph.
pub(super) const MALFORMED: &str = "A parameter is missing or malformed, or names something that the question is not about";

/// Of an answer 200 that tells how things are.
pub(super) const NOW: &str = "As of now";

/// Of a question's `limit`.
pub(super) const LIMIT: &str = "How many at most: 20 when absent, never more than 1,000";

/// Of a question's `offset`.
pub(super) const OFFSET: &str = "How many of the first are left out: at most 5,000";

/// Of a question's `platform`.
pub(super) const PLATFORM: &str = "Which image of an index; linux/amd64, or the first one, when absent";
