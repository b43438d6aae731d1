//! What every simulation here is made of: events in the order of time, and chance that is the same each time.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// A moment or a period, in microseconds: whole numbers, so that every machine counts alike.
pub(crate) type Micros = u64;

/// Seconds as microseconds.
pub(crate) fn micros(seconds: f64) -> Micros {
    (seconds * 1e6).round() as Micros
}

/// Microseconds as seconds.
pub(crate) fn seconds(micros: Micros) -> f64 {
    micros as f64 / 1e6
}

/// What is going to happen: the next comes first, and of the same moment what was planned first.
pub(crate) struct Agenda<E> {
    pub(crate) now: Micros,
    planned: u64,
    events: BinaryHeap<Planned<E>>,
}

struct Planned<E> {
    at: Micros,
    number: u64,
    event: E,
}

impl<E> Agenda<E> {
    pub(crate) fn new() -> Self {
        Self { now: 0, planned: 0, events: BinaryHeap::new() }
    }

    /// Plans `event` for so long after now.
    pub(crate) fn plan(&mut self, after: Micros, event: E) {
        self.plan_at(self.now + after, event);
    }

    /// Plans `event` for a moment, which is now or later.
    pub(crate) fn plan_at(&mut self, at: Micros, event: E) {
        assert!(at >= self.now, "nothing happens in the past");
        self.planned += 1;
        self.events.push(Planned { at, number: self.planned, event });
    }

    /// Lets the time pass until the next event.
    pub(crate) fn next(&mut self) -> Option<E> {
        let Planned { at, event, .. } = self.events.pop()?;
        self.now = at;
        Some(event)
    }
}

impl<E> Ord for Planned<E> {
    /// The greatest leaves a heap first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl<E> PartialOrd for Planned<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> PartialEq for Planned<E> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<E> Eq for Planned<E> {}

/// Chance, the same at every run.
pub(crate) struct Chance(fastrand::Rng);

impl Chance {
    pub(crate) fn new() -> Self {
        Self(fastrand::Rng::with_seed(20_260_115))
    }

    /// How long it is until the next of events that come independently of each other (a Poisson process).
    pub(crate) fn until_next(&mut self, per_second: f64) -> Micros {
        micros(-(1.0 - self.0.f64()).ln() / per_second)
    }

    /// What a backoff with full jitter waits: anything up to `ceiling`.
    pub(crate) fn up_to(&mut self, ceiling: f64) -> f64 {
        ceiling * self.0.f64()
    }

    /// One of so many.
    pub(crate) fn one_of(&mut self, count: usize) -> usize {
        self.0.usize(..count)
    }
}

/// A limit of so many a second, with so many at once, as API Gateway and DynamoDB have them.
pub(crate) struct Limit {
    per_second: f64,
    at_once: f64,
    left: f64,
    filled_at: Micros,
}

impl Limit {
    pub(crate) fn new(per_second: f64, at_once: f64) -> Self {
        Self { per_second, at_once, left: at_once, filled_at: 0 }
    }

    /// Takes `count`, all or nothing.
    pub(crate) fn take(&mut self, now: Micros, count: f64) -> bool {
        let gained = seconds(now - self.filled_at) * self.per_second;
        self.left = (self.left + gained).min(self.at_once);
        self.filled_at = now;
        let is_there = self.left >= count;
        if is_there {
            self.left -= count;
        }
        is_there
    }
}

/// How long something took, many times.
#[derive(Default)]
pub(crate) struct Times(Vec<Micros>);

impl Times {
    pub(crate) fn note(&mut self, time: Micros) {
        self.0.push(time);
    }

    /// The shortest time that so many percent of them do not exceed, in seconds.
    pub(crate) fn percentile(&mut self, percent: usize) -> f64 {
        self.0.sort_unstable();
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).copied().map_or(0.0, seconds)
    }
}
