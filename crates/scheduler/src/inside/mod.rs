// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Which context of *one* VM runs next, while the VM holds an engine: WDDM's bands, processes and contexts.
//!
//! The scheduler between VMs grants an engine to a VM; what the VM does with it is decided here, by an instance of
//! its own. The two never meet: this one is told no instant and tells nobody anything, so that nothing that a guest does
//! inside moves its VM's account by a nanosecond. Its clock is the time that the VM has run.
//!
//! # The order
//! 1. **Band**: REALTIME, then FOCUS, then NORMAL, then IDLE; in REALTIME the highest of 32 levels, whichever process
//!    it belongs to. One exception: NORMAL passes FOCUS while it is behind its part ([`BandSettings::normal_percentage`]).
//! 2. **Process** of the band: each runs for the band's process quantum before another one's turn.
//! 3. **Context** of the process: the highest priority, -7 to +7; among equals each runs for its own quantum.
//! 4. Queues of a context, and commands in a queue: the caller's.
//!
//! # The rules
//! - *Turns.* A turn lasts for a quantum of the VM's time, to the end of the unit that uses it up, and outlives being
//!   preempted from above. The next turn goes to whoever has had least, in time (processes) or in quanta (contexts): with
//!   units that divide the quantum that is round robin, and a longer unit is paid for by waiting longer, so that equals
//!   stay within a quantum and a unit of each other whatever the length of their units. Sleeping neither saves nor costs
//!   anything; a newcomer starts one quantum behind, so that new ones without end do not starve the old.
//! - *Grace.* A context that loses its place to a preferred one goes on until the grace period of the preferred one has
//!   passed, counted on the VM's clock from the unit boundary at which the place was lost: the band's grace between
//!   bands, the process grace in a band, the preferred context's own grace in a process. Suspension has none.
//! - *NORMAL's part* is kept by the yield calculation: `floor.rs` has the formula. It is made when a process's turn ends,
//!   by its quantum or because it has no work left, and after a focus present. New band settings count from the next one on.
//! - *New properties of a context* count from the next unit boundary on. What it had ahead of others it keeps.
//!
//! REALTIME starves all below and IDLE may starve, as WDDM has it: its documentation gives the bands, levels,
//! priorities, quanta and grace periods their meaning (`DXGKDDI_SETUPPRIORITYBANDS`,
//! `DXGKDDI_SETCONTEXTSCHEDULINGPROPERTIES`, `DXGKDDI_NOTIFYFOCUSPRESENT`), but no formula: those above are Rondo's.
//!
//! # Cost
//! Everything is `O(log n)` amortised in the number of contexts of a process and of processes of a band, or constant.
//! Nothing is allocated but by `add_process`, `add_context` and a context's first entry into a band.
//!
//! # A process in two bands
//! ```
//! use rondo_scheduler::Nanos;
//! use rondo_scheduler::inside::{Band, BandSettings, ContextId, ContextProperties, ContextScheduler, ProcessId};
//!
//! let mut inside = ContextScheduler::new(BandSettings::default());
//! inside.add_process(ProcessId(1))?;
//! for (context, band) in [(1, Band::Focus), (2, Band::Normal)] {
//!     let properties = ContextProperties { band, ..ContextProperties::default() };
//!     inside.add_context(ProcessId(1), ContextId(context), properties)?;
//!     inside.ready(ContextId(context))?;
//! }
//! let mut normal = 0;
//! for _ in 0..100_000 {
//!     normal += u64::from(inside.unit_begins() == Some(ContextId(2)));
//!     inside.unit_done(Nanos(10_000));
//! }
//! assert!((9_900..=10_100).contains(&normal), "a tenth, by default: {normal}");
//! # Ok::<(), rondo_scheduler::inside::InsideError>(())
//! ```

mod band;
mod choice;
mod error;
mod floor;
mod forest;
mod members;
mod properties;
mod scheduler;
mod turn;

pub use band::{Band, BandSettings};
pub use error::InsideError;
pub use members::{CONTEXT_BYTES, PROCESS_BYTES, SHARE_BYTES};
pub use properties::{ContextProperties, InProcessPriority, RealtimeLevel};
pub use scheduler::ContextScheduler;

/// A process of a VM (an address space of the guest), named by the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessId(pub u64);

/// A context of a process, named by the caller; unique in the VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContextId(pub u64);
