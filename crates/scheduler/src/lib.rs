// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Who runs next on a GPU engine, for how long, and who owes what.
//!
//! A pure core: [`Scheduler::on`] takes an instant and an [`Event`] and appends [`Action`]s. No clock, no thread, no
//! float, no I/O, no randomness; no allocation in the steady state. The same code runs in real time under threads and
//! in simulated time, and a recorded run replays bit for bit.
//!
//! # The protocol
//! - [`Event::AddVm`] for each VM, with the share it is guaranteed. Shares that do not fit are refused, with the excess.
//! - [`Event::Ready`] when a VM gets work. The answer may be [`Action::Grant`]: the VM may run on that engine, one
//!   bounded *unit* of work after the other.
//! - [`Event::UnitDone`] after each unit, with its true length. No answer: it may run the next one. [`Action::Revoke`]:
//!   it may not. [`Action::Preempt`], at any time: it should end the unit that runs as soon as it can, and report it.
//! - [`Event::Timer`] at the instant that the last [`Action::WakeAt`] named.
//!
//! All of it can be called under one lock; nothing here blocks. The shorter the units, the tighter the guarantee: a VM's
//! work waits at most one unit of somebody else longer than on a slower engine of its own. How, and why that is true:
//! the head of `policy/guaranteed.rs`.
//!
//! # Two VMs on one engine
//! ```
//! use rondo_scheduler::{Action, Actions, EngineId, Event, Nanos, Ppm, Scheduler, SchedulerConfig, VmId, VmProfile};
//!
//! let mut scheduler = Scheduler::new(SchedulerConfig::default())?;
//! let mut actions = Actions::new();
//! let mut now = 0;
//! for (id, percent) in [(1, 75), (2, 25)] {
//!     let vm = VmId(id);
//!     let guarantee = Ppm::new(percent * 10_000).unwrap();
//!     let profile = VmProfile { guarantee, ..VmProfile::default() };
//!     scheduler.on(Nanos(now), Event::AddVm { vm, profile }, &mut actions)?;
//!     scheduler.on(Nanos(now), Event::Ready { vm }, &mut actions)?;
//! }
//!
//! // A world in which every unit takes 100 us and both VMs always have more work.
//! let mut holder = None;
//! while now < 1_000_000_000 {
//!     for action in actions.drain() {
//!         match action {
//!             Action::Grant { vm, .. } => holder = Some(vm),
//!             Action::Revoke { .. } => holder = None,
//!             // Ours are too short to be cut or to hang.
//!             _ => {}
//!         }
//!     }
//!     let vm = holder.expect("an engine is never idle while there is work");
//!     now += 100_000;
//!     let done = Event::UnitDone { engine: EngineId(0), vm, ran: Nanos(100_000), more: true };
//!     scheduler.on(Nanos(now), done, &mut actions)?;
//! }
//!
//! let used = scheduler.account(VmId(1)).unwrap().charged;
//! assert!((748_000_000..=752_000_000).contains(&used.0), "75 % of a second, to within a slice: {used:?}");
//! # Ok::<(), rondo_scheduler::SchedulerError>(())
//! ```

#![forbid(unsafe_code)]

mod account;
mod actions;
mod clock;
mod config;
mod engine;
mod error;
mod estimate;
mod event;
mod heap;
mod host;
mod ids;
pub mod inside;
pub mod journal;
mod pace;
mod policy;
mod profile;
mod residence;
mod running;
mod scheduler;
mod table;
mod time;
mod watch;

pub use account::{VmAccount, VmState};
pub use actions::Actions;
pub use config::{Quarantine, SchedulerConfig};
pub use error::SchedulerError;
pub use event::{Action, Event};
pub use ids::{EngineId, VmId};
pub use policy::Policy;
pub use profile::{Mode, Priority, VmProfile};
pub use scheduler::Scheduler;
pub use time::{Nanos, Ppm};
