// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What each VM has used and how long it waited: the books, exact to the nanosecond.

use crate::Nanos;

/// What a VM is doing, as far as the scheduler knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum VmState {
    /// It has no work.
    #[default]
    Idle,
    /// It has work and waits for an engine.
    Ready,
    /// It has work, and its limit keeps it from an engine for now.
    Throttled,
    /// It holds an engine.
    Running,
    /// It has hung too often and runs nothing until it is pardoned.
    Quarantined,
}

/// The account of one VM since it joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VmAccount {
    /// What it is doing.
    pub state: VmState,
    /// The sum of the true lengths of its units, on whatever engine.
    pub charged: Nanos,
    /// What of it ran on engines that had nothing to do, not on its home: a loan, which no claim is held against.
    pub borrowed: Nanos,
    /// How many units it reported.
    pub units: u64,
    /// The longest of them.
    pub longest_unit: Nanos,
    /// How often a unit of it outlived the hang timeout.
    pub resets: u64,
    /// The longest time from having work (or from losing the engine with work left) to being granted an engine. Time
    /// spent under its limit does not count.
    pub longest_wait: Nanos,
    /// GPU nanoseconds that it is owed (positive: it has work and is behind its guarantee) or owes (negative: it has used
    /// more than its guarantee up to now, which it will have to wait for when others want their part).
    pub lag: i64,
}
