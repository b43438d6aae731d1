//! The simulation itself. `.ci/run simulation` runs many more seeds.

use tests::simulation::{Keep, Schedule, run};

#[test]
fn a_seed_determines_a_whole_simulation() {
    for seed in 0..4 {
        let schedule = Schedule::new(seed);
        let (first, second) = (run(&schedule, Keep::Lines), run(&schedule, Keep::Lines));
        assert_eq!(first.violation, None, "seed {seed}");
        assert_eq!(first.lines, second.lines, "seed {seed}");
    }
}
