//! Badges of packages: asked for, looked up, kept warm, cached.

use std::time::Duration;

use tests::upstream::Upstream;
use tests::world::World;

#[tokio::test]
async fn ask_and_it_is_there() {
    let upstream = Upstream::start();
    upstream.publish("Newtonsoft.Json", &["12.0.3", "13.0.3", "14.0.0-beta.1"]);
    let world = World::with_upstream(&upstream);
    assert_eq!(world.version("nuget/Newtonsoft.Json").await, "pending");
    assert_eq!(upstream.take_requests().len(), 0, "a read asks no upstream");
    assert_eq!(world.requested(), 1);
    world.drain_requests().await;
    assert_eq!(world.version("nuget/Newtonsoft.Json").await, "13.0.3");
    assert_eq!(world.version("nuget/newtonsoft.json?prerelease=true").await, "14.0.0-beta.1");
    assert_eq!(world.version("nuget/newtonsoft.json?version=[12.0,13.0)").await, "12.0.3");
    world.clock.advance(Duration::from_mins(20));
    let report = world.refresh_due().await;
    assert_eq!((report.unchanged, report.changed), (1, 0), "{report:?}");
}
