// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Where the scheduler's journal goes: what it was told and what it answered, from its birth on.
//!
//! A GPU without a sink pays one branch for each event. With one, the sink is called under the scheduler's lock, so it must
//! be short. [`JournalWriter`] is: it copies the call into a buffer, and a thread of its own makes text of it
//! ([`rondo_scheduler::journal`]) and writes. The buffer is bounded; a writer that falls behind by more ends the journal
//! there, since one with a hole could not be replayed: whoever waits for the GPU never waits for a disk.

use std::fmt::Debug;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use rondo_scheduler::journal::Journal;
use rondo_scheduler::{Action, Event, Nanos, SchedulerConfig, SchedulerError};

/// Hears each call of the scheduler and its answer, in order.
pub trait JournalSink: Debug + Send + Sync {
    /// The scheduler is born. Before all others, once.
    fn begin(&self, config: &SchedulerConfig);

    /// The scheduler was told this, and asked for that. Under its lock: no call of the driver, and short.
    fn record(
        &self,
        now: Nanos,
        event: &Event,
        actions: &[Action],
        result: &Result<(), SchedulerError>,
    );
}

/// Calls that may wait to be written: some seconds of a busy GPU, 16 MiB at most.
const MOST_CALLS: usize = 1 << 17;

/// A call, with the number of its actions.
type Recorded = (Nanos, Event, usize, Result<(), SchedulerError>);

#[derive(Debug, Default)]
struct Buffer {
    calls: Vec<Recorded>,
    actions: Vec<Action>,
}

impl Buffer {
    fn clear(&mut self) {
        self.calls.clear();
        self.actions.clear();
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut actions = self.actions.as_slice();
        for (now, event, count, result) in &self.calls {
            let (of_call, rest) = actions.split_at_checked(*count).unwrap_or((actions, &[]));
            actions = rest;
            writeln!(out, "{}", Journal::line(*now, event, of_call, result))?;
        }
        Ok(())
    }
}

#[derive(Debug, Default)]
struct State {
    config: Option<SchedulerConfig>,
    buffer: Buffer,
    /// It fell behind: nothing more is recorded.
    ended: bool,
    finished: bool,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Streams a journal into a file or the like. See the module. It must be finished to be whole.
#[derive(Debug)]
pub struct JournalWriter {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<io::Result<()>>>>,
}

impl JournalWriter {
    /// Starts the thread that writes.
    ///
    /// # Errors
    /// The host has no thread left.
    pub fn new(out: Box<dyn Write + Send>) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let writer = thread::Builder::new()
            .name("gpu-journal".to_owned())
            .spawn(move || write(&theirs, out))?;
        Ok(Self {
            shared,
            writer: Mutex::new(Some(writer)),
        })
    }

    /// Writes what is left and ends the journal; what comes later is not recorded. Tells whether all that came before was:
    /// `false` if the writer fell behind, and what there is replays up to there.
    ///
    /// # Errors
    /// What writing said; from then on nothing was written.
    pub fn finish(&self) -> io::Result<bool> {
        self.shared.state().finished = true;
        self.shared.changed.notify_one();
        let writer = (self.writer.lock())
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(writer) = writer {
            writer
                .join()
                .unwrap_or_else(|_| Err(io::Error::other("the journal's writer panicked")))?;
        }
        Ok(!self.shared.state().ended)
    }
}

impl Drop for JournalWriter {
    fn drop(&mut self) {
        if let Err(error) = self.finish() {
            log::error!("the scheduler's journal could not be written: {error}");
        }
    }
}

impl JournalSink for JournalWriter {
    fn begin(&self, config: &SchedulerConfig) {
        self.shared.state().config = Some(*config);
        self.shared.changed.notify_one();
    }

    fn record(
        &self,
        now: Nanos,
        event: &Event,
        actions: &[Action],
        result: &Result<(), SchedulerError>,
    ) {
        let mut state = self.shared.state();
        if state.finished || state.ended {
            return;
        }
        if state.buffer.calls.len() == MOST_CALLS {
            state.ended = true;
            return;
        }
        let was_empty = state.buffer.calls.is_empty();
        let call = (now, *event, actions.len(), *result);
        state.buffer.calls.push(call);
        state.buffer.actions.extend_from_slice(actions);
        drop(state);
        if was_empty {
            self.shared.changed.notify_one();
        }
    }
}

/// The writer's thread.
fn write(shared: &Shared, out: Box<dyn Write + Send>) -> io::Result<()> {
    let mut out = io::BufWriter::new(out);
    let mut headed = false;
    let mut taken = Buffer::default();
    loop {
        let mut state = shared.state();
        while state.buffer.calls.is_empty() && !state.finished {
            state = (shared.changed.wait(state)).unwrap_or_else(PoisonError::into_inner);
        }
        let finished = state.finished;
        let config = state.config;
        std::mem::swap(&mut state.buffer, &mut taken);
        drop(state);
        let written = (|| {
            if let (false, Some(config)) = (headed, &config) {
                headed = true;
                writeln!(out, "{}", Journal::header(config))?;
            }
            taken.write(&mut out)
        })();
        taken.clear();
        if let Err(error) = written {
            shared.state().ended = true;
            return Err(error);
        }
        if finished {
            return out.flush();
        }
    }
}
