//! Names from outside, through the whole pipeline onto a page.

use serde_json::json;
use tests::client::{segment, with};
use tests::page::Page;
use tests::world::World;

use super::{BYTES_MAX, counts, report};

/// Names that try to become markup. Each is valid where it is used.
const NAMES: [&str; 4] = [
    "x'\"><script>alert(1)</script>",
    "</bdi></title></textarea><img src=x onerror=alert(1)>",
    "&lt;b&gt;\u{202e}&#x3c;svg onload=alert(1)>",
    "--><!-- ]]> <a href=javascript:alert(1)>",
];

/// The pages of a repository with these names.
async fn pages(name: &str, url: &str) -> Vec<Page> {
    let world = World::new();
    let suite: String = name.chars().take(60).collect();
    let test: String = name.chars().filter(|c| *c != '\u{202e}').collect();
    for (run, branch) in [(1, "main"), (2, name), (3, "main")] {
        let fields = json!({ "branch": branch, "url_html": url, "suite": suite, "workflow_run_url": url });
        report(&world, with(counts("unit", run, 5, &[&test]), &fields)).await;
    }
    let mut pages = Vec::new();
    for path in ["/repos/acme/kit", &format!("/repos/acme/kit?branch={}", segment(name))] {
        let answer = world.get(path).await;
        assert_eq!(answer.status, 200, "{name}");
        pages.push(Page::parse(&answer.text));
        assert!(pages.last().unwrap().text.contains(&format!("on {name} ")) || path == "/repos/acme/kit");
    }
    for path in [
        format!("/repos/acme/kit?branch=other{}", segment(name)),
        format!("/?owner={}&repo=kit", segment(name)),
        format!("/?package={0}&org={0}", segment(name)),
        format!("/packages/nuget/{}", segment(name)),
    ] {
        pages.push(Page::parse(&world.get(&path).await.text));
    }
    pages
}

#[tokio::test(start_paused = true)]
async fn no_name_from_outside_becomes_markup() {
    // A name that forms reject, too.
    let expected = pages("a name of letters!", "https://ci.test/runs/1").await;
    for name in NAMES {
        let url = "https://ci.test/\"><script>alert(1)</script>'onclick='alert(1)&amp;";
        for (page, expected) in pages(name, url).await.iter().zip(&expected) {
            assert_eq!(page.skeleton(), expected.skeleton(), "{name}");
            check_links(page);
        }
    }
}

/// Asserts that a page links to itself, and to https URLs without passing on its rank or its window.
fn check_links(page: &Page) {
    for element in &page.elements {
        assert!(!matches!(&*element.name, "script" | "style" | "iframe" | "object" | "base"), "{element:?}");
        for (name, value) in &element.attributes {
            assert!(!name.starts_with("on") && name != "style", "{element:?}");
            let is_own = value.starts_with('/') && !value.starts_with("//");
            match &**name {
                "href" if element.name == "a" && value.starts_with("https://ci.test/") => {
                    assert_eq!(element.attributes.get("rel").map(String::as_str), Some("nofollow noopener"));
                    assert!(!value.contains(['<', '>', '"']), "{value}");
                }
                "href" => assert!(is_own || value == "#content", "{element:?}"),
                "src" | "action" => assert!(is_own, "{element:?}"),
                _ => {}
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_longest_names_do_not_make_a_page_longer_than_its_limit() {
    let world = World::new();
    let long =
        |number: usize, bytes: usize| format!("{number}{}", "\"".repeat(bytes - number.to_string().len()));
    let url = |number: usize| format!("https://ci.test/{number}?{}", "&".repeat(2000));
    let failures: Vec<_> = (0..20).map(|number| long(number, 200)).collect();
    let failures: Vec<_> = failures.iter().map(String::as_str).collect();
    for number in 0..30 {
        let fields = json!({ "suite": long(number, 80), "url_html": url(number), "branch": long(0, 255) });
        report(&world, with(counts("", 7, 5, &failures), &fields)).await;
        report(
            &world,
            with(counts("unit", 7, 5, &[]), &json!({ "branch": long(number, 255), "url_html": null })),
        )
        .await;
    }
    for run in 10..60 {
        let fields = json!({ "branch": long(0, 255), "url_html": url(0) });
        report(&world, with(counts("unit", run, 5, &failures), &fields)).await;
    }
    for path in ["/repos/acme/kit", &format!("/repos/acme/kit?branch={}", segment(&long(0, 255)))] {
        let answer = world.get(path).await;
        assert_eq!(answer.status, 200);
        assert!(answer.text.len() <= BYTES_MAX, "{} bytes", answer.text.len());
        assert!(answer.text.contains("do not fit on this page"), "{}", answer.text);
    }
}
