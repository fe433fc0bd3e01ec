// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The commands that were taken off a queue and have not been answered.

use rondo_protocol::ResponseHeader;

use super::chain::ResponseSpace;
use super::hazard::{Touches, Work};
use super::reply::Reply;
use super::ring::RingId;
use super::timeline::Timeline;

/// Names a command in flight. Tickets of answered commands are given out again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(usize);

impl Ticket {
    #[cfg(test)]
    pub(crate) const fn new(slot: usize) -> Self {
        Self(slot)
    }

    #[cfg(test)]
    pub(crate) const fn slot(self) -> usize {
        self.0
    }
}

/// A command in flight.
#[derive(Debug)]
pub(crate) struct Pending {
    /// Where its chain goes back to.
    pub origin: Origin,
    /// The fence's timeline, if it has a fence.
    pub timeline: Option<Timeline>,
    /// What it touches.
    pub touches: Touches,
    /// Who does the work.
    pub work: Work,
    /// The request's bytes, as long as it waits for earlier commands.
    pub request: Vec<u8>,
    /// The answer, once it is known.
    pub reply: Option<Reply>,
}

/// A chain: where it came from and where its answer goes.
#[derive(Debug)]
pub(crate) struct Origin {
    /// The queue.
    pub ring: RingId,
    /// The chain's head in that queue.
    pub head: u16,
    /// The writable part.
    pub space: ResponseSpace,
    /// What the answer echoes.
    pub header: ResponseHeader,
}

/// A table of commands in flight that is never larger than it was made.
#[derive(Debug)]
pub(crate) struct InFlight {
    slots: Vec<Option<Pending>>,
    free: Vec<usize>,
    waiting_bytes: usize,
}

impl InFlight {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            slots: std::iter::repeat_with(|| None).take(capacity).collect(),
            free: (0..capacity).rev().collect(),
            waiting_bytes: 0,
        }
    }

    pub(crate) fn has_room(&self) -> bool {
        !self.free.is_empty()
    }

    /// Bytes of requests that are kept.
    pub(crate) const fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// Takes in a command. `None` if there is no room, which the caller made sure of.
    pub(crate) fn insert(&mut self, pending: Pending) -> Option<Ticket> {
        let slot = self.free.pop()?;
        self.waiting_bytes = self.waiting_bytes.saturating_add(pending.request.len());
        *self.slots.get_mut(slot)? = Some(pending);
        Some(Ticket(slot))
    }

    pub(crate) fn get_mut(&mut self, ticket: Ticket) -> Option<&mut Pending> {
        self.slots.get_mut(ticket.0)?.as_mut()
    }

    /// The request's bytes, which are no longer kept.
    pub(crate) fn take_request(&mut self, ticket: Ticket) -> Option<Vec<u8>> {
        let request = std::mem::take(&mut self.get_mut(ticket)?.request);
        self.waiting_bytes = self.waiting_bytes.saturating_sub(request.len());
        Some(request)
    }

    /// The request's bytes are kept again.
    pub(crate) fn put_request(&mut self, ticket: Ticket, request: Vec<u8>) {
        let len = request.len();
        if let Some(pending) = self.get_mut(ticket) {
            pending.request = request;
            self.waiting_bytes = self.waiting_bytes.saturating_add(len);
        }
    }

    /// Lets go of a command that is answered.
    pub(crate) fn remove(&mut self, ticket: Ticket) -> Option<Pending> {
        let pending = self.slots.get_mut(ticket.0)?.take()?;
        self.waiting_bytes = self.waiting_bytes.saturating_sub(pending.request.len());
        self.free.push(ticket.0);
        Some(pending)
    }
}
