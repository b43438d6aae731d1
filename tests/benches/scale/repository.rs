//! One repository posts more results than its partition of the table takes, and others post beside it: what waits in
//! the queue, for how long, what is tried how often, and what becomes of the others.
//!
//! Modelled are the queue (hidden messages, receives, dead letters, what may be in flight), Lambda's pollers, what the
//! processor does with a batch (`processor/src/app.rs`, `shared/src/dynamodb/results.rs`), the SDK's retries, and the
//! partition. Left out: that a queue hands out messages in a looser order than they came.

use std::collections::VecDeque;
use std::ops::Range;

use crate::agenda::{Agenda, Chance, Limit, Micros, Times, micros, seconds};
use crate::settings::{
    BATCHES_AT_FIRST, IN_FLIGHT_MAX, MORE_BATCHES_PER_SECOND, NOISY_MIN, NOISY_SHARE, PARTITION_WRITES,
    SDK_RETRY_COST, SDK_TOKENS, Settings, estimates,
};

/// What happens to the pipeline.
#[derive(Clone)]
pub(crate) struct Story {
    /// Results that the one repository posts in a second, and all others together.
    pub(crate) hot_per_second: f64,
    pub(crate) others_per_second: f64,
    /// For how long.
    pub(crate) seconds: f64,
    /// What an item of the one repository costs, in the table and again in the index.
    pub(crate) write_units: f64,
    /// When DynamoDB refuses every write.
    pub(crate) outage: Range<f64>,
    /// Whether messages name their repository as their group, which makes the queue a fair one.
    pub(crate) is_fair: bool,
    pub(crate) batches_at_once: usize,
}

/// What came of it.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) sent: usize,
    pub(crate) stored: usize,
    pub(crate) dead: usize,
    /// The most that was there at once.
    pub(crate) waiting_max: usize,
    pub(crate) in_flight_max: usize,
    pub(crate) receives: usize,
    pub(crate) failed_receives: usize,
    /// The most that one message was received, if it was stored in the end.
    pub(crate) receives_most: u32,
    /// From the last post until the queue was empty, in seconds.
    pub(crate) drained_after: f64,
    /// From the 202 until it is stored.
    pub(crate) hot: Times,
    pub(crate) others: Times,
    /// The longest that any message was in the queue, in seconds.
    pub(crate) oldest: f64,
}

enum Event {
    HotPost,
    OtherPost,
    Call(usize),
    Done(usize),
    Visible(Vec<usize>),
    Poll,
}

struct Message {
    sent: Micros,
    is_hot: bool,
    receives: u32,
}

/// One function at work, and the batch that it has.
#[derive(Default)]
struct Worker {
    received: Micros,
    batch: Vec<usize>,
    remaining: Vec<usize>,
    round: u32,
    attempt: u32,
    tokens: u32,
    has_stored: bool,
}

/// The pipeline from the queue to the table.
struct Pipeline<'a> {
    story: &'a Story,
    settings: &'a Settings,
    agenda: Agenda<Event>,
    chance: Chance,
    messages: Vec<Message>,
    /// Visible messages, of the one repository and of others, with the moment since when they are.
    visible: [VecDeque<(Micros, usize)>; 2],
    in_flight: usize,
    hot_in_flight: usize,
    workers: Vec<Worker>,
    idle: Vec<usize>,
    partition: Limit,
    outcome: Outcome,
}

/// Tells the story.
pub(crate) fn tell(story: &Story, settings: &Settings) -> Outcome {
    let worker = || Worker { tokens: SDK_TOKENS, ..Worker::default() };
    let mut pipeline = Pipeline {
        story,
        settings,
        agenda: Agenda::new(),
        chance: Chance::new(),
        messages: Vec::new(),
        visible: [VecDeque::new(), VecDeque::new()],
        in_flight: 0,
        hot_in_flight: 0,
        workers: (0..story.batches_at_once).map(|_| worker()).collect(),
        idle: (0..story.batches_at_once).rev().collect(),
        // What it has not taken for up to a second it may take at once; DynamoDB promises no more.
        partition: Limit::new(PARTITION_WRITES, PARTITION_WRITES),
        outcome: Outcome::default(),
    };
    if story.hot_per_second > 0.0 {
        pipeline.agenda.plan(0, Event::HotPost);
    }
    pipeline.agenda.plan(0, Event::OtherPost);
    // Lambda adds pollers until it may have no more; then their number does not change.
    let growing = (story.batches_at_once as f64 / MORE_BATCHES_PER_SECOND).ceil() as u64;
    for second in 1..=growing {
        pipeline.agenda.plan(second * 1_000_000, Event::Poll);
    }
    let mut emptied = 0;
    while let Some(event) = pipeline.agenda.next() {
        pipeline.on(event);
        pipeline.poll();
        if pipeline.in_flight > 0 {
            emptied = pipeline.agenda.now;
        }
    }
    let mut outcome = pipeline.outcome;
    outcome.sent = pipeline.messages.len();
    outcome.drained_after = (seconds(emptied) - story.seconds).max(0.0);
    outcome
}

impl Pipeline<'_> {
    fn on(&mut self, event: Event) {
        match event {
            Event::HotPost => self.post(true),
            Event::OtherPost => self.post(false),
            Event::Call(worker) => self.call(worker),
            Event::Done(worker) => self.done(worker),
            Event::Visible(messages) => {
                for message in messages {
                    self.leave_flight(message);
                    self.show(message);
                }
            }
            Event::Poll => {}
        }
    }

    /// A result is accepted, and the next one planned.
    fn post(&mut self, is_hot: bool) {
        self.messages.push(Message { sent: self.agenda.now, is_hot, receives: 0 });
        self.show(self.messages.len() - 1);
        let story = self.story;
        let (rate, next) = if is_hot {
            (story.hot_per_second, Event::HotPost)
        } else {
            (story.others_per_second, Event::OtherPost)
        };
        let at = self.agenda.now + self.chance.until_next(rate);
        if at < micros(story.seconds) {
            self.agenda.plan_at(at, next);
        }
    }

    fn show(&mut self, message: usize) {
        let queue = usize::from(!self.messages[message].is_hot);
        self.visible[queue].push_back((self.agenda.now, message));
        let waiting = self.visible.iter().map(VecDeque::len).sum();
        self.outcome.waiting_max = self.outcome.waiting_max.max(waiting);
    }

    fn leave_flight(&mut self, message: usize) {
        self.in_flight -= 1;
        self.hot_in_flight -= usize::from(self.messages[message].is_hot);
    }

    /// Hands batches to functions that have nothing to do.
    fn poll(&mut self) {
        let running = BATCHES_AT_FIRST + MORE_BATCHES_PER_SECOND * seconds(self.agenda.now).floor();
        let running = (running as usize).min(self.story.batches_at_once);
        while self.story.batches_at_once - self.idle.len() < running {
            let batch = self.receive();
            if batch.is_empty() {
                return;
            }
            let index = self.idle.pop().expect("fewer are running than there are");
            let now = self.agenda.now;
            let tokens = self.workers[index].tokens;
            self.workers[index] =
                Worker { received: now, remaining: batch.clone(), batch, tokens, ..Worker::default() };
            self.agenda.plan(micros(estimates::POLL), Event::Call(index));
        }
    }

    /// Takes a batch from the queue; what was received too often becomes a dead letter instead.
    fn receive(&mut self) -> Vec<usize> {
        let mut batch = Vec::new();
        while batch.len() < self.settings.batch_size && self.in_flight < IN_FLIGHT_MAX {
            let Some(message) = self.next_message() else { break };
            let Message { sent, is_hot, receives } = &mut self.messages[message];
            self.outcome.oldest = self.outcome.oldest.max(seconds(self.agenda.now - *sent));
            if *receives == self.settings.receives_max {
                self.outcome.dead += 1;
                continue;
            }
            *receives += 1;
            self.in_flight += 1;
            self.hot_in_flight += usize::from(*is_hot);
            self.outcome.receives += 1;
            self.outcome.in_flight_max = self.outcome.in_flight_max.max(self.in_flight);
            batch.push(message);
        }
        batch
    }

    /// The message that was visible first; on a fair queue, those of others before those of a noisy repository.
    fn next_message(&mut self) -> Option<usize> {
        let is_noisy = self.hot_in_flight >= NOISY_MIN
            && self.hot_in_flight as f64 > NOISY_SHARE * self.in_flight as f64;
        let [hot, others] = &self.visible;
        let queue = match (hot.front(), others.front()) {
            (Some(_), None) => 0,
            (Some((hot, _)), Some((other, _))) if !(self.story.is_fair && is_noisy) => {
                usize::from(other < hot)
            }
            (_, Some(_)) => 1,
            (None, None) => return None,
        };
        self.visible[queue].pop_front().map(|(_, message)| message)
    }

    /// One `BatchWriteItem`: what the partition takes is stored.
    fn call(&mut self, index: usize) {
        let now = self.agenda.now;
        let is_out = self.story.outage.contains(&seconds(now));
        let remaining = std::mem::take(&mut self.workers[index].remaining);
        let asked = remaining.len();
        let mut refused = Vec::new();
        for message in remaining {
            let Message { sent, is_hot, receives } = &self.messages[message];
            // Each of the others has a partition of its own.
            if is_out || *is_hot && !self.partition.take(now, self.story.write_units) {
                refused.push(message);
                continue;
            }
            let time = now + micros(estimates::CALL) - sent;
            let times = if *is_hot { &mut self.outcome.hot } else { &mut self.outcome.others };
            times.note(time);
            self.outcome.stored += 1;
            self.outcome.receives_most = self.outcome.receives_most.max(*receives);
            self.workers[index].has_stored = true;
        }
        // When it takes nothing at all it answers with an error, which the SDK retries; and then the processor, if it
        // was too much.
        let is_error = refused.len() == asked;
        self.workers[index].remaining = refused;
        if let Some(wait) = self.wait_after(index, is_error, is_out) {
            return self.agenda.plan(micros(estimates::CALL + wait), Event::Call(index));
        }
        let announced = if self.workers[index].has_stored { estimates::CALL } else { 0.0 };
        self.agenda.plan(micros(estimates::CALL + announced), Event::Done(index));
    }

    /// How long the processor waits before it calls again; nothing when the batch is over.
    fn wait_after(&mut self, index: usize, is_error: bool, is_out: bool) -> Option<f64> {
        let Self { settings, chance, workers, agenda, .. } = self;
        let worker = &mut workers[index];
        if is_error {
            worker.attempt += 1;
            if worker.attempt < settings.sdk_attempts && worker.tokens >= SDK_RETRY_COST {
                worker.tokens -= SDK_RETRY_COST;
                return Some(chance.up_to(settings.sdk_backoff * 2_f64.powi(worker.attempt as i32 - 1)));
            }
        } else {
            worker.earn();
        }
        worker.attempt = 0;
        let is_late = seconds(agenda.now - worker.received) >= settings.unprocessed_patience;
        if worker.remaining.is_empty() || is_out || is_late {
            return None;
        }
        let backoff = settings.unprocessed_backoff * 2_f64.powi(worker.round.min(30) as i32);
        worker.round += 1;
        Some(chance.up_to(backoff.min(settings.unprocessed_backoff_max)))
    }

    /// Reports the batch: what is stored is deleted, the rest stays hidden until it is delivered again.
    fn done(&mut self, index: usize) {
        let failed = std::mem::take(&mut self.workers[index].remaining);
        let batch = std::mem::take(&mut self.workers[index].batch);
        for message in batch {
            if !failed.contains(&message) {
                self.leave_flight(message);
            }
        }
        self.outcome.failed_receives += failed.len();
        if !failed.is_empty() {
            let visible_at = self.workers[index].received + micros(self.settings.visibility_timeout);
            self.agenda.plan_at(visible_at, Event::Visible(failed));
        }
        self.idle.push(index);
    }
}

impl Worker {
    /// A call that succeeds gives back what its last retry has cost, or a token.
    fn earn(&mut self) {
        let earned = if self.attempt > 0 { SDK_RETRY_COST } else { 1 };
        self.tokens = (self.tokens + earned).min(SDK_TOKENS);
    }
}
