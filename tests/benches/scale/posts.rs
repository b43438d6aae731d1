//! The same repository, before the queue: what API Gateway and Lambda let in, and what becomes of those who post
//! beside it. All clients are `badgesmith submit`, which tries again (`cli/src/submit/send.rs`).

use crate::agenda::{Agenda, Chance, Limit, Times, micros, seconds};
use crate::settings::{Settings, estimates};

/// What is posted, and what is let in.
#[derive(Clone)]
pub(crate) struct Story {
    pub(crate) hot_per_second: f64,
    pub(crate) others_per_second: f64,
    pub(crate) seconds: f64,
    /// `PostsPerSecond`
    pub(crate) posts_per_second: f64,
    /// How many of ingest-api may run at once.
    pub(crate) concurrency: usize,
}

/// What became of the posts of one repository, or of all others.
#[derive(Default)]
pub(crate) struct Fate {
    pub(crate) posts: usize,
    pub(crate) accepted: usize,
    pub(crate) at_once: usize,
    pub(crate) gave_up: usize,
    /// From the first try to the 202, of those that were accepted.
    pub(crate) times: Times,
}

/// What came of it.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) hot: Fate,
    pub(crate) others: Fate,
    /// Tries that API Gateway refused with 429, and those that Lambda had no function for, 503.
    pub(crate) throttled: usize,
    pub(crate) no_function: usize,
    pub(crate) functions_max: usize,
}

enum Event {
    Begin { is_hot: bool },
    Try { is_hot: bool, began: u64, backoff: f64 },
    Free,
}

/// Tells the story.
pub(crate) fn tell(story: &Story, settings: &Settings) -> Outcome {
    let mut outcome = Outcome::default();
    let mut agenda = Agenda::new();
    let mut chance = Chance::new();
    let mut limit = Limit::new(story.posts_per_second, story.posts_per_second);
    let (mut busy, mut functions) = (0, 0);
    agenda.plan(0, Event::Begin { is_hot: true });
    agenda.plan(0, Event::Begin { is_hot: false });
    while let Some(event) = agenda.next() {
        let (is_hot, began, backoff) = match event {
            Event::Free => {
                busy -= 1;
                continue;
            }
            Event::Try { is_hot, began, backoff } => (is_hot, began, backoff),
            Event::Begin { is_hot } => {
                let rate = if is_hot { story.hot_per_second } else { story.others_per_second };
                let at = agenda.now + chance.until_next(rate);
                if at < micros(story.seconds) {
                    agenda.plan_at(at, Event::Begin { is_hot });
                }
                (is_hot, agenda.now, settings.client_backoff)
            }
        };
        let fate = if is_hot { &mut outcome.hot } else { &mut outcome.others };
        let is_first = began == agenda.now;
        fate.posts += usize::from(is_first);
        if !limit.take(agenda.now, 1.0) {
            outcome.throttled += 1;
        } else if busy == functions && functions == story.concurrency {
            outcome.no_function += 1;
        } else {
            let start = if busy == functions { estimates::COLD_START } else { 0.0 };
            functions = functions.max(busy + 1);
            busy += 1;
            agenda.plan(micros(start + estimates::POST), Event::Free);
            fate.accepted += 1;
            fate.at_once += usize::from(is_first);
            fate.times.note(agenda.now - began + micros(start + estimates::POST));
            continue;
        }
        let wait = backoff * (0.5 + chance.up_to(0.5));
        if seconds(agenda.now - began) + wait > settings.client_patience {
            fate.gave_up += 1;
        } else {
            let backoff = (backoff * 2.0).min(settings.client_backoff_max);
            agenda.plan(micros(wait), Event::Try { is_hot, began, backoff });
        }
    }
    outcome.functions_max = functions;
    outcome
}
