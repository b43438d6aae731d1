//! Reduces a schedule to fewer events that break the same promise.

use super::run::run;
use super::schedule::Schedule;
use super::trace::Keep;

/// Leaves out groups of events, from large to single ones, as long as the same promise stays broken.
pub fn shrink(schedule: &Schedule) -> Schedule {
    let promise =
        |schedule: &Schedule| run(schedule, Keep::Nothing).violation.map(|violation| violation.promise);
    let broken = promise(schedule);
    let mut smallest = schedule.clone();
    let mut group = smallest.events.len().div_ceil(2);
    loop {
        let mut start = 0;
        while start < smallest.events.len() {
            let mut fewer = smallest.clone();
            fewer.events.drain(start..(start + group).min(smallest.events.len()));
            if promise(&fewer) == broken {
                smallest = fewer;
            } else {
                start += group;
            }
        }
        if group == 1 {
            return smallest;
        }
        group = group.div_ceil(2);
    }
}
