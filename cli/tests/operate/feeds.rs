//! `badgesmith feed`.

use serde_json::json;
use tests::upstream::Upstream;

use super::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_shows_packages_until_it_is_removed() {
    let world = World::start().await;
    let feed = Upstream::start();
    feed.publish("Kit", &["4.0.0"]);
    let url = feed.nuget_service_index();
    assert_eq!(world.run(&["feed", "list"]).await.ok(), "no feeds\n");
    world.run(&["feed", "add", "open", &url]).await.ok();
    let added = world.run(&["package", "add", "nuget/open/Kit"]).await.ok();
    assert!(added.contains("4.0.0"), "{added}");

    // The name of the package again, in a feed that needs credentials.
    let closed = ["feed", "add", "closed", &url, "--username", "ci"];
    world.run(&closed).await.failed(2, "invalid password from stdin");
    world.run_with(&closed, "hunter2\n").await.ok();
    let stored = world.server.aws().secrets().current("badge/nuget/closed").unwrap();
    let stored: serde_json::Value = serde_json::from_str(&stored.unwrap()).unwrap();
    assert_eq!(stored, json!({ "url": url, "username": "ci", "password": "hunter2", "type": "nuget_basic" }));
    let elsewhere = ["feed", "add", "closed", "https://other.test/v3/index.json"];
    world.run(&elsewhere).await.failed(1, "first run `badgesmith feed remove closed`");
    world.run(&["package", "add", "nuget/closed/kit"]).await.failed(3, "badgesmith feed allow");
    world.run(&["feed", "allow", "open", "kit"]).await.failed(2, "needs no credentials");
    world.run(&["feed", "allow", "none", "kit"]).await.failed(3, "no feed none");
    world.run(&["feed", "allow", "closed", "Kit"]).await.ok();
    let added = world.run(&["package", "add", "nuget/closed/kit"]).await.ok();
    assert!(added.contains("4.0.0"), "{added}");

    let list = world.run(&["feed", "list", "--json"]).await.json();
    let expected = json!([
        { "name": "closed", "url": url, "secret": "badge/nuget/closed", "allowed": ["kit"] },
        { "name": "open", "url": url, "secret": null, "allowed": [] },
    ]);
    assert_eq!(list["feeds"], expected);
    world.run(&["feed", "deny", "closed", "kit"]).await.ok();
    world.run(&["feed", "deny", "closed", "kit"]).await.failed(3, "is not allowed");
    for name in ["open", "closed"] {
        world.run(&["feed", "remove", name, "--yes"]).await.ok();
    }
    world.run(&["feed", "remove", "open", "--yes"]).await.failed(3, "there is no feed open");
    assert_eq!(world.run(&["feed", "list"]).await.ok(), "no feeds\n");
    for wrong in ["ftp://feed.test/index.json", "https://user:password@feed.test/index.json", "feed"] {
        let output = world.run(&["feed", "add", "wrong", wrong]).await;
        output.failed(2, "expected an http or https URL");
        assert!(!output.stderr.contains("password@"), "{output:?}");
    }
    world
        .run_with(&["feed", "add", "wrong", "http://feed.test/index.json", "--username", "ci"], "hunter2")
        .await
        .failed(2, "expected https");
}
