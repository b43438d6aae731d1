//! A branch, and the path of a request, which contains one.

use aws_lambda_events::event::apigw::ApiGatewayV2httpRequest;
use badgesmith_api::http::Request;
use badgesmith_api::route::{BadgeFormat, ReadRoute, Route, branch_suffix, segment};
use badgesmith_domain::ids::{Branch, Platform};
use badgesmith_domain::key::{self, ResultRange, SORT_KEY_BYTES_MAX};
use url::Url;

use super::round_trip;

const BADGE: &str = "/badges/tests/linux/acme/kit";

pub fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    check_path(&text);
    let Some(branch) = round_trip::<Branch>(&text) else { return };
    assert_eq!(branch.as_str(), text, "a branch is kept as written");
    let url = Url::parse(&format!("https://badges.test{BADGE}{}", branch_suffix(&text))).expect("a URL");
    assert_eq!(branch_in(url.path(), url.query()).as_deref(), Some(&*text), "{url}");
    // A client that does not normalize a path may send any branch in it.
    let path = format!("{BADGE}/{}", segment(&text));
    assert_eq!(branch_in(&path, None).as_deref(), Some(&*text), "{path}");
    // An HTTP API decodes a path twice, so a branch in a path must not need encoding.
    assert!(branch_suffix(&text).starts_with("?branch=") || branch_suffix(&text) == format!("/{text}"));
    check_keys(&branch);
}

fn check_path(path: &str) {
    let Some(route) = Route::parse(path, None) else { return };
    assert!(path.starts_with('/'));
    assert!(route.allow().ends_with("OPTIONS"));
    if let Route::Read(ReadRoute::TestBadge(_, Some(target))) = route {
        // The route decodes a path once, so encoding the names once must lead to the same route.
        let names = [&target.platform, &target.owner, &target.repo, &target.branch].map(|name| segment(name));
        let encoded = format!("/badges/tests/{}", names.join("/"));
        let expected = Route::Read(ReadRoute::TestBadge(BadgeFormat::Json, Some(target)));
        assert_eq!(Route::parse(&encoded, None), Some(expected), "{path:?}");
    }
}

fn branch_in(path: &str, query: Option<&str>) -> Option<String> {
    let mut event = ApiGatewayV2httpRequest::default();
    event.raw_path = Some(path.to_owned());
    event.raw_query_string = query.map(str::to_owned);
    match Request::new(&event).route()? {
        Route::Read(ReadRoute::TestBadge(BadgeFormat::Json, Some(target))) => {
            Some(target.branch.into_owned())
        }
        Route::Read(_) | Route::Submit(_) => None,
    }
}

fn check_keys(branch: &Branch) {
    let range = ResultRange::Branch(Platform::Linux, branch);
    let prefix = range.prefix();
    assert_eq!(prefix.matches('#').count(), 3, "a branch cannot add a part to a key: {prefix}");
    let (first, last) = range.range();
    let inside = format!("{prefix}2025");
    assert!(first <= inside && inside <= last);
    assert!(key::slot_prefix(branch).len() < SORT_KEY_BYTES_MAX);
}
