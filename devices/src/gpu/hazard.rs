// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Which command must wait for which: a scoreboard of the commands in flight.
//!
//! Problem: rendering waits for the VM's slice, while probing, mode setting and teardown must not. Rule: a command never
//! overtakes an earlier one, still in flight, that touches the same resource, scanout or cursor; all others may pass.
//! Two pieces of GPU work are the exception: the hardware queue runs them first in, first out, so the later one may be
//! submitted as soon as the earlier one is. A command that finds no memory while earlier ones wait, which may free some,
//! waits for all of them: it must not fail for having passed them. It terminates because a command only ever waits for
//! earlier ones.
//!
//! Every command counts its *blockers*, earlier entries it conflicts with, when it is admitted; each entry that ends
//! lowers the count of the later ones. Both are one pass over at most [`MAX_IN_FLIGHT`](super::limits::MAX_IN_FLIGHT)
//! entries, and nothing is allocated after the start.

use std::collections::VecDeque;

use rondo_protocol::ResourceId;

use super::in_flight::Ticket;

/// What a command touches. Contexts join when 3D does; 2D work has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Touches {
    /// The resource, if any.
    pub resource: Option<ResourceId>,
    /// The scanouts, one bit each.
    pub scanouts: u16,
    /// The cursors of these scanouts, one bit each.
    pub cursors: u16,
    /// Whatever earlier commands touch, for the memory that they may free.
    pub memory: bool,
}

impl Touches {
    /// Nothing: the command passes everything.
    pub(crate) const NOTHING: Self = Self {
        resource: None,
        scanouts: 0,
        cursors: 0,
        memory: false,
    };

    const fn is_nothing(&self) -> bool {
        self.resource.is_none() && self.scanouts == 0 && self.cursors == 0 && !self.memory
    }

    fn conflicts(&self, later: &Self) -> bool {
        (self.resource.is_some() && self.resource == later.resource)
            || self.scanouts & later.scanouts != 0
            || self.cursors & later.cursors != 0
            || later.memory
    }
}

/// Who does the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// The device itself, at once.
    Control,
    /// The GPU, on the display context's hardware queue.
    Gpu,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    ticket: Ticket,
    touches: Touches,
    work: Work,
    /// GPU work that is on the hardware queue.
    submitted: bool,
    /// Earlier entries that it waits for.
    blockers: u16,
}

impl Entry {
    /// Whether `later`, admitted after this entry, must wait for it now.
    fn blocks(&self, touches: &Touches, work: Work) -> bool {
        let in_order = self.submitted && work == Work::Gpu;
        !in_order && self.touches.conflicts(touches)
    }
}

/// The commands in flight that touch something, oldest first.
#[derive(Debug)]
pub(crate) struct Scoreboard {
    entries: VecDeque<Entry>,
}

impl Scoreboard {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            entries: VecDeque::with_capacity(capacity),
        }
    }

    /// How many commands in flight a new one must wait for.
    pub(crate) fn blockers(&self, touches: &Touches, work: Work) -> u16 {
        if touches.is_nothing() {
            return 0;
        }
        let count = self
            .entries
            .iter()
            .filter(|entry| entry.blocks(touches, work))
            .count();
        u16::try_from(count).unwrap_or(u16::MAX)
    }

    /// What the commands in flight that touch `resource` touch in all: where it may be shown by the time they are done.
    pub(crate) fn around(&self, resource: ResourceId) -> Touches {
        let mut all = Touches {
            resource: Some(resource),
            ..Touches::NOTHING
        };
        for entry in &self.entries {
            if entry.touches.resource == Some(resource) {
                all.scanouts |= entry.touches.scanouts;
                all.cursors |= entry.touches.cursors;
            }
        }
        all
    }

    /// Whether some command waits for others.
    pub(crate) fn somebody_waits(&self) -> bool {
        self.entries.iter().any(|entry| entry.blockers > 0)
    }

    /// A command that was started waits again, for all earlier ones. `false` if there are none.
    pub(crate) fn wait_for_memory(&mut self, ticket: Ticket) -> bool {
        let Some(place) = self.place(ticket) else {
            return false;
        };
        let count = u16::try_from(place).unwrap_or(u16::MAX);
        if let Some(entry) = self.entries.get_mut(place) {
            debug_assert!(entry.work == Work::Control && entry.blockers == 0);
            entry.touches.memory = true;
            entry.blockers = count;
        }
        count > 0
    }

    /// A command joins behind all others. One without blockers starts right away: GPU work must be on its hardware queue.
    pub(crate) fn admit(&mut self, ticket: Ticket, touches: Touches, work: Work, blockers: u16) {
        debug_assert_eq!(blockers, self.blockers(&touches, work), "stale blockers");
        self.entries.push_back(Entry {
            ticket,
            touches,
            work,
            submitted: work == Work::Gpu && blockers == 0,
            blockers,
        });
    }

    /// GPU work that waited is on its hardware queue now; later GPU work may follow. Appends what may start to `ready`.
    pub(crate) fn submitted(&mut self, ticket: Ticket, ready: &mut Vec<Ticket>) {
        let Some(place) = self.place(ticket) else {
            return;
        };
        let Some(entry) = self.entries.get_mut(place) else {
            return;
        };
        entry.submitted = true;
        let touches = entry.touches;
        for later in self.entries.iter_mut().skip(place.saturating_add(1)) {
            if later.work == Work::Gpu && touches.conflicts(&later.touches) {
                later.unblock(ready);
            }
        }
    }

    /// The command is done. Appends what may start to `ready`, oldest first.
    pub(crate) fn complete(&mut self, ticket: Ticket, ready: &mut Vec<Ticket>) {
        let Some(place) = self.place(ticket) else {
            return;
        };
        let Some(done) = self.entries.remove(place) else {
            return;
        };
        for later in self.entries.iter_mut().skip(place) {
            if done.blocks(&later.touches, later.work) {
                later.unblock(ready);
            }
        }
    }

    fn place(&self, ticket: Ticket) -> Option<usize> {
        self.entries.iter().position(|entry| entry.ticket == ticket)
    }

    /// Commands in flight that touch something.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

impl Entry {
    fn unblock(&mut self, ready: &mut Vec<Ticket>) {
        debug_assert!(self.blockers > 0, "unblocked a command that waits for none");
        self.blockers = self.blockers.saturating_sub(1);
        if self.blockers == 0 {
            ready.push(self.ticket);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn touches(resource: u32, scanouts: u16, cursors: u16) -> Touches {
        Touches {
            resource: ResourceId::new(resource),
            scanouts,
            cursors,
            memory: false,
        }
    }

    fn ticket(number: usize) -> Ticket {
        Ticket::new(number)
    }

    #[test]
    fn given_work_on_a_resource_then_its_unref_waits_and_another_resource_passes() {
        let mut board = Scoreboard::new(8);
        board.admit(ticket(0), touches(1, 0, 0), Work::Gpu, 0);
        assert_eq!(board.blockers(&touches(1, 0, 0), Work::Control), 1);
        assert_eq!(board.blockers(&touches(2, 0, 0), Work::Control), 0);
        board.admit(ticket(1), touches(1, 0, 0), Work::Control, 1);
        let mut ready = Vec::new();
        board.complete(ticket(0), &mut ready);
        assert_eq!(ready, [ticket(1)]);
    }

    #[test]
    fn given_gpu_work_that_waits_then_later_gpu_work_on_the_same_resource_follows_its_submission() {
        let mut board = Scoreboard::new(8);
        board.admit(ticket(0), touches(1, 0, 0), Work::Gpu, 0);
        board.admit(ticket(1), touches(1, 1, 0), Work::Control, 1);
        board.admit(ticket(2), touches(1, 1, 0), Work::Gpu, 1);
        let blockers = board.blockers(&touches(1, 0, 0), Work::Gpu);
        assert_eq!(blockers, 2, "the control command and the work behind it");
        board.admit(ticket(3), touches(1, 0, 0), Work::Gpu, blockers);
        let mut ready = Vec::new();
        board.complete(ticket(0), &mut ready);
        board.complete(ticket(1), &mut ready);
        assert_eq!(ready, [ticket(1), ticket(2)]);
        ready.clear();
        board.submitted(ticket(2), &mut ready);
        assert_eq!(ready, [ticket(3)]);
    }

    #[derive(Clone, Copy, Debug)]
    enum Phase {
        Waiting,
        Running,
        Done,
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        /// Against the rule written out over the whole history, pair by pair.
        #[test]
        fn nothing_overtakes_an_earlier_conflicting_command_and_everything_ends(
            commands in prop::collection::vec((0u32..4, 0u16..4, 0u16..2, any::<bool>(), prop::bool::weighted(0.1)), 1..40),
            picks in prop::collection::vec(any::<prop::sample::Index>(), 200),
        ) {
            let all: Vec<(Touches, Work)> = commands
                .iter()
                .map(|&(r, s, c, gpu, memory)| {
                    let touches = Touches { memory: memory && !gpu, ..touches(r, s, c) };
                    (touches, if gpu { Work::Gpu } else { Work::Control })
                })
                .collect();
            let mut board = Scoreboard::new(64);
            let mut phases: Vec<Phase> = Vec::new();
            // The FIFO of the hardware queue.
            let mut hw: VecDeque<usize> = VecDeque::new();
            let mut ready: Vec<Ticket> = Vec::new();
            let mut next = 0;
            for pick in picks {
                let control: Vec<usize> = (0..phases.len())
                    .filter(|i| matches!(phases[*i], Phase::Running) && all[*i].1 == Work::Control)
                    .collect();
                let choices = control.len() + usize::from(!hw.is_empty()) + usize::from(next < all.len());
                if choices == 0 {
                    break;
                }
                let choice = pick.index(choices);
                if choice < control.len() {
                    phases[control[choice]] = Phase::Done;
                    board.complete(ticket(control[choice]), &mut ready);
                } else if choice == control.len() && !hw.is_empty() {
                    let front = hw.pop_front().unwrap();
                    phases[front] = Phase::Done;
                    board.complete(ticket(front), &mut ready);
                } else {
                    let (touches, work) = all[next];
                    let blockers = board.blockers(&touches, work);
                    board.admit(ticket(next), touches, work, blockers);
                    phases.push(Phase::Waiting);
                    if blockers == 0 {
                        start(next, &all, &mut phases, &mut hw)?;
                    }
                    next += 1;
                }
                while !ready.is_empty() {
                    let started = ready.remove(0).slot();
                    start(started, &all, &mut phases, &mut hw)?;
                    if all[started].1 == Work::Gpu {
                        board.submitted(ticket(started), &mut ready);
                    }
                }
                // Nothing waits without a reason.
                for i in 0..phases.len() {
                    if matches!(phases[i], Phase::Waiting) {
                        let reason = (0..i).any(|e| {
                            all[e].0.conflicts(&all[i].0) && !matches!(phases[e], Phase::Done)
                        });
                        prop_assert!(reason, "{i} waits for nothing");
                    }
                }
            }
            prop_assert_eq!(
                board.len(),
                phases.iter().filter(|phase| !matches!(phase, Phase::Done)).count()
            );
        }
    }

    fn start(
        index: usize,
        all: &[(Touches, Work)],
        phases: &mut [Phase],
        hw: &mut VecDeque<usize>,
    ) -> Result<(), TestCaseError> {
        prop_assert!(
            matches!(phases[index], Phase::Waiting),
            "{} started twice",
            index
        );
        for earlier in 0..index {
            if all[earlier].0.conflicts(&all[index].0) {
                let same_queue = all[earlier].1 == Work::Gpu && all[index].1 == Work::Gpu;
                let allowed = match phases[earlier] {
                    Phase::Done => true,
                    Phase::Running => same_queue,
                    Phase::Waiting => false,
                };
                prop_assert!(allowed, "{} overtook {}", index, earlier);
            }
        }
        phases[index] = Phase::Running;
        if all[index].1 == Work::Gpu {
            hw.push_back(index);
        }
        Ok(())
    }
}
