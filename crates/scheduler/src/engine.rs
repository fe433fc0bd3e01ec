// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! One engine: who lives here, who holds it, and the rule by which it is given.

use crate::host::HostPartition;
use crate::policy::{Discipline, Policy, Standing};
use crate::table::Slot;
use crate::{Nanos, Ppm, VmId, VmProfile};

/// Who has a seat in an engine's discipline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occupant {
    /// A server VM, by its slot among all VMs.
    Vm(Slot),
    /// The client VMs of this engine, together.
    Host,
}

/// In what right a VM holds an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tenure {
    /// It is a server VM at home: its seat.
    Own(Slot),
    /// It is a client VM whose turn it is in the host partition.
    Client,
    /// The engine had nothing to do. No claim of anybody's is touched; this is what it has run so far.
    Loan { used: u64 },
}

/// Who holds an engine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Holder {
    pub(crate) vm: Slot,
    pub(crate) tenure: Tenure,
    /// When the unit that runs began, as far as this side can know.
    pub(crate) unit_began: u64,
    /// The unit that runs hangs, and the caller was told.
    pub(crate) hung: bool,
}

/// One engine.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) discipline: Box<dyn Discipline>,
    seats: Vec<Option<Occupant>>,
    free_seats: Vec<Slot>,
    pub(crate) host: Option<HostPartition>,
    pub(crate) holder: Option<Holder>,
    /// The holder was told to end its unit.
    pub(crate) preempted: bool,
    /// Someone with a better claim waits until the holder's grace ends.
    pub(crate) grace_ends: Option<u64>,
    pub(crate) busy: Nanos,
    /// The sum of the guarantees given here.
    pub(crate) given: u32,
}

impl Engine {
    /// An engine of which this much is promised from the start.
    pub(crate) fn new(policy: Policy, given: u32) -> Self {
        Self {
            discipline: policy.discipline(),
            seats: Vec::new(),
            free_seats: Vec::new(),
            host: None,
            holder: None,
            preempted: false,
            grace_ends: None,
            busy: Nanos(0),
            given,
        }
    }

    /// How many have a seat here, the host partition included.
    pub(crate) fn seated(&self) -> usize {
        self.seats.len() - self.free_seats.len()
    }

    pub(crate) fn occupant(&self, seat: Slot) -> Option<Occupant> {
        *self.seats.get(seat.index())?
    }

    /// Everyone who has a seat, in the order of the seats.
    pub(crate) fn occupants(&self) -> impl Iterator<Item = (Slot, Occupant)> + '_ {
        let seats = self.seats.iter().zip(0..);
        seats.filter_map(|(occupant, seat)| Some((Slot(seat), (*occupant)?)))
    }

    /// Gives a newcomer a seat, asleep; `None` if there are 2^32 - 1 already.
    pub(crate) fn seat(
        &mut self,
        occupant: Occupant,
        id: VmId,
        profile: &VmProfile,
        standing: Standing,
    ) -> Option<Slot> {
        let seat = match self.free_seats.pop() {
            Some(seat) => seat,
            None => {
                let seat = Slot(u32::try_from(self.seats.len()).ok()?);
                crate::table::grow(&mut self.seats);
                self.seats.push(None);
                // Leaving must not allocate.
                crate::table::make_room(&mut self.free_seats, self.seats.len());
                seat
            }
        };
        if let Some(place) = self.seats.get_mut(seat.index()) {
            *place = Some(occupant);
        }
        self.discipline.join(seat, id, profile, standing);
        Some(seat)
    }

    /// Takes somebody's seat away, whatever it was doing.
    pub(crate) fn unseat(&mut self, seat: Slot) {
        self.discipline.leave(seat);
        if let Some(place) = self.seats.get_mut(seat.index())
            && place.take().is_some()
        {
            self.free_seats.push(seat);
        }
    }

    /// What is not promised to anybody of `whole`.
    pub(crate) fn free(&self, whole: Ppm) -> u32 {
        whole.get().saturating_sub(self.given)
    }

    /// Whether the holder is here by right, and not because nobody else was.
    pub(crate) fn held_by_right(&self) -> bool {
        self.holder
            .is_some_and(|holder| !matches!(holder.tenure, Tenure::Loan { .. }))
    }
}
