// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! A run's GPU schedule as a file for the Perfetto UI: each VM's scheduling log, emptied into it while the VMs run.
//!
//! A thread of its own reads the logs every few milliseconds, long before they go round; the VMs never wait for it or for
//! the disk. It keeps no more than one piece of the file in memory.

mod engines;
mod packet;
mod protobuf;
mod timeline;

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rondo_adapter::adapter::Adapter;
use rondo_adapter::clock::Clock;
use rondo_adapter::ddi::{Ddi, DdiResult, VmHost};
use rondo_adapter::handle::KmdProcessHandle;
use rondo_adapter::scheduling_log::{LogEntry, LogReader, SchedulingLog};

use engines::Engines;
use packet::Packets;
use timeline::Timeline;

/// How often logs are read. A log that is read so often takes six million changes of state a second.
const READ_EVERY: Duration = Duration::from_millis(20);
/// How often counters get a value.
const SAMPLE_EVERY_NS: u64 = 100_000_000;
/// How often what there is goes to the file at the latest.
const WRITE_EVERY_NS: u64 = 1_000_000_000;
/// After so long what happened is in the logs that were read since, even if the host kept a worker from writing it down.
const SETTLED_AFTER_NS: u64 = 200_000_000;
/// Bytes that go to the file in one go.
const WRITE_BYTES: usize = 64 << 10;
/// Entries that are taken from a log in one go.
const READ_ENTRIES: usize = 4096;

/// A trace file that nobody fills yet.
#[derive(Debug)]
pub struct Trace {
    path: PathBuf,
    writer: Writer,
    changes: Sender<Change>,
}

/// A VM comes or goes.
#[derive(Debug)]
enum Change {
    /// Its log is to be read.
    Watch {
        name: String,
        worker: KmdProcessHandle,
        log: Arc<SchedulingLog>,
    },
    /// It is gone, and nothing is written to its log any more.
    Forget(KmdProcessHandle),
}

/// A VM whose log is read.
#[derive(Debug)]
struct Watched {
    name: String,
    worker: KmdProcessHandle,
    reader: LogReader,
    timeline: Timeline,
    gone: bool,
}

/// What the thread has.
#[derive(Debug)]
struct Writer {
    file: File,
    packets: Packets,
    gpu: Arc<Adapter>,
    clock: Arc<dyn Clock>,
    changes: Receiver<Change>,
    vms: Vec<Watched>,
    engines: Engines,
    entries: Vec<LogEntry>,
    sampled_at: u64,
    written_at: u64,
}

impl Trace {
    /// Makes the file, or empties it, for a GPU of so many engines.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn create(
        path: &Path,
        engines: u16,
        gpu: Arc<Adapter>,
        clock: Arc<dyn Clock>,
    ) -> io::Result<Self> {
        let now = clock.now().0;
        let (changes, coming) = mpsc::channel();
        let mut packets = Packets::default();
        let writer = Writer {
            file: File::create(path)?,
            engines: Engines::new(engines, &mut packets),
            packets,
            gpu,
            clock,
            changes: coming,
            vms: Vec::new(),
            entries: Vec::with_capacity(READ_ENTRIES),
            sampled_at: now,
            written_at: now,
        };
        Ok(Self {
            path: path.to_owned(),
            writer,
            changes,
        })
    }

    /// Starts to fill the file.
    ///
    /// # Errors
    /// The host has no threads left.
    pub fn start(self) -> io::Result<RunningTrace> {
        let Self {
            path,
            mut writer,
            changes,
        } = self;
        let gpu = Arc::clone(&writer.gpu);
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stop);
        let file = path.clone();
        let thread = thread::Builder::new()
            .name("gpu-trace".to_owned())
            .spawn(move || {
                let result = writer.run(&asked);
                if let Err(error) = &result
                    && !asked.load(Ordering::Acquire)
                {
                    log::warn!("the trace {} ends here: {error}", file.display());
                    writer.let_go();
                }
                result
            })?;
        Ok(RunningTrace {
            path,
            gpu,
            changes,
            stop,
            thread: Some(thread),
        })
    }
}

/// A trace file that fills.
#[derive(Debug)]
pub struct RunningTrace {
    path: PathBuf,
    gpu: Arc<Adapter>,
    changes: Sender<Change>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl RunningTrace {
    /// Logs a VM's schedule from now on.
    ///
    /// # Errors
    /// The adapter does not log it.
    pub fn watch(&self, name: &str, worker: KmdProcessHandle) -> DdiResult<()> {
        let log = Arc::new(SchedulingLog::new(SchedulingLog::DEFAULT_ENTRIES));
        (self.gpu).set_scheduling_log_buffer(worker, Some(Arc::clone(&log)))?;
        let watch = Change::Watch {
            name: name.to_owned(),
            worker,
            log,
        };
        if self.changes.send(watch).is_err() {
            // The trace has ended already, as its thread has said: nobody would read.
            return self.gpu.set_scheduling_log_buffer(worker, None);
        }
        Ok(())
    }

    /// A VM is gone: what its log still holds is written, and its track ends.
    pub fn forget(&self, worker: KmdProcessHandle) {
        // A trace that has ended has forgotten all.
        let _ = self.changes.send(Change::Forget(worker));
    }

    /// Writes what is left in the logs and ends the file. Afterwards the VMs' account and the file say the same if the VMs
    /// have ended.
    ///
    /// # Errors
    /// The file, and why it could not be written to its end.
    pub fn finish(mut self) -> Result<(), (PathBuf, io::Error)> {
        self.end().map_err(|error| (self.path.clone(), error))
    }

    fn end(&mut self) -> io::Result<()> {
        self.stop.store(true, Ordering::Release);
        let Some(thread) = self.thread.take() else {
            return Ok(());
        };
        thread.thread().unpark();
        thread
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("its thread died of a bug")))
    }
}

impl Drop for RunningTrace {
    /// A session that fails leaves what there is.
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            log::warn!("the trace {} is not whole: {error}", self.path.display());
        }
    }
}

impl Watched {
    /// Ends its tracks.
    fn end(&mut self, now: u64, packets: &mut Packets, engines: &mut Engines) {
        self.timeline.finish(now, packets);
        if let Some(turns) = self.timeline.turns() {
            engines.gather(turns);
        }
        if self.timeline.lost() > 0 {
            log::warn!(
                "{}: the trace lacks {} changes of state, which came faster than they could be written",
                self.name,
                self.timeline.lost()
            );
        }
    }
}

impl Writer {
    /// The thread's body.
    fn run(&mut self, stop: &AtomicBool) -> io::Result<()> {
        loop {
            // Asked first, so that what was logged before the end was asked for is read.
            let stopping = stop.load(Ordering::Acquire);
            self.take_changes();
            let now = self.clock.now().0;
            self.read_logs()?;
            self.let_gone_go(now);
            let settled = now.saturating_sub(SETTLED_AFTER_NS);
            self.engines.write(settled, &mut self.packets);
            if now.saturating_sub(self.sampled_at) >= SAMPLE_EVERY_NS || stopping {
                self.sampled_at = now;
                self.sample(now);
            }
            if stopping {
                return self.finish();
            }
            if now.saturating_sub(self.written_at) >= WRITE_EVERY_NS {
                self.written_at = now;
                self.write()?;
            }
            thread::park_timeout(READ_EVERY);
        }
    }

    /// VMs that came, and VMs that are gone.
    fn take_changes(&mut self) {
        while let Ok(change) = self.changes.try_recv() {
            match change {
                Change::Watch { name, worker, log } => {
                    let now = self.clock.now().0;
                    let turns = self.engines.are_shown();
                    self.vms.push(Watched {
                        worker,
                        reader: LogReader::new(log),
                        timeline: Timeline::new(&name, worker, now, turns, &mut self.packets),
                        name,
                        gone: false,
                    });
                }
                Change::Forget(worker) => {
                    let gone = self.vms.iter_mut().filter(|vm| vm.worker == worker);
                    gone.for_each(|vm| vm.gone = true);
                }
            }
        }
    }

    /// Ends the tracks of VMs that are gone, whose logs were read to their ends.
    fn let_gone_go(&mut self, now: u64) {
        let Self {
            vms,
            packets,
            engines,
            ..
        } = self;
        vms.retain_mut(|vm| {
            if vm.gone {
                vm.end(now, packets, engines);
            }
            !vm.gone
        });
    }

    fn read_logs(&mut self) -> io::Result<()> {
        // No more than a log holds, so that a VM that never stops to write does not keep the others waiting.
        let most_pieces = SchedulingLog::DEFAULT_ENTRIES.get() as usize / READ_ENTRIES;
        for index in 0..self.vms.len() {
            for _ in 0..most_pieces {
                if !self.read_piece(index) {
                    break;
                }
                if self.packets.bytes().len() >= WRITE_BYTES {
                    self.write()?;
                }
            }
        }
        Ok(())
    }

    /// Reads some entries of a VM's log. Tells whether there may be more.
    fn read_piece(&mut self, index: usize) -> bool {
        let Some(vm) = self.vms.get_mut(index) else {
            return false;
        };
        self.entries.clear();
        let lost = vm.reader.read(READ_ENTRIES, &mut self.entries);
        if lost > 0 {
            vm.timeline.lose(lost, &mut self.packets);
        }
        if !self.entries.iter().all(|entry| vm.timeline.knows(entry))
            // A VM that is gone tells nothing; its last entries then have tracks without names.
            && let Ok(living) = self.gpu.query_contexts(vm.worker)
        {
            vm.timeline.introduce(&living, &mut self.packets);
        }
        for entry in &self.entries {
            vm.timeline.take(entry, &mut self.packets);
        }
        if let Some(turns) = vm.timeline.turns() {
            self.engines.gather(turns);
        }
        self.entries.len() == READ_ENTRIES
    }

    fn sample(&mut self, now: u64) {
        for vm in &mut self.vms {
            // A VM that is gone tells nothing.
            let used = self.gpu.query_statistics(vm.worker).ok();
            let lag = used.map(|used| used.lag);
            vm.timeline.sample(now, lag, &mut self.packets);
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        let now = self.clock.now().0;
        for vm in &mut self.vms {
            vm.end(now, &mut self.packets, &mut self.engines);
        }
        self.engines.finish(&mut self.packets);
        self.write()?;
        self.file.flush()
    }

    fn write(&mut self) -> io::Result<()> {
        self.file.write_all(self.packets.bytes())?;
        self.packets.clear();
        Ok(())
    }

    /// Nobody reads any more: the VMs need not write.
    fn let_go(&self) {
        for vm in &self.vms {
            if let Err(status) = self.gpu.set_scheduling_log_buffer(vm.worker, None) {
                log::debug!("{}: its log stays ({status})", vm.name);
            }
        }
    }
}

#[cfg(test)]
mod tests;
