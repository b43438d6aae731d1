//! The simulation is deterministic. `.ci/run simulation` runs many more seeds.

use tests::simulation::{Keep, Schedule, run};

#[test]
fn a_seed_determines_a_whole_simulation() {
    // The sockets of upstreams take their own time.
    let schedule = (0..100).map(Schedule::new).find(|schedule| !schedule.has_upstreams).unwrap();
    let (first, second) = (run(&schedule, Keep::Lines), run(&schedule, Keep::Lines));
    assert_eq!(first.violation, None);
    assert!(first.acknowledged > 0);
    assert_eq!(first.lines, second.lines);
}
