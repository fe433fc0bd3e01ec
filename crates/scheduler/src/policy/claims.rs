// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! VMs on their rulers, and the two queues between which virtual time moves them: those who are due wait by finish tag, those
//! who are ahead by start tag.
//!
//! `guaranteed` and `fair` differ in how virtual time moves, and in what they do when nobody is due; what is due, who of
//! those is first, and who is owed nothing is the same, and is here.
//!
//! VMs may be told apart in *classes*. All classes' clocks move together, but one can be put forward by itself
//! ([`ClaimQueue::lend`]): tags are on the clock of their VM's class, and where VMs of several classes are compared, by
//! what is left until then. A clock is put forward only while nobody is due, so no comparison ever changes while it counts.

use super::tags::Tags;
use super::virtual_time::Virtual;
use crate::heap::Heap;
use crate::table::{Slot, make_room};

/// The VMs of one engine, by claim.
#[derive(Debug)]
pub(super) struct ClaimQueue<const CLASSES: usize> {
    vms: Vec<Option<Tags>>,
    /// Virtual time, but for what was lent; never goes back.
    now: Virtual,
    /// By how much the clock of each class has been put forward.
    lead: [Virtual; CLASSES],
    /// Queued and due, by finish tag less the lead.
    due: Heap,
    /// Queued and ahead, by start tag.
    ahead: [Heap; CLASSES],
    /// How many belong to each class: so much room its queue has.
    members: [usize; CLASSES],
    /// Who became due exactly at `level_at`, and perhaps has left the queue since.
    level: Vec<Slot>,
    level_at: Virtual,
    level_number: u64,
    holder: Option<Slot>,
    /// Counts how often the engine was given to somebody.
    grants: u64,
    /// How many of those who are due ask for the engine before the holder's request has ended.
    asking: usize,
    /// Counts what is queued: equal claims are served in turn.
    turn: u64,
}

impl<const CLASSES: usize> Default for ClaimQueue<CLASSES> {
    fn default() -> Self {
        Self {
            vms: Vec::new(),
            now: 0,
            lead: [0; CLASSES],
            due: Heap::default(),
            ahead: std::array::from_fn(|_| Heap::default()),
            members: [0; CLASSES],
            level: Vec::new(),
            level_at: 0,
            level_number: 1,
            holder: None,
            grants: 1,
            asking: 0,
            turn: 0,
        }
    }
}

impl<const CLASSES: usize> ClaimQueue<CLASSES> {
    pub(super) fn join(&mut self, slot: Slot, tags: Tags) {
        let slots = slot.index() + 1;
        if self.vms.len() < slots {
            make_room(&mut self.vms, slots);
            self.vms.resize(slots, None);
            self.due.reserve(slots);
            make_room(&mut self.level, slots);
        }
        self.enter(tags.class());
        self.vms[slot.index()] = Some(tags);
    }

    /// Takes a VM that sleeps out of everything.
    pub(super) fn leave(&mut self, slot: Slot) -> Option<Tags> {
        let tags = self.vms.get_mut(slot.index()).and_then(Option::take)?;
        self.members[tags.class()] -= 1;
        Some(tags)
    }

    /// Makes room in the queue of a class for one more.
    fn enter(&mut self, class: usize) {
        self.members[class] += 1;
        let (slots, members) = (self.vms.len(), self.members[class]);
        self.ahead[class].reserve_for(slots, members);
    }

    /// A VM that is not queued belongs to another class from now on: what it owes, or is owed, stays.
    pub(super) fn change_class(&mut self, slot: Slot, class: usize) {
        let lead = self.lead;
        let Some(tags) = self.tags_mut(slot).filter(|tags| tags.class() != class) else {
            return;
        };
        let (old, new) = (lead[tags.class()], lead[class]);
        tags.start = tags.start.saturating_sub(old).saturating_add(new);
        tags.finish = tags.finish.saturating_sub(old).saturating_add(new);
        let left = tags.replace_class(class);
        self.members[left] -= 1;
        self.enter(class);
    }

    pub(super) fn tags(&self, slot: Slot) -> Option<&Tags> {
        self.vms.get(slot.index())?.as_ref()
    }

    pub(super) fn tags_mut(&mut self, slot: Slot) -> Option<&mut Tags> {
        self.vms.get_mut(slot.index())?.as_mut()
    }

    pub(super) fn now(&self) -> Virtual {
        self.now
    }

    /// The virtual time of a class.
    pub(super) fn clock(&self, class: usize) -> Virtual {
        self.now.saturating_add(self.lead[class])
    }

    /// The virtual time of each class.
    pub(super) fn clocks(&self) -> [Virtual; CLASSES] {
        std::array::from_fn(|class| self.clock(class))
    }

    /// The virtual time of a VM.
    pub(super) fn clock_of(&self, slot: Slot) -> Virtual {
        self.clock(self.tags(slot).map_or(0, |tags| tags.class()))
    }

    /// Virtual time has come to `to`, on all clocks.
    pub(super) fn advance_to(&mut self, to: Virtual) {
        self.now = self.now.max(to);
    }

    /// Nobody is due, and the engine is lent to `class`: its clock is put forward to `to`, and those of the classes above it
    /// by as much, since they could have had the time.
    pub(super) fn lend(&mut self, class: usize, to: Virtual) {
        let by = to.saturating_sub(self.clock(class));
        for lead in &mut self.lead[..=class] {
            *lead = lead.saturating_add(by);
        }
        self.level.clear();
        self.level_number = self.level_number.wrapping_add(1);
    }

    /// The next place among equal claims.
    pub(super) fn next_turn(&mut self) -> u64 {
        self.turn = self.turn.wrapping_add(1);
        self.turn
    }

    /// Queues a VM behind all others with an equal claim.
    pub(super) fn enqueue(&mut self, slot: Slot) {
        let turn = self.next_turn();
        if let Some(tags) = self.tags_mut(slot) {
            tags.turn = turn;
        }
        self.place(slot);
    }

    /// Queues a VM where it belongs, in the turn it has.
    pub(super) fn place(&mut self, slot: Slot) {
        let Some(tags) = self.tags(slot) else { return };
        let (class, start, turn) = (tags.class(), tags.start, tags.turn);
        let now = self.clock(class);
        if start > now {
            self.ahead[class].insert(start, turn, slot);
            return;
        }
        let finish = self.finish(tags);
        let asks = tags.fresh && self.holder_finish().is_some_and(|held| finish < held);
        self.due.insert(finish, turn, slot);
        if asks {
            self.ask(slot);
        }
        if start == now {
            self.note_level(slot);
        }
    }

    /// A finish tag that can be compared with those of other classes.
    fn finish(&self, tags: &Tags) -> Virtual {
        tags.finish.saturating_sub(self.lead[tags.class()])
    }

    fn holder_finish(&self) -> Option<Virtual> {
        self.tags(self.holder?).map(|tags| self.finish(tags))
    }

    fn ask(&mut self, slot: Slot) {
        let grants = self.grants;
        if let Some(tags) = self.tags_mut(slot) {
            tags.asks_in = grants;
            self.asking += 1;
        }
    }

    fn end_asking(&mut self, slot: Slot) {
        let grants = self.grants;
        if let Some(tags) = self.tags_mut(slot)
            && tags.asks_in == grants
        {
            tags.asks_in = 0;
            self.asking -= 1;
        }
    }

    /// Remembers a VM that is due since this instant.
    fn note_level(&mut self, slot: Slot) {
        if self.level_at != self.now {
            self.level_at = self.now;
            self.level.clear();
            self.level_number = self.level_number.wrapping_add(1);
        }
        let number = self.level_number;
        if let Some(tags) = self.tags_mut(slot)
            && tags.level_in != number
        {
            tags.level_in = number;
            self.level.push(slot);
        }
    }

    /// Takes a VM out of its queue; whether it was in one.
    pub(super) fn dequeue(&mut self, slot: Slot) -> bool {
        if self.due.remove(slot) {
            self.end_asking(slot);
            return true;
        }
        let class = self.tags(slot).map_or(0, |tags| tags.class());
        self.ahead[class].remove(slot)
    }

    pub(super) fn is_queued(&self, slot: Slot) -> bool {
        let class = self.tags(slot).map_or(0, |tags| tags.class());
        self.due.contains(slot) || self.ahead[class].contains(slot)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.due.is_empty() && self.ahead.iter().all(Heap::is_empty)
    }

    /// Moves those whose start tag virtual time has reached. Each request moves at most once.
    pub(super) fn let_due(&mut self) {
        for class in 0..CLASSES {
            let now = self.clock(class);
            while let Some((start, slot)) = self.ahead[class].first()
                && start <= now
            {
                self.ahead[class].pop();
                self.place(slot);
            }
        }
    }

    pub(super) fn has_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// Who of a class is the first to become due, and its start tag.
    pub(super) fn first_ahead(&self, class: usize) -> Option<(Virtual, Slot)> {
        self.ahead[class].first()
    }

    /// Takes the one with the smallest finish tag out of those who are due.
    pub(super) fn pop_due(&mut self) -> Option<Slot> {
        self.due.pop()
    }

    /// One of those who are due, of whom virtual time has only just reached the start tag: it is owed nothing yet. The one
    /// with the smallest finish tag among them.
    pub(super) fn just_due(&self) -> Option<Slot> {
        if self.level_at != self.now {
            return None;
        }
        let claim = |&slot: &Slot| {
            let tags = self.tags(slot)?;
            let counts = self.due.contains(slot) && tags.start == self.clock(tags.class());
            counts.then_some((self.finish(tags), tags.turn, slot))
        };
        let claims = self.level.iter().filter_map(claim);
        let best = claims.min_by_key(|&(finish, turn, _)| (finish, turn));
        best.map(|(_, _, slot)| slot)
    }

    pub(super) fn holder(&self) -> Option<Slot> {
        self.holder
    }

    /// The engine is given to a VM that is queued no more. Nobody asks for it any longer.
    pub(super) fn hold(&mut self, slot: Slot) {
        self.holder = Some(slot);
        self.grants = self.grants.wrapping_add(1);
        self.asking = 0;
    }

    /// The VM gives the engine back, if it has it.
    pub(super) fn release(&mut self, slot: Slot) {
        if self.holder == Some(slot) {
            self.holder = None;
        }
    }

    /// Whether somebody asks for the engine: it became due in its first request since it woke, with a smaller finish tag
    /// than the holder.
    pub(super) fn is_asked_for(&self) -> bool {
        self.asking > 0
    }

    /// Whether anybody is due with a smaller finish tag than the holder.
    pub(super) fn has_earlier_finish(&self) -> bool {
        self.due
            .first()
            .is_some_and(|(finish, _)| self.holder_finish().is_none_or(|held| finish < held))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Nanos, Ppm, VmId, VmProfile};

    fn queue<const CLASSES: usize>(classes: &[usize]) -> ClaimQueue<CLASSES> {
        let mut queue = ClaimQueue::default();
        for (&class, slot) in classes.iter().zip(0..) {
            let profile = VmProfile {
                guarantee: Ppm::new(100_000).unwrap(),
                max_unit: Some(Nanos(100)),
                ..VmProfile::default()
            };
            let tags = Tags::new(VmId(slot), &profile, class, 0);
            queue.join(Slot(slot), tags);
        }
        queue
    }

    fn wake<const CLASSES: usize>(queue: &mut ClaimQueue<CLASSES>, slot: u32) {
        let now = queue.clock_of(Slot(slot));
        queue.tags_mut(Slot(slot)).unwrap().wake(now, false);
        queue.enqueue(Slot(slot));
    }

    #[test]
    fn given_some_who_are_late_then_only_those_who_woke_at_this_instant_are_just_due() {
        let mut queue = queue::<1>(&[0, 0, 0]);
        wake(&mut queue, 0);
        assert_eq!(queue.just_due(), Some(Slot(0)));
        queue.advance_to(10);
        assert_eq!(queue.just_due(), None);
        wake(&mut queue, 1);
        wake(&mut queue, 2);
        for _ in 0..100 {
            // However often it comes and goes, it is remembered once.
            queue.dequeue(Slot(1));
            assert_eq!(queue.just_due(), Some(Slot(2)));
            wake(&mut queue, 1);
        }
        assert_eq!(queue.level.len(), 2);
        queue.dequeue(Slot(2));
        assert_eq!(queue.just_due(), Some(Slot(1)));
        assert_eq!(queue.pop_due(), Some(Slot(0)), "the late one goes first");
    }

    #[test]
    fn given_an_asker_that_goes_then_nobody_asks_and_a_grant_ends_all_asking() {
        let mut queue = queue::<1>(&[0, 0, 0]);
        wake(&mut queue, 0);
        let holder = queue.pop_due().unwrap();
        queue.tags_mut(holder).unwrap().begin_request(10_000);
        queue.hold(holder);
        wake(&mut queue, 1);
        assert!(queue.is_asked_for());
        queue.dequeue(Slot(1));
        assert!(!queue.is_asked_for());
        wake(&mut queue, 1);
        wake(&mut queue, 2);
        queue.release(holder);
        let next = queue.pop_due().unwrap();
        queue.hold(next);
        assert!(!queue.is_asked_for());
        queue.dequeue(Slot(2));
        assert!(!queue.is_asked_for());
    }

    #[test]
    fn given_classes_when_time_is_lent_to_one_then_the_clocks_below_it_stay_and_debts_go_along_to_another_class()
     {
        let mut queue = queue::<3>(&[0, 1, 2]);
        queue.lend(1, 1_000);
        assert_eq!(queue.clocks(), [1_000, 1_000, 0]);
        queue.lend(2, 50);
        assert_eq!(queue.clocks(), [1_050, 1_050, 50]);
        queue.tags_mut(Slot(1)).unwrap().start = 1_080;
        queue.change_class(Slot(1), 2);
        assert_eq!(queue.tags(Slot(1)).unwrap().start, 80);
        queue.change_class(Slot(1), 0);
        assert_eq!(queue.tags(Slot(1)).unwrap().start, 1_080);
    }
}
