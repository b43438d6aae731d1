//! Packages that are kept up to date.

use super::{World, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_package_is_kept_up_to_date_until_it_is_removed() {
    let world = World::start().await;
    world.upstream.publish("Acme.Kit", &["1.0.0", "1.1.0-beta"]);
    assert_eq!(world.run(&["package", "list"]).await.ok(), "no packages are kept up to date\n");
    world.run(&["package", "refresh", "nuget/acme.kit"]).await.failed(3, "package add nuget/acme.kit");
    world.run(&["package", "remove", "nuget/acme.kit"]).await.failed(3, "not kept up to date");
    world.run(&["package", "add", "nuget/no.such"]).await.failed(3, "check its name");
    world.run(&["package", "add", "npm/acme"]).await.failed(2, "nuget/PACKAGE");

    let added = world.run(&["package", "add", "nuget/Acme.Kit"]).await.ok();
    assert_eq!(added, "nuget/acme.kit 1.0.0 was looked up, and is kept up to date\n");
    let again = world.run(&["package", "add", "nuget/Acme.Kit"]).await.ok();
    assert_eq!(again, "nuget/acme.kit 1.0.0 is already kept up to date\n");
    let listed = world.run(&["package", "list", "--json"]).await.json();
    assert_eq!(listed["packages"].as_array().unwrap().len(), 1);
    let package = &listed["packages"][0];
    assert_eq!(
        (&package["package"], &package["latest_prerelease"]),
        (&"nuget/acme.kit".into(), &"1.1.0-beta".into())
    );
    let listed = world.run(&["package", "list"]).await.ok();
    assert!(listed.starts_with("PACKAGE ") && listed.contains("nuget/acme.kit  1.0.0"), "{listed}");
    world.upstream.publish("Acme.Kit", &["1.0.0", "1.0.1", "1.1.0-beta"]);
    let refreshed = world.run(&["package", "refresh", "nuget/acme.kit"]).await.ok();
    assert_eq!(refreshed, "nuget/acme.kit 1.0.1 was looked up, and is kept up to date\n");

    let removed = world.run(&["package", "remove", "nuget/acme.kit"]).await;
    assert!(removed.stderr.contains("adds it again"), "{removed:?}");
    removed.ok();
    until(async || world.run(&["package", "list"]).await.ok().starts_with("no packages")).await;
    let badge = world.api().get("/badges/packages/nuget/acme.kit").await.unwrap();
    assert_eq!(badge.json()["message"], "1.0.1", "versions of public packages are kept");
    world.run(&["package", "add", "nuget/acme.kit"]).await.ok();
    assert_eq!(world.run(&["package", "list", "--json"]).await.json()["packages"][0]["scheduled"], true);

    // The package is published after it was not found.
    world.upstream.publish("No.Such", &["0.1.0"]);
    assert!(world.run(&["package", "add", "nuget/no.such"]).await.ok().contains("0.1.0"));
}
