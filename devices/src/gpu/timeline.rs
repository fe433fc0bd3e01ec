// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Fences: in which order commands may be answered.
//!
//! A guest that sees a fence signalled takes every earlier fence of the same timeline for signalled too (Linux does). So
//! on each timeline fenced commands are answered in the order of their submission; a command that is done early is held
//! until the ones before it are done. Without `INFO_RING_IDX` a fence is on the device-wide timeline; with it, on the
//! timeline of that ring of that context. Commands without a fence are never held.

use std::collections::VecDeque;

use rondo_protocol::{ContextId, CtrlHeader};

use super::in_flight::Ticket;

/// A line of fences that signal in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timeline {
    /// Fences without a ring.
    Device,
    /// Fences of one ring of one context.
    Ring(ContextId, u8),
}

impl Timeline {
    /// The timeline of a request's fence; `None` if it has no fence.
    pub(crate) fn of(header: &CtrlHeader) -> Option<Self> {
        header.fence.map(|_| match header.ring_idx {
            None => Self::Device,
            Some(ring) => Self::Ring(header.ctx_id, ring),
        })
    }
}

#[derive(Clone, Copy, Debug)]
struct Fence {
    ticket: Ticket,
    timeline: Timeline,
    done: bool,
}

/// The fences that have not signalled, oldest first. All timelines share one line: at most
/// [`MAX_IN_FLIGHT`](super::limits::MAX_IN_FLIGHT) fences, nothing to create or forget per ring.
#[derive(Debug)]
pub(crate) struct Timelines {
    fences: VecDeque<Fence>,
}

impl Timelines {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            fences: VecDeque::with_capacity(capacity),
        }
    }

    /// Whether a command that is done already must be held: an earlier fence of its timeline has not signalled.
    pub(crate) fn holds(&self, timeline: Timeline) -> bool {
        self.fences.iter().any(|fence| fence.timeline == timeline)
    }

    /// A fence that will signal later joins its timeline.
    pub(crate) fn admit(&mut self, ticket: Ticket, timeline: Timeline) {
        self.fences.push_back(Fence {
            ticket,
            timeline,
            done: false,
        });
    }

    /// The command is done. Appends the tickets that may be answered now to `signalled`, in order.
    pub(crate) fn complete(&mut self, ticket: Ticket, signalled: &mut Vec<Ticket>) {
        let Some(place) = self.fences.iter().position(|fence| fence.ticket == ticket) else {
            return;
        };
        let Some(fence) = self.fences.get_mut(place) else {
            return;
        };
        fence.done = true;
        let timeline = fence.timeline;
        if self
            .fences
            .iter()
            .take(place)
            .any(|fence| fence.timeline == timeline)
        {
            return;
        }
        // It is the oldest of its timeline: it signals, and with it every one behind it that is done without a gap.
        let mut gap = false;
        self.fences.retain(|fence| {
            if fence.timeline != timeline || gap {
                return true;
            }
            if !fence.done {
                gap = true;
                return true;
            }
            signalled.push(fence.ticket);
            false
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ticket(number: usize) -> Ticket {
        Ticket::new(number)
    }

    #[test]
    fn given_a_later_fence_done_first_then_both_signal_in_order() {
        let mut timelines = Timelines::new(4);
        timelines.admit(ticket(0), Timeline::Device);
        timelines.admit(ticket(1), Timeline::Device);
        let mut signalled = Vec::new();
        timelines.complete(ticket(1), &mut signalled);
        assert!(signalled.is_empty());
        timelines.complete(ticket(0), &mut signalled);
        assert_eq!(signalled, [ticket(0), ticket(1)]);
        assert!(!timelines.holds(Timeline::Device));
    }

    #[test]
    fn rings_do_not_wait_for_each_other_nor_for_the_device() {
        let ring = |ctx, ring| Timeline::Ring(ContextId::new(ctx), ring);
        let mut timelines = Timelines::new(4);
        timelines.admit(ticket(0), Timeline::Device);
        timelines.admit(ticket(1), ring(1, 0));
        timelines.admit(ticket(2), ring(1, 1));
        timelines.admit(ticket(3), ring(2, 0));
        let mut signalled = Vec::new();
        for number in [3, 2, 1] {
            timelines.complete(ticket(number), &mut signalled);
        }
        assert_eq!(signalled, [ticket(3), ticket(2), ticket(1)]);
        assert!(timelines.holds(Timeline::Device) && !timelines.holds(ring(1, 0)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn every_fence_signals_once_and_in_order_whatever_the_order_of_completion(
            rings in prop::collection::vec(0u8..3, 1..40),
            order in Just((0..40usize).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let timeline = |ring: u8| match ring {
                0 => Timeline::Device,
                ring => Timeline::Ring(ContextId::NONE, ring),
            };
            let mut timelines = Timelines::new(64);
            for (number, ring) in rings.iter().enumerate() {
                timelines.admit(ticket(number), timeline(*ring));
            }
            let mut signalled = Vec::new();
            let mut done = vec![false; rings.len()];
            for number in order.into_iter().filter(|number| *number < rings.len()) {
                done[number] = true;
                timelines.complete(ticket(number), &mut signalled);
                for waiting in (0..rings.len()).filter(|n| done[*n] && !signalled.contains(&ticket(*n))) {
                    prop_assert!(
                        (0..waiting).any(|n| rings[n] == rings[waiting] && !done[n]),
                        "{} is held for nothing", waiting
                    );
                }
            }
            let mut slots: Vec<usize> = signalled.iter().map(|ticket| ticket.slot()).collect();
            for ring in 0..3 {
                let of_ring: Vec<usize> = slots.iter().copied().filter(|n| rings[*n] == ring).collect();
                prop_assert!(of_ring.is_sorted());
            }
            slots.sort_unstable();
            prop_assert_eq!(slots, (0..rings.len()).collect::<Vec<_>>());
        }
    }
}
