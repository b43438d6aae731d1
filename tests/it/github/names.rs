//! The spelling of names, if GitHub knew them only as they were pushed.

use std::time::Duration;

use tests::upstream::{Account, UpstreamFault, Visibility};
use tests::world::FRESH_FOR;

use super::{ACME, paths, refresh, world};

#[tokio::test]
async fn a_name_is_looked_up_as_written_then_in_lower_case_then_as_listed() {
    let (upstream, mut world) = world().await;
    upstream.github_match_names_exactly();
    for (name, version) in [("Big.Tool", "1.0.0"), ("small.tool", "2.0.0"), ("MiXed.Tool", "3.0.0")] {
        upstream.github_publish(ACME, name, Visibility::Public, &[version]);
    }
    upstream.github_publish(Account::User("jane"), "Her.Tool", Visibility::Public, &["4.0.0"]);
    world.set_github_token("jane", super::TOKEN).await;
    for (written, version) in [
        ("acme/Big.Tool", "1.0.0"),
        ("acme/Small.Tool", "2.0.0"),
        ("acme/mixed.tool", "3.0.0"),
        ("jane/her.TOOL", "4.0.0"),
        ("acme/No.Tool", "not found"),
    ] {
        assert_eq!(world.look_up(&format!("github/{written}")).await, version, "{written}");
    }
    upstream.take_requests();
    assert_eq!(refresh(&world, FRESH_FOR).await.unchanged, 4);
    let requests = upstream.take_requests();
    assert_eq!(requests.len(), 8, "each is requested as it was found: {:?}", paths(&requests));
    assert!(requests.iter().all(|request| request.status == Some(304)));
}

#[tokio::test]
async fn a_name_is_looked_up_as_written_even_if_its_first_lookup_comes_later() {
    let (upstream, mut world) = world().await;
    upstream.github_match_names_exactly();
    for name in ["Failing.Tool", "Waiting.Tool"] {
        upstream.github_publish(ACME, name, Visibility::Public, &["1.0.0"]);
    }
    upstream.plan_fault("Failing.Tool", UpstreamFault::Garbage, 1);
    assert_eq!(world.look_up("github/acme/Failing.Tool").await, "unavailable");
    for number in 0..30 {
        world.version(&format!("github/acme/invented.{number}")).await;
    }
    world.version("github/acme/Waiting.Tool").await;
    world.drain_requests().await;
    for name in ["failing.tool", "waiting.tool"] {
        assert_ne!(world.version(&format!("github/acme/{name}")).await, "1.0.0");
    }
    upstream.take_requests();
    assert_eq!(refresh(&world, Duration::from_mins(5)).await.changed, 2);
    let requests = upstream.take_requests();
    assert_eq!(requests.len(), 4, "each package and its versions: {:?}", paths(&requests));
    assert_eq!(world.version("github/acme/failing.tool").await, "1.0.0");
    assert_eq!(world.version("github/acme/waiting.tool").await, "1.0.0");
}

#[tokio::test]
async fn invented_names_read_the_list_of_an_organization_once() {
    let (upstream, world) = world().await;
    upstream.github_publish(ACME, "Kit", Visibility::Public, &["1.0.0"]);
    for number in 0..20 {
        world.version(&format!("github/acme/invented.{number}")).await;
    }
    world.drain_requests().await;
    assert_eq!(world.version("github/acme/invented.7").await, "not found");
    let requests = upstream.take_requests();
    let lists = requests.iter().filter(|request| request.path.contains("package_type=")).count();
    assert_eq!(lists, 2, "as those of an organization, and of a user");
    for number in 20..25 {
        world.version(&format!("github/acme/invented.{number}")).await;
    }
    world.drain_requests().await;
    let requests = upstream.take_requests();
    assert_eq!(requests.len(), 2 * 5, "{:?}", paths(&requests));
}
