//! The calls to a database. They run one after the other, while earlier ones wait for the disk. Those that wait at the
//! same time share one fsync.

use std::fmt;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::spawn_blocking;

use crate::error::ServiceError;
use crate::write_ahead_log::WriteAheadLog;

/// How many calls wait or run. Further callers wait until one has ended.
const CALLS_MAX: usize = 256;

/// Runs the work of a call, and returns how to answer it after the sync.
type Call = Box<dyn FnOnce() -> Answer + Send>;
type Answer = Box<dyn FnOnce(&rusqlite::Result<()>) + Send>;

/// The calls to one database; clones share them.
#[derive(Clone)]
pub(crate) enum Calls {
    /// A database in memory. No call waits for a disk, so each runs on the thread of its caller.
    Memory,
    /// A database on disk.
    Disk(Arc<Shared>),
}

pub(crate) struct Shared {
    permits: Arc<Semaphore>,
    /// Calls that have not run yet.
    calls: Backlog<Call>,
    /// Answers to calls whose commits may not be on disk yet.
    answers: Backlog<Answer>,
    log: Mutex<WriteAheadLog>,
}

/// Items for one worker thread at a time, which takes all of them at once.
struct Backlog<T>(Mutex<State<T>>);

struct State<T> {
    items: Vec<T>,
    /// Whether a thread has become the worker, and has not found the backlog empty since.
    has_worker: bool,
}

impl<T> Backlog<T> {
    fn new() -> Self {
        Self(Mutex::new(State { items: Vec::new(), has_worker: false }))
    }

    fn add(&self, items: impl IntoIterator<Item = T>) {
        self.0.lock().items.extend(items);
    }

    /// Whether there are items but no worker. Then the caller becomes the worker.
    fn needs_worker(&self) -> bool {
        let mut state = self.0.lock();
        !state.items.is_empty() && !mem::replace(&mut state.has_worker, true)
    }

    /// Takes all items. The worker calls this until it returns none, and then is no longer the worker.
    fn take(&self) -> Vec<T> {
        let mut state = self.0.lock();
        state.has_worker = !state.items.is_empty();
        mem::take(&mut state.items)
    }
}

impl fmt::Debug for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Calls(..)")
    }
}

impl Calls {
    /// Calls to the database at `path`, which has the journal mode WAL, or to one in memory.
    pub(crate) fn new(path: Option<&Path>) -> rusqlite::Result<Self> {
        let Some(path) = path else { return Ok(Self::Memory) };
        Ok(Self::Disk(Arc::new(Shared {
            permits: Arc::new(Semaphore::new(CALLS_MAX)),
            calls: Backlog::new(),
            answers: Backlog::new(),
            log: Mutex::new(WriteAheadLog::open(path)?),
        })))
    }

    /// Runs `work`; for a database on disk, on a thread that may block. Returns its result, even an error such as a
    /// failed condition, only when all commits that led to it are on disk.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let work = || catch_unwind(AssertUnwindSafe(work));
        let panicked = || Err(ServiceError::server("the call panicked"));
        let shared = match self {
            Self::Memory => return work().unwrap_or_else(|_| panicked()),
            Self::Disk(shared) => shared,
        };
        let permit = Arc::clone(&shared.permits).acquire_owned().await;
        let (sender, receiver) = oneshot::channel();
        let call: Call = Box::new(move || {
            let result = work();
            Box::new(move |synced| {
                drop(permit);
                let Ok(result) = result else { return };
                // The caller may have stopped waiting.
                let _ = sender.send(match synced {
                    Ok(()) => result,
                    Err(error) => Err(ServiceError::server(error.to_string())),
                });
            })
        });
        shared.calls.add([call]);
        if shared.calls.needs_worker() {
            let shared = Arc::clone(shared);
            spawn_blocking(move || shared.run());
        }
        receiver.await.unwrap_or_else(|_| panicked())
    }

    /// Returns when all commits are on disk.
    pub(crate) fn sync(&self) -> rusqlite::Result<()> {
        match self {
            Self::Memory => Ok(()),
            Self::Disk(shared) => shared.sync(),
        }
    }
}

impl Shared {
    /// Runs calls until none waits. Then this thread syncs, too, and another one runs the next calls.
    fn run(self: &Arc<Self>) {
        let mut calls = self.calls.take();
        while !calls.is_empty() {
            let answers: Vec<_> = calls.into_iter().map(|call| call()).collect();
            self.answers.add(answers);
            calls = self.calls.take();
            if !calls.is_empty() && self.answers.needs_worker() {
                let shared = Arc::clone(self);
                spawn_blocking(move || shared.answer());
            }
        }
        if self.answers.needs_worker() {
            self.answer();
        }
    }

    /// Syncs and answers until no answer waits.
    fn answer(&self) {
        let mut answers = self.answers.take();
        while !answers.is_empty() {
            let synced = self.sync();
            for answer in answers {
                answer(&synced);
            }
            answers = self.answers.take();
        }
    }

    fn sync(&self) -> rusqlite::Result<()> {
        self.log.lock().sync()
    }
}
