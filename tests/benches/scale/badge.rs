//! One badge is read 10,000 times a second through the CDN: what reaches badge-api and the table, and what readers see
//! while DynamoDB fails.
//!
//! Modelled are the layers of the CDN with what `Cache-Control` lets them do (RFC 9111, RFC 5861), and badge-api with
//! the memory of each of its functions. While a copy is fresh, readers change nothing, and when the next one after that
//! comes does not depend on when the last one came: so only those are looked at that find a copy which is not fresh.

use crate::agenda::{Agenda, Chance, Limit, Micros, Times, micros, seconds};
use crate::settings::{CONCURRENCY, Settings, estimates};

/// Edge locations that readers come to, all alike, and regional caches behind them. CloudFront has some 700 of the one
/// and 13 of the other; more of them make more work for badge-api:
/// <https://aws.amazon.com/cloudfront/features/>
pub(crate) const EDGES: usize = 700;
pub(crate) const REGIONS: usize = 13;

/// What is between a reader and the API.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Layers {
    /// Edge locations, then regional caches, as CloudFront does by itself.
    EdgesAndRegions,
    /// And one cache more, in front of the API.
    OriginShield,
    /// Edge locations alone.
    Edges,
}

/// What happens.
#[derive(Clone)]
pub(crate) struct Story {
    pub(crate) reads_per_second: f64,
    pub(crate) seconds: f64,
    pub(crate) layers: Layers,
    /// Whether requests for the same badge wait for the first one.
    pub(crate) is_collapsing: bool,
    /// Other badges, read past the CDN, each of them another one.
    pub(crate) others_per_second: f64,
    /// From when on DynamoDB does not answer, and for how long.
    pub(crate) outage_at: f64,
    pub(crate) outage: f64,
    /// Whether badge-api answers 503 where it has to say "unavailable" (proposed), and not 200.
    pub(crate) says_503: bool,
}

impl Story {
    /// 10,000 reads a second, as deployed, with nothing else to do and nothing amiss.
    pub(crate) fn new(seconds: f64) -> Self {
        Self {
            reads_per_second: 10_000.0,
            seconds,
            layers: Layers::EdgesAndRegions,
            is_collapsing: true,
            others_per_second: 0.0,
            outage_at: seconds,
            outage: 0.0,
            says_503: false,
        }
    }
}

/// What came of it.
#[derive(Default)]
pub(crate) struct Outcome {
    /// Requests for the badge that reached the API: in all, in the first second, and in the worst second after that.
    pub(crate) requests: usize,
    pub(crate) first_second: usize,
    pub(crate) worst_second: usize,
    /// Those that it refused with 429, and those that Lambda had no function for.
    pub(crate) throttled: usize,
    pub(crate) no_function: usize,
    /// Functions that ran at once, for all badges; before the outage, and in all.
    pub(crate) functions_before: usize,
    pub(crate) functions_max: usize,
    /// Reads of the table for this badge.
    pub(crate) table_reads: usize,
    /// The oldest that a badge was when it was shown, counted from when it was read from the table, in seconds.
    pub(crate) oldest: f64,
    /// Of the reads from the beginning of the outage on, those that showed "unavailable", in percent.
    pub(crate) unavailable_percent: f64,
    /// Reads that were answered with 429 or 5xx.
    pub(crate) failed_reads: usize,
    /// How long those readers waited who found no copy.
    pub(crate) waits: Times,
}

/// What a layer answers.
#[derive(Clone, Copy)]
enum Answer {
    /// The badge, and when it was read from the table.
    Badge { of: Micros },
    /// A badge that says "unavailable", with status 200.
    Unavailable,
    /// 429 or 5xx.
    Failure,
}

/// Who asked.
enum Asker {
    Reader {
        since: Micros,
    },
    /// A cache, on behalf of others, or of nobody but itself.
    Cache {
        cache: usize,
        askers: Vec<Self>,
    },
}

/// What a cache holds.
#[derive(Clone, Copy)]
struct Kept {
    answer: Answer,
    since: Micros,
    fresh_until: Micros,
    stale_until: Micros,
}

/// One cache of the CDN, with the one that it asks; none asks the API.
struct Cache {
    asks: Option<usize>,
    kept: Option<Kept>,
    is_asking: bool,
    waiting: Vec<Asker>,
}

enum Event {
    /// A reader comes to an edge location.
    Reader(usize),
    /// The request of a cache arrives where it was sent to.
    Ask { cache: usize, askers: Vec<Asker> },
    /// The answer to it arrives.
    Answer { cache: usize, askers: Vec<Asker>, answer: Answer },
    /// A reader comes for another badge.
    Other,
    /// A function has done its work.
    Free(usize),
}

struct Cdn<'a> {
    story: &'a Story,
    settings: &'a Settings,
    agenda: Agenda<Event>,
    chance: Chance,
    caches: Vec<Cache>,
    limit: Limit,
    /// What each function remembers of the badge: when it has read it.
    functions: Vec<Option<Micros>>,
    idle: Vec<usize>,
    per_second: Vec<usize>,
    /// For how long an edge location has shown "unavailable", summed up over all.
    unavailable: Micros,
    outcome: Outcome,
}

/// Tells the story.
pub(crate) fn tell(story: &Story, settings: &Settings) -> Outcome {
    let cache = |asks| Cache { asks, kept: None, is_asking: false, waiting: Vec::new() };
    let region = |edge| (story.layers != Layers::Edges).then_some(EDGES + edge % REGIONS);
    let mut caches: Vec<_> = (0..EDGES).map(|edge| cache(region(edge))).collect();
    let shield = (story.layers == Layers::OriginShield).then_some(EDGES + REGIONS);
    caches.extend((0..REGIONS).map(|_| cache(shield)));
    caches.push(cache(None));
    let mut cdn = Cdn {
        story,
        settings,
        agenda: Agenda::new(),
        chance: Chance::new(),
        caches,
        limit: Limit::new(settings.requests_per_second, settings.requests_per_second),
        functions: Vec::new(),
        idle: Vec::new(),
        per_second: vec![0; story.seconds.ceil() as usize + 60],
        unavailable: 0,
        outcome: Outcome::default(),
    };
    for edge in 0..EDGES {
        cdn.plan_reader(edge);
    }
    if story.others_per_second > 0.0 {
        cdn.agenda.plan(0, Event::Other);
    }
    while let Some(event) = cdn.agenda.next() {
        cdn.on(event);
    }
    cdn.sum_up()
}

impl Cdn<'_> {
    /// Plans the next reader of an edge location who does not find a fresh copy; none when the story is over.
    fn plan_reader(&mut self, edge: usize) {
        let fresh_until = self.caches[edge].kept.map_or(0, |kept| kept.fresh_until);
        let next = self.chance.until_next(self.story.reads_per_second / EDGES as f64);
        let at = self.agenda.now.max(fresh_until) + next;
        if at < micros(self.story.seconds) {
            self.agenda.plan_at(at, Event::Reader(edge));
        }
    }

    fn is_out(&self) -> bool {
        let Story { outage_at, outage, .. } = self.story;
        (*outage_at..outage_at + outage).contains(&seconds(self.agenda.now))
    }

    fn on(&mut self, event: Event) {
        match event {
            Event::Reader(edge) => {
                self.ask(edge, Asker::Reader { since: self.agenda.now });
                self.plan_reader(edge);
            }
            Event::Ask { cache, askers } => match self.caches[cache].asks {
                Some(behind) => self.ask(behind, Asker::Cache { cache, askers }),
                None => self.ask_api(cache, askers),
            },
            Event::Answer { cache, askers, answer } => self.keep(cache, askers, answer),
            Event::Other => {
                let at = self.agenda.now + self.chance.until_next(self.story.others_per_second);
                if at < micros(self.story.seconds) {
                    self.agenda.plan_at(at, Event::Other);
                }
                if let Some((function, start)) = self.function() {
                    let time = if self.is_out() { self.settings.badge_patience } else { estimates::BADGE };
                    self.agenda.plan(micros(start + time), Event::Free(function));
                }
            }
            Event::Free(function) => self.idle.push(function),
        }
    }

    /// Asks a cache for the badge.
    fn ask(&mut self, index: usize, asker: Asker) {
        let now = self.agenda.now;
        let kept = self.caches[index].kept.filter(|kept| now < kept.stale_until);
        let mut askers = Vec::new();
        match kept {
            Some(kept) => {
                self.answer(asker, kept.answer);
                if now < kept.fresh_until {
                    return;
                }
            }
            None => askers.push(asker),
        }
        let cache = &mut self.caches[index];
        if self.story.is_collapsing && cache.is_asking {
            cache.waiting.extend(askers);
            return;
        }
        cache.is_asking = true;
        self.agenda.plan(micros(estimates::HOP), Event::Ask { cache: index, askers });
    }

    fn answer(&mut self, asker: Asker, answer: Answer) {
        match asker {
            Asker::Reader { since } => {
                let now = self.agenda.now;
                self.outcome.failed_reads += usize::from(matches!(answer, Answer::Failure));
                if now > since {
                    self.outcome.waits.note(now - since);
                }
                if let Answer::Badge { of } = answer {
                    self.outcome.oldest = self.outcome.oldest.max(seconds(now.saturating_sub(of)));
                }
            }
            Asker::Cache { cache, askers } => {
                self.agenda.plan(micros(estimates::HOP), Event::Answer { cache, askers, answer });
            }
        }
    }

    /// Keeps an answer as long as it says, and passes it on. A failure is not kept, and an old copy is better.
    fn keep(&mut self, index: usize, askers: Vec<Asker>, answer: Answer) {
        let now = self.agenda.now;
        let fresh = |period| now + micros(period);
        let old = self.caches[index].kept;
        let kept = match answer {
            Answer::Failure => old,
            Answer::Unavailable => {
                let until = fresh(self.settings.unavailable_fresh);
                Some(Kept { answer, since: now, fresh_until: until, stale_until: until })
            }
            // Anew in each layer: the older that readers may see. CloudFront does not say whether it counts `Age`.
            Answer::Badge { .. } => {
                let stale_until = fresh(self.settings.fresh + self.settings.stale_while_revalidate);
                Some(Kept { answer, since: now, fresh_until: fresh(self.settings.fresh), stale_until })
            }
        };
        if !matches!(answer, Answer::Failure) && index < EDGES {
            self.account_for(old);
        }
        let waiting = std::mem::take(&mut self.caches[index].waiting);
        self.caches[index].kept = kept;
        self.caches[index].is_asking = false;
        let answer = kept.map_or(answer, |kept| kept.answer);
        for asker in askers.into_iter().chain(waiting) {
            self.answer(asker, answer);
        }
    }

    /// What was shown of a copy that is no more.
    fn account_for(&mut self, old: Option<Kept>) {
        let Some(Kept { answer, since, fresh_until, stale_until }) = old else { return };
        let now = self.agenda.now;
        match answer {
            Answer::Unavailable => self.unavailable += now.min(fresh_until) - since,
            Answer::Badge { of } => {
                let shown = seconds(now.min(stale_until).saturating_sub(of));
                self.outcome.oldest = self.outcome.oldest.max(shown);
            }
            Answer::Failure => {}
        }
    }

    /// Asks badge-api, through API Gateway.
    fn ask_api(&mut self, cache: usize, askers: Vec<Asker>) {
        let now = self.agenda.now;
        self.outcome.requests += 1;
        self.per_second[seconds(now) as usize] += 1;
        let hop = micros(estimates::HOP);
        if !self.limit.take(now, 1.0) {
            self.outcome.throttled += 1;
            return self.agenda.plan(hop, Event::Answer { cache, askers, answer: Answer::Failure });
        }
        let Some((function, start)) = self.function() else {
            self.outcome.no_function += 1;
            return self.agenda.plan(hop, Event::Answer { cache, askers, answer: Answer::Failure });
        };
        let begin = now + micros(start);
        let is_recent = |read: Micros| seconds(begin.saturating_sub(read)) < self.settings.memory;
        let badge = |of, time| (Answer::Badge { of }, time);
        let (answer, time) = match self.functions[function] {
            Some(read) if is_recent(read) => badge(read, estimates::BADGE_FROM_MEMORY),
            Some(read) if self.is_out() => badge(read, self.settings.badge_patience),
            None if self.is_out() => {
                let answer = if self.story.says_503 { Answer::Failure } else { Answer::Unavailable };
                (answer, self.settings.badge_patience)
            }
            _ => {
                self.outcome.table_reads += 1;
                self.functions[function] = Some(begin);
                badge(begin, estimates::BADGE)
            }
        };
        let done = micros(start + time);
        self.agenda.plan(done, Event::Free(function));
        self.agenda.plan(done + hop, Event::Answer { cache, askers, answer });
    }

    /// A function that has nothing to do, and how long it takes to start if it is a new one.
    fn function(&mut self) -> Option<(usize, f64)> {
        if !self.idle.is_empty() {
            let index = self.chance.one_of(self.idle.len());
            return Some((self.idle.swap_remove(index), 0.0));
        }
        if self.functions.len() == CONCURRENCY {
            return None;
        }
        self.functions.push(None);
        if seconds(self.agenda.now) < self.story.outage_at {
            self.outcome.functions_before = self.functions.len();
        }
        Some((self.functions.len() - 1, estimates::COLD_START))
    }

    fn sum_up(mut self) -> Outcome {
        for edge in 0..EDGES {
            self.account_for(self.caches[edge].kept);
        }
        let shown = seconds(self.unavailable) / EDGES as f64;
        let watched = self.story.seconds - self.story.outage_at;
        let [first, later @ ..] = self.per_second.as_slice() else { unreachable!("a story has seconds") };
        Outcome {
            first_second: *first,
            worst_second: later.iter().copied().max().unwrap_or_default(),
            functions_max: self.functions.len(),
            unavailable_percent: if watched > 0.0 { 100.0 * shown / watched } else { 0.0 },
            ..self.outcome
        }
    }
}
