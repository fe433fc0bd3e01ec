// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What a VM asks for, and when.

use std::collections::VecDeque;

use crate::random::Random;
use crate::scenario::{MS, SECOND};

/// A unit that runs this long is hung: its context is killed and the engine reset.
pub const HANG_TIMEOUT: u64 = 250 * MS;
/// How long a reset takes; charged to the VM whose context hung.
pub const RESET: u64 = 10 * MS;
/// The longest request that a Pareto load makes, so that its tail ends.
pub const LONGEST_PARETO: u64 = 10 * SECOND;

/// A load; all times in nanoseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Load {
    /// Always busy: the next request comes when the last one ends.
    Backlogged {
        /// Of a request.
        length: u64,
    },
    /// One request at a time, the next one `think` after the last one ended; the first at 0.
    Closed {
        /// Of a request.
        length: u64,
        /// The pause.
        think: u64,
    },
    /// For `on` a request every `length`, as many as an engine alone could do; then none for `off`; and again.
    Bursty {
        /// Of a request.
        length: u64,
        /// How long requests come.
        on: u64,
        /// How long none come.
        off: u64,
    },
    /// A request every `period`, from 0 on.
    Frames {
        /// Of a request.
        length: u64,
        /// From one to the next.
        period: u64,
    },
    /// Requests that come independently of each other.
    Poisson {
        /// Of a request.
        length: u64,
        /// The mean of the exponential time from one to the next.
        mean_gap: u64,
    },
    /// The same, with lengths that have a heavy tail (ended at [`LONGEST_PARETO`]).
    Pareto {
        /// The shortest.
        min: u64,
        /// The exponent of the tail, in thousandths.
        alpha_thousandths: u64,
        /// The mean of the exponential time from one to the next.
        mean_gap: u64,
    },
    /// One request that never ends by itself: it is killed after [`HANG_TIMEOUT`], and the engine is reset.
    Hang {
        /// When it comes.
        after: u64,
    },
    /// Always busy with units of `length`, which it says are at most `declared`.
    Liar {
        /// What it says.
        declared: u64,
        /// What is true.
        length: u64,
    },
    /// Requests `(arrival, length)` in order of arrival.
    List {
        /// The requests.
        requests: Vec<(u64, u64)>,
    },
}

impl Load {
    /// Whether it always has more work, so that a fluid engine never runs out of it either.
    #[must_use]
    pub fn endless(&self) -> bool {
        matches!(self, Self::Backlogged { .. } | Self::Liar { .. })
    }

    /// The longest request that it can make; of one that hangs, nothing is known.
    #[must_use]
    pub fn longest(&self) -> u64 {
        match self {
            Self::Backlogged { length }
            | Self::Closed { length, .. }
            | Self::Bursty { length, .. }
            | Self::Frames { length, .. }
            | Self::Poisson { length, .. }
            | Self::Liar { length, .. } => *length,
            Self::Pareto { .. } => LONGEST_PARETO,
            Self::Hang { .. } => 0,
            Self::List { requests } => requests
                .iter()
                .map(|&(_, length)| length)
                .max()
                .unwrap_or(0),
        }
    }

    /// The one length that its requests have or start from, if there is one.
    pub(crate) fn lengths_mut(&mut self) -> impl Iterator<Item = &mut u64> {
        match self {
            Self::Backlogged { length }
            | Self::Closed { length, .. }
            | Self::Bursty { length, .. }
            | Self::Frames { length, .. }
            | Self::Poisson { length, .. }
            | Self::Liar { length, .. } => Some(length),
            Self::Pareto { min, .. } => Some(min),
            Self::Hang { .. } | Self::List { .. } => None,
        }
        .into_iter()
    }

    /// Whether its requests hang.
    #[must_use]
    pub fn hangs(&self) -> bool {
        matches!(self, Self::Hang { .. })
    }
}

/// The requests of one VM, one after the other.
#[derive(Clone, Debug)]
pub struct Requests {
    load: Load,
    random: Random,
    next: Option<(u64, u64)>,
    /// Of a bursty load: when the present burst began.
    burst: u64,
    rest: VecDeque<(u64, u64)>,
}

impl Requests {
    /// The requests of `load`; `random` is this VM's own stream.
    #[must_use]
    pub fn new(load: &Load, mut random: Random) -> Self {
        let mut rest = VecDeque::new();
        let next = match load {
            Load::Backlogged { length }
            | Load::Closed { length, .. }
            | Load::Liar { length, .. }
            | Load::Bursty { length, .. }
            | Load::Frames { length, .. } => Some((0, *length)),
            Load::Poisson { length, mean_gap } => Some((random.exponential(*mean_gap), *length)),
            Load::Pareto {
                min,
                alpha_thousandths,
                mean_gap,
            } => {
                let at = random.exponential(*mean_gap);
                Some((at, random.pareto(*min, *alpha_thousandths, LONGEST_PARETO)))
            }
            Load::Hang { after } => Some((*after, HANG_TIMEOUT)),
            Load::List { requests } => {
                rest.extend(requests.iter().copied());
                rest.pop_front()
            }
        };
        Self {
            load: load.clone(),
            random,
            next,
            burst: 0,
            rest,
        }
    }

    /// When the next request comes, if that is known yet.
    #[must_use]
    pub fn next_arrival(&self) -> Option<u64> {
        self.next.map(|(arrival, _)| arrival)
    }

    /// Takes the request that has come by `now`: `(arrival, length)`.
    pub fn take(&mut self, now: u64) -> Option<(u64, u64)> {
        let (arrival, length) = self.next.filter(|&(arrival, _)| arrival <= now)?;
        self.next = match self.load {
            Load::Backlogged { .. }
            | Load::Closed { .. }
            | Load::Liar { .. }
            | Load::Hang { .. } => None,
            Load::Bursty { length, on, off } => {
                let mut at = arrival + length;
                if at - self.burst >= on {
                    self.burst += on + off;
                    // Back to back bursts of a length that does not divide them keep their pace.
                    at = at.max(self.burst);
                }
                Some((at, length))
            }
            Load::Frames { length, period } => Some((arrival + period, length)),
            Load::Poisson { length, mean_gap } => Some((
                arrival.saturating_add(self.random.exponential(mean_gap)),
                length,
            )),
            Load::Pareto {
                min,
                alpha_thousandths,
                mean_gap,
            } => {
                let at = arrival.saturating_add(self.random.exponential(mean_gap));
                Some((
                    at,
                    self.random.pareto(min, alpha_thousandths, LONGEST_PARETO),
                ))
            }
            Load::List { .. } => self.rest.pop_front(),
        };
        Some((arrival, length))
    }

    /// A request ended at `now`: what a closed loop does then.
    pub fn ended(&mut self, now: u64) {
        match self.load {
            Load::Backlogged { length } | Load::Liar { length, .. } => {
                self.next = Some((now, length))
            }
            Load::Closed { length, think } => self.next = Some((now + think, length)),
            _ => {}
        }
    }
}
