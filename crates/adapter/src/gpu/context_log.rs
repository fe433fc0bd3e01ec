// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What a VM writes to its scheduling log: each context's way between idle, ready and running.
//!
//! All is written under the VM's lock, which the paths that change a context's work hold anyway. Units of one context that
//! follow each other without a gap are no change of state: the log then says nothing, and its size follows the changes,
//! not the commands. Running time begins and ends at the instants that the VM is charged for, so that the sum of a log's
//! running time is the VM's account to the nanosecond.

use std::collections::HashSet;
use std::sync::Arc;

use rondo_scheduler::{EngineId, Nanos};

use crate::ddi::DdiResult;
use crate::gpu::vm::VmState;
use crate::handle::{ContextHandle, HwQueueHandle};
use crate::scheduling_log::{ContextState, LogEntry, LogWriter, SchedulingLog};
use crate::status::NtStatus;

/// See the module.
#[derive(Debug)]
pub(super) struct ContextLog {
    writer: LogWriter,
    /// Contexts whose last entry says ready.
    ready: HashSet<ContextHandle>,
    /// The context whose last entry says running.
    running: Option<ContextHandle>,
    node: u16,
}

impl ContextLog {
    fn record(&mut self, context: ContextHandle, state: ContextState, timestamp: Nanos) {
        self.writer.record(LogEntry {
            timestamp,
            context,
            state,
            node: self.node,
        });
    }

    /// A context has work, as of now.
    fn work_came(&mut self, context: ContextHandle, now: impl FnOnce() -> Nanos) {
        if self.running != Some(context) && self.ready.insert(context) {
            self.record(context, ContextState::Ready, now());
        }
    }

    /// A context runs from `at` on.
    fn runs(&mut self, context: ContextHandle, at: Nanos) {
        self.ready.remove(&context);
        self.running = Some(context);
        self.record(context, ContextState::Running, at);
    }

    /// What ran has stopped at `at`, with or without work left.
    fn stops(&mut self, context: ContextHandle, at: Nanos, has_work: bool) {
        self.running = None;
        if has_work {
            self.ready.insert(context);
            self.record(context, ContextState::Ready, at);
        } else {
            self.record(context, ContextState::Idle, at);
        }
    }
}

impl VmState {
    /// From now on the VM's contexts are logged here, and nowhere any more with `None`. A new log begins with the states
    /// that are not idle.
    ///
    /// # Errors
    /// [`NtStatus::InvalidParameter`] if another VM writes there, or this one already; nothing changes then.
    pub(super) fn set_log(
        &mut self,
        log: Option<Arc<SchedulingLog>>,
        now: impl FnOnce() -> Nanos,
    ) -> DdiResult<()> {
        let Some(log) = log else {
            self.log = None;
            return Ok(());
        };
        let writer = LogWriter::claim(log).ok_or(NtStatus::InvalidParameter)?;
        let mut fresh = ContextLog {
            writer,
            ready: HashSet::new(),
            running: None,
            node: 0,
        };
        let now = now();
        if let Some(old) = self.log.take() {
            fresh.node = old.node;
            if let Some(running) = old.running {
                fresh.runs(running, now);
            }
        }
        for &context in self.objects.contexts.keys() {
            if self.work.has_work(context) {
                fresh.work_came(context, || now);
            }
        }
        self.log = Some(fresh);
        Ok(())
    }

    /// Logs that a command was queued.
    pub(super) fn log_submission(&mut self, queue: HwQueueHandle, now: impl FnOnce() -> Nanos) {
        if let Some(log) = &mut self.log
            && let Ok(context) = self.objects.queue(queue)
        {
            log.work_came(context, now);
        }
    }

    /// Logs that the engine works for a queue's context, or for none, from `at` on: the end of the unit before, or the grant.
    pub(super) fn log_unit(&mut self, queue: Option<HwQueueHandle>, engine: EngineId, at: Nanos) {
        let Some(log) = &mut self.log else {
            return;
        };
        // Held without work: what the VM is charged for then is nobody's but its own.
        let context = queue
            .and_then(|queue| self.objects.queue(queue).ok())
            .unwrap_or(ContextHandle(self.objects.worker.0));
        if log.running == Some(context) {
            return;
        }
        if let Some(before) = log.running {
            log.stops(before, at, self.work.has_work(before));
        }
        log.node = engine.0;
        log.runs(context, at);
    }

    /// Logs that the VM has held an engine until `at`.
    pub(super) fn log_release(&mut self, at: Nanos) {
        if let Some(log) = &mut self.log
            && let Some(before) = log.running
        {
            log.stops(before, at, self.work.has_work(before));
        }
    }

    /// Logs what a call has taken away from contexts that were ready.
    pub(super) fn log_lost_work(&mut self, now: impl FnOnce() -> Nanos) {
        let Some(log) = &mut self.log else {
            return;
        };
        let now = now();
        let node = log.node;
        log.ready.retain(|&context| {
            let stays = self.work.has_work(context);
            if !stays {
                log.writer.record(LogEntry {
                    timestamp: now,
                    context,
                    state: ContextState::Idle,
                    node,
                });
            }
            stays
        });
    }
}
