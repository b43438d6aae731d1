//! The simulation is deterministic. `.ci/run simulation` runs many more seeds.

use tests::simulation::{Keep, Schedule, run};

#[test]
fn a_seed_determines_a_whole_simulation() {
    // The sockets of upstreams take their own time.
    for schedule in (0..).map(Schedule::new).filter(|schedule| !schedule.has_upstreams).take(2) {
        let (first, second) = (run(&schedule, Keep::Lines), run(&schedule, Keep::Lines));
        assert_eq!(first.violation, None, "seed {}", schedule.seed);
        assert!(first.acknowledged > 0, "seed {}", schedule.seed);
        assert_eq!(first.lines, second.lines, "seed {}", schedule.seed);
    }
}
