//! Lists that come in pages: `Link: <…>; rel="next"`.

use std::collections::HashSet;

use reqwest::{
    StatusCode,
    header::{HeaderMap, LINK},
};
use serde_json::Value;
use url::Url;

use super::{
    UpstreamError, UpstreamErrorKind,
    client::place,
    exchange::{Ask, Exchange},
};

/// How much of one list is read, over all pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListBounds {
    /// Pages.
    pub pages: usize,
    /// Entries.
    pub entries: usize,
    /// Bytes.
    pub bytes: usize,
}

impl ListBounds {
    /// Whatever a client may be interested in.
    pub const WIDE: Self = Self { pages: 1000, entries: 100_000, bytes: 16 << 20 };
}

/// The pages of one list, one after the other.
#[derive(Debug)]
pub(super) struct Pages<'a> {
    exchange: &'a Exchange,
    ask: Option<Ask<'a>>,
    seen: HashSet<Url>,
    left: ListBounds,
}

impl<'a> Pages<'a> {
    /// `ask` is for the first page.
    pub(super) fn new(exchange: &'a Exchange, ask: Ask<'a>, bounds: ListBounds) -> Self {
        Self { exchange, ask: Some(ask), seen: HashSet::new(), left: bounds }
    }

    /// The next page's JSON; `None` after the last.
    ///
    /// # Errors
    /// `BadAnswer` when it is not JSON, or the list is too long or comes back to a page; `Forbidden` when a link leads to
    /// another origin.
    pub(super) async fn next(&mut self) -> Result<Option<Value>, UpstreamError> {
        let Some(mut ask) = self.ask.take() else { return Ok(None) };
        let Some(pages) = self.left.pages.checked_sub(1) else {
            return Err(self.exchange.bad_answer("has a list of too many pages"));
        };
        self.left.pages = pages;
        if !self.seen.insert(ask.url.clone()) {
            return Err(self.exchange.bad_answer("has a list whose pages go in a circle"));
        }
        let answer = self.exchange.ask(&ask).await?;
        if answer.response.status() != StatusCode::OK {
            let status = answer.response.status().as_u16();
            return Err(self.exchange.bad_answer(&format!("answered a request for a list with status {status}")));
        }
        let next = next_page(answer.response.headers(), &ask.url)?;
        let bytes = self.exchange.incoming(answer.response).collect(self.left.bytes, ask.operation.as_str()).await?;
        self.left.bytes -= bytes.len();
        let page = serde_json::from_slice(&bytes).map_err(|_| self.exchange.bad_answer("sent a list that is not JSON"))?;
        self.ask = next.map(|url| {
            ask.url = url;
            ask
        });
        Ok(Some(page))
    }

    /// Counts the entries of a page.
    pub(super) fn count(&mut self, entries: usize) -> Result<(), UpstreamError> {
        let left = self.left.entries.checked_sub(entries);
        self.left.entries = left.ok_or_else(|| self.exchange.bad_answer("has a list of too many entries"))?;
        Ok(())
    }
}

/// The URL of the next page, relative to `current`; it must be of the same origin.
fn next_page(headers: &HeaderMap, current: &Url) -> Result<Option<Url>, UpstreamError> {
    let texts = headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
    let Some(target) = texts.flat_map(links).find(|link| is_next(link.1)).map(|link| link.0) else {
        return Ok(None);
    };
    let Ok(next) = current.join(target) else {
        let text = format!("{} sent a link to a next page that is not a URL", place(current));
        return Err(UpstreamError::new(UpstreamErrorKind::BadAnswer, text));
    };
    if next.origin() != current.origin() || !next.username().is_empty() || next.password().is_some() {
        let text = format!("{} leads to {} for the next page of a list, which is not followed", place(current), place(&next));
        return Err(UpstreamError::new(UpstreamErrorKind::Forbidden, text));
    }
    Ok(Some(next))
}

/// The links of one header, each as target and parameters.
fn links(header: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = header;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once('<')?;
        let (target, after) = after.split_once('>')?;
        let mut quoted = false;
        let end = after.find(|c: char| {
            quoted ^= c == '"';
            c == ',' && !quoted
        });
        let (parameters, after) = after.split_at(end.unwrap_or(after.len()));
        rest = after;
        Some((target.trim(), parameters))
    })
}

fn is_next(parameters: &str) -> bool {
    parameters.split(';').filter_map(|parameter| parameter.split_once('=')).any(|(name, value)| {
        name.trim().eq_ignore_ascii_case("rel")
            && value.trim().trim_matches('"').split_ascii_whitespace().any(|relation| relation.eq_ignore_ascii_case("next"))
    })
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn next(values: &[&str]) -> Result<Option<String>, UpstreamErrorKind> {
        let headers = values.iter().map(|value| (LINK, HeaderValue::from_str(value).unwrap())).collect();
        let current = "https://r.example/v2/a/tags/list?n=2".parse().unwrap();
        next_page(&headers, &current).map(|next| next.map(String::from)).map_err(|error| error.kind)
    }

    #[test]
    fn the_next_page_is_found_in_all_spellings() {
        let expected = Ok(Some("https://r.example/v2/a/tags/list?last=b&n=2".to_owned()));
        for value in [
            r#"</v2/a/tags/list?last=b&n=2>; rel="next""#,
            "<https://r.example/v2/a/tags/list?last=b&n=2>;rel=next",
            "<https://r.example:443/v2/a/tags/list?last=b&n=2>;REL=Next",
            r#"<?last=b&n=2>; title="a, b"; rel="prefetch next""#,
            r#"<https://evil.example/x>; rel="prev", <list?last=b&n=2>; rel="next""#,
        ] {
            assert_eq!(next(&[value]), expected, "{value}");
        }
        assert_eq!(next(&["</x>; rel=first", "<list?last=b&n=2>; rel=next"]), expected);
    }

    #[test]
    fn without_a_next_link_it_was_the_last_page() {
        for values in [&[][..], &[""], &["<", "<>", "junk"], &["</x>; rel=prev"], &["</x>; rel=nextish"]] {
            assert_eq!(next(values), Ok(None), "{values:?}");
        }
    }

    #[test]
    fn other_origins_are_not_followed() {
        for value in [
            "<https://evil.example/v2/a/tags/list>; rel=next",
            "<http://r.example/x>; rel=next",
            "<//evil.example/x>; rel=next",
            "<https://r.example:8443/x>; rel=next",
            "<https://u:p@r.example/x>; rel=next",
            "<file:///etc/passwd>; rel=next",
        ] {
            assert_eq!(next(&[value]), Err(UpstreamErrorKind::Forbidden), "{value}");
        }
    }
}
