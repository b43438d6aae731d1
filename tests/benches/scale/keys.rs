//! Many repositories: how many posts are refused because their key would have to be read, and the budget for such
//! reads is spent (`ingest-api/src/repository_keys.rs`).

use std::num::NonZeroUsize;

use badgesmith_domain::timestamp::Timestamp;
use badgesmith_domain::token_bucket::TokenBucket;
use lru::LruCache;

use crate::agenda::{Agenda, Chance, Micros, micros, seconds};
use crate::settings::{Settings, estimates};

/// How long functions have run before it counts.
const WARM_UP: f64 = 600.0;

/// Posts, spread evenly over repositories.
pub(crate) struct Story {
    pub(crate) repositories: usize,
    pub(crate) posts_per_second: f64,
    /// For how long it counts.
    pub(crate) seconds: f64,
}

/// What came of it.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) posts: usize,
    pub(crate) reads: usize,
    pub(crate) refused: usize,
    pub(crate) functions: usize,
}

enum Event {
    Post,
    Free(usize),
}

/// One function that runs, and the keys that it remembers, with when it has read them.
struct Function {
    keys: LruCache<usize, Micros>,
    unknown: TokenBucket,
    known: TokenBucket,
}

impl Function {
    fn new(settings: &Settings) -> Self {
        let bucket = TokenBucket::new(settings.lookups_at_once, settings.lookups_per_second);
        let kept = NonZeroUsize::new(settings.keys_kept).expect("it keeps some");
        Self { keys: LruCache::new(kept), unknown: bucket.clone(), known: bucket }
    }
}

/// Tells the story.
pub(crate) fn tell(story: &Story, settings: &Settings) -> Outcome {
    let mut outcome = Outcome::default();
    let mut agenda = Agenda::new();
    let mut chance = Chance::new();
    let mut functions: Vec<Function> = Vec::new();
    let mut idle: Vec<usize> = Vec::new();
    let end = micros(WARM_UP + story.seconds);
    agenda.plan(0, Event::Post);
    while let Some(event) = agenda.next() {
        if let Event::Free(index) = event {
            idle.push(index);
            continue;
        }
        let at = agenda.now + chance.until_next(story.posts_per_second);
        if at < end {
            agenda.plan_at(at, Event::Post);
        }
        if idle.is_empty() {
            functions.push(Function::new(settings));
            idle.push(functions.len() - 1);
        }
        let index = idle.swap_remove(chance.one_of(idle.len()));
        let Function { keys, unknown, known } = &mut functions[index];
        let repository = chance.one_of(story.repositories);
        let now = Timestamp::from_unix_milliseconds((agenda.now / 1000) as i64);
        let mut time = estimates::POST;
        let read_at = keys.get(&repository).copied();
        let is_fresh = read_at.is_some_and(|at| seconds(agenda.now - at) < settings.key_lifetime);
        let budget = if read_at.is_some() { known } else { unknown };
        let is_counted = usize::from(agenda.now >= micros(WARM_UP));
        outcome.posts += is_counted;
        if !is_fresh && budget.take(now) {
            outcome.reads += is_counted;
            keys.put(repository, agenda.now);
            time += estimates::CALL;
        } else if !is_fresh {
            outcome.refused += is_counted;
            time = estimates::CALL;
        }
        agenda.plan(micros(time), Event::Free(index));
    }
    outcome.functions = functions.len();
    outcome
}
