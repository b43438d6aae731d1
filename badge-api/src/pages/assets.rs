//! The stylesheet and the icon of pages. Their addresses change with their content, so browsers keep them.

use badgesmith_api::error_response::ErrorResponse;
use badgesmith_api::http::{Request, Response};

use crate::respond::{self, CachePolicy};

const STYLE: &str = include_str!("style.css");
const ICON: &str = include_str!("icon.svg");
const STYLE_DIGEST: u64 = digest(STYLE.as_bytes());
const ICON_DIGEST: u64 = digest(ICON.as_bytes());

/// FNV-1a, which needs no work at run time: <https://www.rfc-editor.org/rfc/rfc9923>
const fn digest(mut bytes: &[u8]) -> u64 {
    let mut digest = 0xcbf2_9ce4_8422_2325_u64;
    while let Some((first, rest)) = bytes.split_first() {
        digest = (digest ^ *first as u64).wrapping_mul(0x0000_0100_0000_01b3);
        bytes = rest;
    }
    digest
}

pub(super) fn style_path() -> String {
    format!("/assets/style-{STYLE_DIGEST:016x}.css")
}

pub(super) fn icon_path() -> String {
    format!("/assets/icon-{ICON_DIGEST:016x}.svg")
}

/// The file `name`. For the name of another version, it is the file of this version, because a page may still be in a
/// cache when its stylesheet is not.
pub(super) fn find(request: Request<'_>, name: &str) -> Response {
    let policy = |path: String| {
        let is_current = path.strip_prefix("/assets/") == Some(name);
        if is_current { CachePolicy::Immutable } else { CachePolicy::Brief }
    };
    if name.starts_with("style-") {
        respond::asset(request, STYLE, Response::css, policy(style_path()))
    } else if name.starts_with("icon-") {
        respond::asset(request, ICON, Response::svg, policy(icon_path()))
    } else {
        ErrorResponse::not_found().into_response()
    }
}
