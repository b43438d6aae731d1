//! npm packages and container images: their names, their versions, and the tokens that show them.

use std::time::Duration;

use serde_json::json;
use tests::upstream::{Upstream, Visibility};
use tests::world::{FRESH_FOR, World};

use super::{ACME, TOKEN, paths, refresh};

/// A world with a token that is mapped to the public packages of all types.
async fn world() -> (Upstream, World) {
    let upstream = Upstream::start();
    upstream.github_token(TOKEN, &["acme"]);
    let world = World::with_upstream(&upstream);
    for scope in ["acme", "npm:acme", "container:acme"] {
        world.set_github_token(scope, TOKEN).await;
    }
    (upstream, world)
}

#[tokio::test]
async fn an_npm_package_has_semantic_versions() {
    let (upstream, mut world) = world().await;
    let versions = ["1.4.0", "1.10.2", "not a version", "2.0.0-beta.2", "2.0.0-beta.10", "1.10.2+build"];
    upstream.github_publish_as("npm", ACME, "web-kit", Visibility::Public, &versions);
    upstream.github_publish(ACME, "web-kit", Visibility::Public, &["7.0.0"]);
    assert_eq!(world.look_up("github/acme/Web-Kit?type=npm").await, "1.10.2");
    for (query, message) in [
        ("type=npm&prerelease", "2.0.0-beta.10"),
        ("type=npm&warn=true", "1.10.2"),
        ("type=NPM&version=~1.4", "1.4.0"),
        ("type=npm&version=^1.2", "1.10.2"),
        ("type=npm&version=%3E=1,%20%3C1.10", "1.4.0"),
        ("type=npm&version=%3E=2.0.0-beta.3", "2.0.0-beta.10"),
        ("type=npm&lt=1.10.0", "1.4.0"),
        ("type=npm&version=^3", "not found"),
        ("type=npm&version=[1.0,2.0)", "invalid range"),
        ("type=npm&eq=latest", "invalid range"),
        ("type=rubygems", "not found"),
    ] {
        assert_eq!(world.version(&format!("github/acme/web-kit?{query}")).await, message, "{query}");
    }
    for (scoped, message) in
        [("@Acme/web-kit", "1.10.2"), ("%40acme%2Fweb-kit", "1.10.2"), ("@other/web-kit", "not found")]
    {
        assert_eq!(world.version(&format!("github/acme/{scoped}?type=npm")).await, message, "{scoped}");
    }
    assert_eq!(world.look_up("github/acme/web-kit").await, "7.0.0", "the NuGet package of the same name");
    let badge = world.get("/badges/packages/github/acme/web-kit?type=npm").await.json();
    let expected = json!({
        "schemaVersion": 1, "label": "github", "message": "1.10.2", "color": "green", "namedLogo": "npm",
    });
    assert_eq!(badge, expected);
}

#[tokio::test]
async fn a_container_image_shows_its_highest_tag_or_the_last_one() {
    let (upstream, mut world) = world().await;
    let publish = |name: &str, tags: &[&str]| {
        upstream.github_publish_as("container", ACME, name, Visibility::Public, tags);
    };
    publish("shop/api", &["v1.9.0", "1.10.0,latest,1.10", "", "sha-1f,edge", "v2.0.0-rc.1"]);
    let signature = format!("sha256-{}.sig", "ab".repeat(32));
    publish("tool", &["nightly", "", "main,sha-77", "", &signature]);
    publish("empty", &["", ""]);
    assert_eq!(world.look_up("github/acme/shop/api?type=container").await, "1.10.0");
    assert_eq!(world.version("github/acme/shop%2Fapi?type=container&prerelease").await, "2.0.0-rc.1");
    assert_eq!(world.version("github/acme/shop/api?type=container&version=~1.9").await, "1.9.0");
    assert_eq!(world.look_up("github/acme/tool?type=container").await, "main");
    assert_eq!(world.version("github/acme/tool?type=container&version=1").await, "not found");
    assert_eq!(world.look_up("github/acme/empty?type=container").await, "not found");
    let badge = world.get("/badges/packages/github/acme/tool?type=container").await.json();
    assert_eq!((&badge["namedLogo"], &badge["color"]), (&json!("docker"), &json!("green")));
    let requests = upstream.take_requests();
    assert!(paths(&requests).iter().any(|path| path.contains("/container/shop%2Fapi/versions")));

    publish("tool", &["0.1.0"]);
    assert_eq!(refresh(&world, FRESH_FOR).await.changed, 1);
    world.restart_functions();
    assert_eq!(world.version("github/acme/tool?type=container").await, "0.1.0");
    for invalid in ["shop//api", "shop/../api", "/api", ""] {
        assert_eq!(world.version(&format!("github/acme/{invalid}?type=container")).await, "not found");
    }
}

#[tokio::test]
async fn a_token_for_one_type_shows_no_package_of_another() {
    let upstream = Upstream::start();
    upstream.github_token(TOKEN, &["acme"]);
    let mut world = World::with_upstream(&upstream);
    for package_type in ["npm", "container"] {
        upstream.github_publish_as(package_type, ACME, "closed", Visibility::Private, &["1.0.0"]);
        upstream.github_publish_as(package_type, ACME, "open", Visibility::Public, &["1.0.0"]);
    }
    for scope in ["acme", "acme/closed", "npm:acme", "container:acme/closed"] {
        world.set_github_token(scope, TOKEN).await;
    }
    for (package, message) in [
        ("open?type=npm", "1.0.0"),
        ("closed?type=npm", "not found"),
        ("open?type=container", "not found"),
        ("closed?type=container", "1.0.0"),
    ] {
        assert_eq!(world.look_up(&format!("github/acme/{package}")).await, message, "{package}");
    }
    world.delete_github_token("container:acme/closed").await;
    refresh(&world, FRESH_FOR + Duration::from_mins(1)).await;
    world.restart_functions();
    assert_eq!(world.version("github/acme/closed?type=container").await, "not found");
}
