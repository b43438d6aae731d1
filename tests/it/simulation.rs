//! The simulation is deterministic. `.ci/run simulation` runs many more seeds.

use tests::simulation::{Keep, Schedule, run};

#[test]
fn a_seed_determines_a_whole_simulation() {
    for schedule in (0..6).map(Schedule::new) {
        let (first, second) = (run(&schedule, Keep::Lines), run(&schedule, Keep::Lines));
        assert_eq!(first.violation, None, "seed {}", schedule.seed);
        assert!(first.acknowledged > 0, "seed {}", schedule.seed);
        // The sockets of upstreams take their own time.
        if !schedule.has_upstreams {
            assert_eq!(first.lines, second.lines, "seed {}", schedule.seed);
        }
    }
}
