//! Who began a request, and the way that it has come.

use actix_web::{
    HttpRequest,
    http::{StatusCode, header},
};

use super::{Service, error::ApiError};
use crate::{
    customers::Customer,
    oci::ErrorCode,
    upstream::{Hops, REGION_HEADER, Requester},
};

/// Longest name of a region, as in the configuration.
const MAX_REGION: usize = 64;

/// The servers that a request has come through.
///
/// # Errors
/// 508 when this server is one of them: the request would come through it for ever.
pub(super) fn hops(service: &Service, request: &HttpRequest) -> Result<Hops, ApiError> {
    let hops = Hops::read(text(request, header::VIA.as_str()));
    let looped = |message: &str| Err(ApiError::new(StatusCode::LOOP_DETECTED, ErrorCode::Unsupported, message));
    if hops.contains(&service.via) {
        return looped(
            "this server is configured as its own upstream, directly or by way of others: the request has come back to it",
        );
    }
    if hops.is_full() {
        return looped("the request has come through more servers than there can be on a way that ends");
    }
    Ok(hops)
}

/// Who began a request that has come through `hops`. Only a server can say from which other region it comes.
pub(super) fn requester(request: &HttpRequest, customer: &Customer, hops: Hops) -> Requester {
    let legal = |region: &&str| (1..=MAX_REGION).contains(&region.len()) && region.bytes().all(|byte| byte.is_ascii_graphic());
    let region = text(request, REGION_HEADER).next().filter(|_| !hops.is_empty()).filter(legal).map(str::to_owned);
    Requester { customer: customer.name().map(str::to_owned), region, hops }
}

fn text<'a>(request: &'a HttpRequest, name: &'a str) -> impl Iterator<Item = &'a str> {
    request.headers().get_all(name).filter_map(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn region(headers: &[(&'static str, &str)]) -> Option<String> {
        let request = headers.iter().fold(TestRequest::default(), |request, header| request.append_header(*header));
        let request = request.to_http_request();
        let hops = Hops::read(text(&request, "via"));
        requester(&request, &Customer::from_header(Some("acme")), hops).region
    }

    #[test]
    fn only_a_server_says_the_region() {
        let via = ("via", "1.1 harbinger-a");
        assert_eq!(region(&[via, ("x-harbinger-region", "eu-1")]), Some("eu-1".to_owned()));
        for headers in [
            &[("x-harbinger-region", "eu-1")][..],
            &[via],
            &[via, ("x-harbinger-region", "")],
            &[via, ("x-harbinger-region", "e u")],
            &[via, ("x-harbinger-region", &"a".repeat(65))],
        ] {
            assert_eq!(region(headers), None, "{headers:?}");
        }
    }
}
