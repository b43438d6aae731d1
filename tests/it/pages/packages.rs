//! The pages of packages.

use tests::page::Page;
use tests::upstream::Upstream;
use tests::world::World;

use super::page;

#[tokio::test]
async fn a_page_shows_the_versions_of_a_package_and_the_one_of_a_range() {
    let upstream = Upstream::start();
    upstream.publish("Acme.Kit", &["1.2.3", "1.9.0", "2.0.0", "3.0.0-rc.1"]);
    let mut world = World::with_upstream(&upstream);
    let path = "/packages/nuget/Acme.Kit";
    let pending = world.get(path).await;
    assert_eq!(
        (pending.status, pending.header("cache-control")),
        (200, Some("public, max-age=5, s-maxage=5"))
    );
    assert!(Page::parse(&pending.text).text.contains("is being looked up"), "{}", pending.text);
    world.drain_requests().await;
    world.restart_functions();
    insta::assert_snapshot!(page(&world, path).await.lines.join("\n"), @r#"
    Acme.Kit · BadgeSmith Skip to content BadgeSmith
    NuGet package
    Acme.Kit
    2.0.0 looked up just now · changed just now
    Version of a range
    Range, such as [1.0,2.0)
    Prereleases
    Show
    The badge shows 2.0.0
    Versions
    3.0.0-rc.1 prerelease
    2.0.0 deprecated vulnerable
    1.9.0 deprecated vulnerable
    1.2.3 deprecated vulnerable
    Unlisted versions do not count, and are left out.
    Badge
    These URLs are relative. The operator can set PublicUrl for URLs that work on other sites.
    Markdown [![NuGet package](/svg/packages/nuget/Acme.Kit)](https://www.nuget.org/packages/Acme.Kit)
    HTML <a href="https://www.nuget.org/packages/Acme.Kit"><img src="/svg/packages/nuget/Acme.Kit" alt="NuGet package"></a>
    reStructuredText .. image:: /svg/packages/nuget/Acme.Kit :target: https://www.nuget.org/packages/Acme.Kit :alt: NuGet package
    AsciiDoc image:/svg/packages/nuget/Acme.Kit[NuGet package,link="https://www.nuget.org/packages/Acme.Kit"]
    URL /svg/packages/nuget/Acme.Kit
    Badges for test results and package versions, served by BadgeSmith .
    "#);
    for (query, expected) in [
        ("version=%5B1.0,2.0)", "The badge shows 1.9.0"),
        ("version=1.*", "The badge shows 1.9.0"),
        ("version=&prerelease=true", "The badge shows 3.0.0-rc.1"),
        ("version=%5B9.0,)", "The badge shows not found"),
        ("version=%3Cscript%3E", "Invalid range: expected"),
    ] {
        let page = page(&world, &format!("{path}?{query}")).await;
        assert!(page.text.contains(expected), "{query}: {}", page.text);
    }
    let page = page(&world, &format!("{path}?version=%5B1.0,2.0)")).await;
    assert!(
        page.values("src").contains(&"/svg/packages/nuget/Acme.Kit?version=%5B1.0%2C2.0%29"),
        "{:?}",
        page.values("src")
    );
}

#[tokio::test]
async fn a_missing_package_has_a_page_with_the_status_404() {
    let upstream = Upstream::start();
    let mut world = World::with_upstream(&upstream);
    world.look_up("nuget/acme.missing").await;
    let answer = world.get("/packages/nuget/Acme.Missing").await;
    assert_eq!(answer.status, 404);
    assert!(
        Page::parse(&answer.text).text.contains("Acme.Missing This package does not exist"),
        "{}",
        answer.text
    );
}
