// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Keeps the workers that take turns on an engine on one core of the host, so that a change of hands is a change of threads there.
//!
//! A worker that is woken on another core than its predecessor's waits until that core has been told and has left its sleep: 12 to
//! 22 us between two virtual cores, where a switch on one core takes 3. Linux spreads real-time threads over cores on purpose, so
//! each worker is told its core (`sched_setaffinity`): by whoever grants it the engine, before it is woken, for moving a thread
//! that sleeps costs nothing.
//!
//! Who stays on a core keeps others from it, vCPUs with whose work the engine lives too: Linux moves a thread that waits behind a
//! real-time one only after a while. With `rondo demo` on two cores and two guests that spin, the guests came to ask for the
//! engine in 80 to 90 % of the time only; so this is for hosts with cores to spare. An engine has two cores, and changes from one to the other
//! each 34 ms, with the change of hands that comes next: more often costs more than it gives. A worker that goes on alone changes
//! its core each 268 ms, for moving a thread that runs takes 150 us: Linux stops real-time threads for 50 ms once they
//! have had a core for 950 ms of a second (`sched_rt_runtime_us`). No two engines share a core: where the process may not run on two
//! for each engine, or has no real-time priority, Linux places the workers as it likes.
//!
//! On its core a worker waits for another program's real-time thread of the same priority, 100 ms at a time, instead of going where
//! none is. So a worker that comes late lets its engine go: its workers run anywhere for a second, the next time for two, and so on.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rondo_scheduler::{EngineId, Nanos};

use crate::host_thread::{self, Core, ThreadId};

/// An engine's workers are granted it on one of its cores for 2^25 ns, about 34 ms, then on the other one.
const GRANT_BITS: u32 = 25;
/// A worker that goes on stays on its core for 2^28 ns at most, about 268 ms: two thirds of any second are the most that a core has.
const STAY_BITS: u32 = 28;

/// A worker is late that begins so much after its grant: somebody else had the core. It is a hundred times
/// what a change of threads takes.
const LATE: Nanos = Nanos::from_millis(1);

/// Most doublings of the second: more than an hour.
const MOST_DOUBLINGS: u32 = 12;

/// Where a worker may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// On this core alone.
    Only(Core),
    /// On all of the process's.
    Any,
}

/// The cores of an engine.
#[derive(Debug)]
struct Pair {
    cores: [Core; 2],
    /// Its workers run anywhere until then.
    away_until: AtomicU64,
    /// How often one of them was late.
    lates: AtomicU32,
}

/// The cores of all engines.
#[derive(Debug, Default)]
pub(super) struct EngineCores {
    /// By engine; none if they have no cores of their own.
    pairs: Box<[Pair]>,
}

impl EngineCores {
    /// Cores for so many engines, out of those that the calling thread may run on at this moment.
    pub(super) fn new(engines: u16) -> Self {
        match host_thread::allowed() {
            Ok(allowed) => Self::of(&allowed, engines),
            Err(error) => {
                log::debug!("GPU workers run on any core: {error}");
                Self::default()
            }
        }
    }

    /// Counted from the last: the first ones have the host's interrupts.
    pub(super) fn of(allowed: &[Core], engines: u16) -> Self {
        let pairs: Box<[_]> = (allowed.rchunks_exact(2))
            .filter_map(|pair| <[Core; 2]>::try_from(pair).ok())
            .map(|[low, high]| Pair {
                cores: [high, low],
                away_until: AtomicU64::new(0),
                lates: AtomicU32::new(0),
            })
            .take(engines.into())
            .collect();
        if pairs.len() < usize::from(engines) {
            return Self::default();
        }
        Self { pairs }
    }

    /// Where the engine is at that instant, if it has cores of its own.
    pub(super) fn at(&self, engine: EngineId, now: Nanos) -> Option<Place> {
        let pair = self.pairs.get(usize::from(engine.0))?;
        if now.0 < pair.away_until.load(Ordering::Relaxed) {
            return Some(Place::Any);
        }
        let [first, second] = pair.cores;
        // The longer time too, or whoever goes on alone would find the same core at each of its ends.
        let turn = (now.0 >> GRANT_BITS) ^ (now.0 >> STAY_BITS);
        Some(Place::Only(if turn & 1 == 0 { first } else { second }))
    }

    /// Whether a worker that has gone on from one instant to the other must go where its engine is now.
    pub(super) fn must_move(before: Nanos, now: Nanos) -> bool {
        before.0 >> STAY_BITS != now.0 >> STAY_BITS
    }

    /// A worker whose grant is of that instant begins now.
    pub(super) fn begun(&self, engine: EngineId, granted: Nanos, now: Nanos) {
        if now.0.saturating_sub(granted.0) < LATE.0 {
            return;
        }
        let Some(pair) = self.pairs.get(usize::from(engine.0)) else {
            return;
        };
        // Late though it could run anywhere: the host is busy, its core is not to blame.
        if granted.0 < pair.away_until.load(Ordering::Relaxed) {
            return;
        }
        let lates = pair.lates.fetch_add(1, Ordering::Relaxed);
        let away = Nanos::from_millis(1000 << lates.min(MOST_DOUBLINGS));
        log::debug!(
            "engine {}: a worker was late; they run anywhere for {} s",
            engine.0,
            away.0 / 1_000_000_000
        );
        let until = now.0.saturating_add(away.0);
        pair.away_until.store(until, Ordering::Relaxed);
    }
}

/// Where a VM's worker is, while it lets itself be kept on its engine's core.
#[derive(Debug)]
pub(super) struct Berth {
    /// The core that the worker was sent to last, [`ANYWHERE`] or [`STAYS`]; written under the lock only.
    core: AtomicU32,
    worker: Mutex<Option<Present>>,
    /// The instant of the last grant.
    granted: AtomicU64,
}

/// Who is in a berth.
#[derive(Debug)]
struct Present {
    thread: ThreadId,
    /// Where it could run when it came.
    anywhere: Vec<Core>,
}

/// On any core of the process's.
const ANYWHERE: u32 = u32::MAX;
/// It is sent nowhere: it has not asked for it, Linux has refused, or its thread ends.
const STAYS: u32 = u32::MAX - 1;

impl Default for Berth {
    fn default() -> Self {
        Self {
            core: AtomicU32::new(STAYS),
            worker: Mutex::new(None),
            granted: AtomicU64::new(0),
        }
    }
}

/// The worker can be sent to cores while this lives.
#[derive(Debug)]
pub(super) struct BerthTaken<'a> {
    berth: &'a Berth,
    worker: ThreadId,
}

impl Place {
    fn number(self) -> u32 {
        match self {
            Self::Only(core) => core.0.into(),
            Self::Any => ANYWHERE,
        }
    }
}

impl Berth {
    /// The calling thread is the VM's worker, and goes where its engine is. One that was lost in a unit, and is still there, waits
    /// for its processor as others do from now on.
    pub(super) fn take(&self) -> BerthTaken<'_> {
        let worker = ThreadId::current();
        let comes = Present {
            thread: worker,
            anywhere: host_thread::allowed().unwrap_or_default(),
        };
        let mut present = self.lock();
        if let Some(lost) = present.replace(comes) {
            let freed = host_thread::demote(lost.thread)
                .and_then(|()| host_thread::set(lost.thread, &lost.anywhere));
            if let Err(error) = freed {
                log::debug!("a lost GPU worker stays where it is: {error}");
            }
        }
        self.core.store(ANYWHERE, Ordering::Relaxed);
        drop(present);
        BerthTaken {
            berth: self,
            worker,
        }
    }

    /// Notes the instant of a grant, before the worker is woken.
    pub(super) fn grant(&self, now: Nanos) {
        self.granted.store(now.0, Ordering::Relaxed);
    }

    /// The instant of the last grant, if the worker is one that is sent to cores.
    pub(super) fn granted(&self) -> Option<Nanos> {
        (self.core.load(Ordering::Relaxed) != STAYS)
            .then(|| Nanos(self.granted.load(Ordering::Relaxed)))
    }

    /// Sends the worker to a place, unless it was sent there last.
    pub(super) fn send_to(&self, place: Option<Place>) {
        let Some(place) = place else {
            return;
        };
        let at = self.core.load(Ordering::Relaxed);
        if at != STAYS && at != place.number() {
            self.send(place);
        }
    }

    /// Where it is not already: seldom.
    #[cold]
    fn send(&self, place: Place) {
        let present = self.lock();
        let Some(Present { thread, anywhere }) = &*present else {
            return;
        };
        let sent = match place {
            Place::Only(core) => host_thread::set(*thread, &[core]),
            Place::Any => host_thread::set(*thread, anywhere),
        };
        let at = match sent {
            Ok(()) => place.number(),
            Err(error) => {
                log::debug!("a GPU worker is kept on no core any more: {error}");
                STAYS
            }
        };
        self.core.store(at, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Present>> {
        self.worker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for BerthTaken<'_> {
    /// The thread's number may soon be another thread's.
    fn drop(&mut self) {
        let mut present = self.berth.lock();
        if present.as_ref().map(|present| present.thread) == Some(self.worker) {
            *present = None;
            self.berth.core.store(STAYS, Ordering::Relaxed);
        }
    }
}
