// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Contexts, processes, and processes in a band, as the tables hold them.

use super::band::{Tier, Tiers};
use super::forest::{Forest, Root};
use super::turn::{Place, QUANTUM_PARTS, Turn};
use super::{ContextId, ContextProperties, InProcessPriority, ProcessId};
use crate::table::Slot;

/// A context among those of its process: rank of its priority, then its place.
pub(super) type ContextPlace = (u8, Place);

#[derive(Clone, Copy, Debug)]
pub(super) struct Context {
    pub(super) id: ContextId,
    pub(super) process: Slot,
    pub(super) share: Slot,
    pub(super) properties: ContextProperties,
    pub(super) turn: Turn,
    /// Time in units of `1 / QUANTUM_PARTS` that is less than its quantum, so not in its tag yet.
    pub(super) remainder: u64,
    pub(super) has_work: bool,
    pub(super) suspended: bool,
    pub(super) charged: u64,
}

impl Context {
    pub(super) const fn is_ready(&self) -> bool {
        self.has_work && !self.suspended
    }

    pub(super) const fn rank(&self) -> u8 {
        self.properties.priority.rank()
    }

    pub(super) const fn place(&self) -> ContextPlace {
        (self.rank(), self.turn.place())
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Process {
    pub(super) contexts: u32,
    pub(super) charged: u64,
}

/// A process in one tier: WDDM's tracking object of a process, but for one band or level only.
#[derive(Clone, Debug)]
pub(super) struct Share {
    pub(super) tier: Tier,
    pub(super) turn: Turn,
    /// Its contexts that are ready.
    pub(super) contexts: Root,
    /// Where the contexts of each priority start.
    pub(super) starts: Starts,
}

/// Where the contexts of each priority of a share start. Most have no other priority than 0.
#[derive(Clone, Debug, Default)]
pub(super) struct Starts {
    ordinary: u64,
    others: Option<Box<[u64; InProcessPriority::COUNT]>>,
}

impl Starts {
    /// The rank of priority 0.
    const ORDINARY: u8 = 7;

    /// Makes room for a priority of this rank, so that [`Self::at`] allocates nothing.
    pub(super) fn make_room(&mut self, rank: u8) {
        if rank != Self::ORDINARY {
            self.others.get_or_insert_default();
        }
    }

    pub(super) fn get(&self, rank: u8) -> u64 {
        if rank == Self::ORDINARY {
            return self.ordinary;
        }
        let others = self.others.as_ref();
        others
            .and_then(|others| others.get(usize::from(rank)))
            .copied()
            .unwrap_or(0)
    }

    pub(super) fn at(&mut self, rank: u8) -> &mut u64 {
        let others = self.others.as_mut().filter(|_| rank != Self::ORDINARY);
        others
            .and_then(|others| others.get_mut(usize::from(rank)))
            .unwrap_or(&mut self.ordinary)
    }
}

/// The processes of a tier.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Queue {
    /// Those that have a context that is ready.
    pub(super) shares: Root,
    /// Where processes start.
    pub(super) start: u64,
}

/// The queues of all tiers. Most VMs use no level of REALTIME.
#[derive(Clone, Debug, Default)]
pub(super) struct TierQueues {
    below: [Queue; Tier::BELOW_REALTIME],
    realtime: Option<Box<[Queue; Tier::COUNT - Tier::BELOW_REALTIME]>>,
}

impl TierQueues {
    /// Makes room for this tier, so that [`Self::at`] allocates nothing.
    pub(super) fn make_room(&mut self, tier: Tier) {
        if tier.index() >= Tier::BELOW_REALTIME {
            self.realtime.get_or_insert_default();
        }
    }

    pub(super) fn get(&self, tier: Tier) -> Queue {
        match tier.index().checked_sub(Tier::BELOW_REALTIME) {
            None => self.below[tier.index()],
            Some(level) => self
                .realtime
                .as_ref()
                .map_or_else(Queue::default, |levels| levels[level]),
        }
    }

    pub(super) fn at(&mut self, tier: Tier) -> &mut Queue {
        match tier.index().checked_sub(Tier::BELOW_REALTIME) {
            None => &mut self.below[tier.index()],
            Some(level) => &mut self.realtime.get_or_insert_default()[level],
        }
    }
}

/// The unit that runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unit {
    /// Both until they are removed.
    pub(super) context: Option<Slot>,
    pub(super) share: Option<Slot>,
    pub(super) process: Option<Slot>,
    pub(super) tier: Tier,
    /// Who waited when it began.
    pub(super) waited: Tiers,
}

/// Bytes that a context takes here, but for the free room of tables.
pub const CONTEXT_BYTES: usize = size_of::<(ContextId, Option<Context>)>()
    + Forest::<ContextPlace>::NODE_BYTES
    + 2 * size_of::<(ContextId, Slot)>();

/// Bytes that a process takes here, but for its bands and the free room of tables.
pub const PROCESS_BYTES: usize = size_of::<Option<Process>>() + 2 * size_of::<(ProcessId, Slot)>();

/// Bytes that a process takes for each band (or level of REALTIME) that a context of it has been in, but for the free
/// room of tables.
pub const SHARE_BYTES: usize =
    size_of::<Option<Share>>() + Forest::<Place>::NODE_BYTES + 2 * size_of::<((u32, Tier), Slot)>();

/// `ran` in parts of a quantum, and what is left over, both with what was left over before.
pub(super) fn parts_of(ran: u64, quantum: u64, remainder: u64) -> (u64, u64) {
    let whole = u128::from(ran) * u128::from(QUANTUM_PARTS) + u128::from(remainder);
    let Ok(short) = u64::try_from(whole) else {
        let parts = whole / u128::from(quantum);
        return (u64::try_from(parts).unwrap_or(u64::MAX), 0);
    };
    // A quantum is not zero.
    let parts = short.checked_div(quantum).unwrap_or(short);
    (parts, short.checked_rem(quantum).unwrap_or(0))
}

/// What a context is ahead, in parts of its new quantum instead of its old one; rounded up, so that changes shed no time.
pub(super) fn ahead_in(new: u64, ahead: u64, old: u64, remainder: u64) -> u64 {
    let time = u128::from(ahead) * u128::from(old) + u128::from(remainder);
    u64::try_from(time.div_ceil(u128::from(new.max(1)))).unwrap_or(u64::MAX)
}
