// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! One driver's life with the device, from DRIVER_OK to reset: taking commands off the queues, starting them when they
//! may start, answering them when they may be answered.

use std::collections::VecDeque;

use rondo_adapter::ddi::Completion;
use rondo_adapter::status::NtStatus;
use rondo_protocol::limits::MAX_RESPONSE_LEN;
use rondo_protocol::{
    Command, CtrlHeader, ErrorCode, HEADER_LEN, Queue, Request, Response, ResponseHeader, decode,
};
use vm_memory::GuestAddressSpace;

use super::chain;
use super::dependencies;
use super::display_events::DisplayEvents;
use super::hazard::{Scoreboard, Touches, Work};
use super::in_flight::{InFlight, Origin, Pending, Ticket};
use super::limits::{DRAIN_BUDGET, MAX_IN_FLIGHT, MAX_WAITING_BYTES};
use super::reply::{Reply, Subject, error_code};
use super::ring::{Ring, RingBroken, RingId};
use super::ring_memory::RingMemory;
use super::timeline::{Timeline, Timelines};
use super::translate::{Outcome, Translator};
use crate::virtio::{Activation, Interrupt, MemoryHandle};

/// Whether a turn of service left something to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// The queues are empty, or wait for commands in flight.
    Idle,
    /// The budget is spent.
    More,
}

/// The cursor commands that may be taken once the control queue has come as far as it was when they were seen: a cursor
/// image is never read before the transfer that was queued ahead of it.
#[derive(Clone, Copy, Debug)]
struct CursorGate {
    control: u16,
    cursor: u16,
}

/// A live device.
#[derive(Debug)]
pub(crate) struct Session {
    memory: MemoryHandle,
    interrupt: Interrupt,
    control: Option<Ring>,
    cursor: Option<Ring>,
    gate: Option<CursorGate>,
    translator: Translator,
    scoreboard: Scoreboard,
    timelines: Timelines,
    in_flight: InFlight,
    /// Work on the hardware queue by progress fence, oldest first.
    running: VecDeque<(u64, Ticket)>,
    /// The control queue waits until commands in flight are done.
    paused: bool,
    /// The driver broke a ring; only a reset helps.
    broken: bool,
    /// Reused for each request.
    request: Vec<u8>,
    /// Reused for each response.
    response: Vec<u8>,
    /// Reused: what may start, what may be answered.
    ready: Vec<Ticket>,
    signalled: Vec<Ticket>,
}

impl Session {
    pub(crate) fn new(activation: Activation, translator: Translator) -> Self {
        let mut queues = activation.queues.into_iter();
        let mut next = || queues.next().flatten().map(Ring::new);
        Self {
            memory: activation.memory,
            interrupt: activation.interrupt,
            control: next(),
            cursor: next(),
            gate: None,
            translator,
            scoreboard: Scoreboard::new(MAX_IN_FLIGHT),
            timelines: Timelines::new(MAX_IN_FLIGHT),
            in_flight: InFlight::new(MAX_IN_FLIGHT),
            running: VecDeque::with_capacity(MAX_IN_FLIGHT),
            paused: false,
            broken: false,
            request: Vec::new(),
            response: vec![0; MAX_RESPONSE_LEN],
            ready: Vec::with_capacity(MAX_IN_FLIGHT),
            signalled: Vec::with_capacity(MAX_IN_FLIGHT),
        }
    }

    pub(crate) fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    /// Ends the session. No lock of the device may be held: the driver may wait for its threads.
    pub(crate) fn destroy(self) {
        self.translator.destroy();
    }

    /// The queue is not touched any more; what is in flight from it goes unanswered.
    pub(crate) fn stop_queue(&mut self, index: u16) {
        match index {
            0 => self.control = None,
            1 => self.cursor = None,
            _ => {}
        }
    }

    /// Serves both queues for one turn.
    pub(crate) fn service(&mut self, events: &mut DisplayEvents) {
        if self.broken {
            return;
        }
        let memory = self.memory.memory();
        let memory = RingMemory::new(&memory);
        self.start_ready(&memory, events);
        match self.drain(&memory, events) {
            Ok(Turn::Idle) => {}
            Ok(Turn::More) => {
                if let Some(ring) = self.control.as_ref().or(self.cursor.as_ref()) {
                    ring.wake();
                }
            }
            Err(RingBroken) => self.give_up(),
        }
        self.interrupt_driver(&memory);
    }

    /// Work on the hardware queue has ended: it is answered. What waited for it is left to the event loop, since whoever
    /// tells completions may hold the engine that other VMs want, and a command may take long: an UNREF unmaps an image.
    pub(crate) fn complete(&mut self, completions: &[Completion]) {
        let memory = self.memory.memory();
        let memory = RingMemory::new(&memory);
        let mut presented = false;
        for completion in completions {
            if completion.queue != self.translator.display.queue {
                // An earlier session's.
                continue;
            }
            let fence = completion.progress_fence_id;
            let Some(place) = self.running.iter().position(|(id, _)| *id == fence) else {
                continue;
            };
            let Some((_, ticket)) = self.running.remove(place) else {
                continue;
            };
            presented |= completion.status.is_ok() && self.is_visible_present(ticket);
            self.finish(&memory, ticket, ended(completion.status));
        }
        if presented {
            self.translator.notify_present();
        }
        self.resume();
        self.interrupt_driver(&memory);
    }

    fn drain(
        &mut self,
        memory: &RingMemory<'_>,
        events: &mut DisplayEvents,
    ) -> Result<Turn, RingBroken> {
        let mut budget = DRAIN_BUDGET;
        for ring in [&mut self.control, &mut self.cursor].into_iter().flatten() {
            ring.disable_notification(memory)?;
        }
        loop {
            self.open_gate(memory)?;
            while budget > 0 && self.take_control(memory, events)? {
                budget = budget.saturating_sub(1);
            }
            while budget > 0 && self.take_cursor(memory, events)? {
                budget = budget.saturating_sub(1);
            }
            // A round that takes nothing counts too, so that nothing a driver writes keeps the loop here.
            budget = budget.saturating_sub(1);
            if budget == 0 {
                return Ok(Turn::More);
            }
            if !self.more_arrived(memory)? {
                return Ok(Turn::Idle);
            }
        }
    }

    /// Notes how far the control queue is when cursor commands are first seen. The cursor queue is read first: what the
    /// driver queued before them is then visible on the control queue.
    fn open_gate(&mut self, memory: &RingMemory<'_>) -> Result<(), RingBroken> {
        let Some(ring) = self.cursor.as_ref().filter(|_| self.gate.is_none()) else {
            return Ok(());
        };
        let cursor = ring.available(memory)?;
        if ring.has_reached(cursor) {
            return Ok(());
        }
        let control = match &self.control {
            Some(control) => control.available(memory)?,
            None => 0,
        };
        self.gate = Some(CursorGate { control, cursor });
        Ok(())
    }

    /// Asks for notifications again. Whether chains came meanwhile that can be taken now.
    fn more_arrived(&mut self, memory: &RingMemory<'_>) -> Result<bool, RingBroken> {
        let mut more = false;
        if let Some(ring) = &mut self.control {
            more |= ring.enable_notification(memory)? && !self.paused;
        }
        if let Some(ring) = &mut self.cursor {
            let waits = self.paused || ring.is_full();
            more |= ring.enable_notification(memory)? && !waits;
        }
        Ok(more)
    }

    /// Takes one command off the control queue. `false` if there is none to take now.
    fn take_control(
        &mut self,
        memory: &RingMemory<'_>,
        events: &mut DisplayEvents,
    ) -> Result<bool, RingBroken> {
        let Some(ring) = &self.control else {
            return Ok(false);
        };
        self.paused = ring.is_full()
            || !self.in_flight.has_room()
            || self.in_flight.waiting_bytes() >= MAX_WAITING_BYTES;
        if self.paused {
            return Ok(false);
        }
        self.take(RingId::Control, memory, events)
    }

    /// Takes one command off the cursor queue, if the control queue has come far enough.
    fn take_cursor(
        &mut self,
        memory: &RingMemory<'_>,
        events: &mut DisplayEvents,
    ) -> Result<bool, RingBroken> {
        let (Some(gate), Some(ring)) = (self.gate, &self.cursor) else {
            return Ok(false);
        };
        if ring.has_reached(gate.cursor) {
            self.gate = None;
            return Ok(false);
        }
        let behind = self
            .control
            .as_ref()
            .is_some_and(|control| !control.has_reached(gate.control));
        if behind && !self.paused {
            // The control queue is empty and yet short of where it was: the driver took its index back.
            return Err(RingBroken);
        }
        if behind || ring.is_full() || !self.in_flight.has_room() {
            return Ok(false);
        }
        self.take(RingId::Cursor, memory, events)
    }

    fn take(
        &mut self,
        id: RingId,
        memory: &RingMemory<'_>,
        events: &mut DisplayEvents,
    ) -> Result<bool, RingBroken> {
        let ring = match id {
            RingId::Control => &mut self.control,
            RingId::Cursor => &mut self.cursor,
        };
        let Some(chain) = ring
            .as_mut()
            .map(|ring| ring.pop(memory))
            .transpose()?
            .flatten()
        else {
            return Ok(false);
        };
        let head = chain.head_index();
        let translator = &self.translator;
        let copied = chain::copy(chain, memory, &mut self.request, |header| {
            header
                .command_code()
                .is_some_and(|code| translator.is_negotiated(code))
        });
        // The buffer is lent out while the command runs, so that the command may borrow from it.
        let request = std::mem::take(&mut self.request);
        let bytes = request.get(..copied.len).unwrap_or_default();
        let header = CtrlHeader::parse(bytes);
        let origin = Origin {
            ring: id,
            head,
            space: copied.space,
            header: header
                .as_ref()
                .map(CtrlHeader::response)
                .unwrap_or_default(),
        };
        let timeline = header
            .as_ref()
            .filter(|_| id == RingId::Control)
            .and_then(Timeline::of);
        if copied.faulted {
            self.settle(memory, origin, timeline, Reply::Err(ErrorCode::Unspec));
        } else {
            match self.check(id, bytes) {
                Ok(request) => self.begin(memory, origin, timeline, &request, bytes, events),
                Err(error) => self.settle(memory, origin, timeline, Reply::Err(error)),
            }
        }
        self.request = request;
        self.start_ready(memory, events);
        Ok(true)
    }

    /// The command in `bytes`, if it is one that this queue takes and that was negotiated.
    fn check<'b>(&self, ring: RingId, bytes: &'b [u8]) -> Result<Request<'b>, ErrorCode> {
        let code = CtrlHeader::parse(bytes)
            .and_then(|header| header.command_code())
            .ok_or(ErrorCode::Unspec)?;
        let queue = match ring {
            RingId::Control => Queue::Control,
            RingId::Cursor => Queue::Cursor,
        };
        if code.queue() != queue || !self.translator.is_negotiated(code) {
            return Err(ErrorCode::Unspec);
        }
        decode(bytes).map_err(|error| {
            log::debug!("{error}");
            error.response()
        })
    }

    /// Starts a command, or lets it wait for the earlier ones that touch the same things.
    fn begin(
        &mut self,
        memory: &RingMemory<'_>,
        origin: Origin,
        timeline: Option<Timeline>,
        request: &Request<'_>,
        bytes: &[u8],
        events: &mut DisplayEvents,
    ) {
        let (mut touches, work) = dependencies::of(
            &request.command,
            &self.translator.scanouts,
            &self.scoreboard,
        );
        let mut blockers = self.scoreboard.blockers(&touches, work);
        let mut running = None;
        if blockers == 0 {
            match self.run(&request.command, events) {
                Outcome::Submitted(fence) => running = Some(fence),
                Outcome::Done(reply) if self.may_find_memory(&reply, work) => {
                    touches.memory = true;
                    blockers = self.scoreboard.blockers(&touches, work);
                }
                Outcome::Done(reply) => return self.settle(memory, origin, timeline, reply),
            }
        }
        let pending = Pending {
            origin,
            timeline,
            touches,
            work,
            request: if running.is_none() {
                bytes.to_vec()
            } else {
                Vec::new()
            },
            reply: None,
        };
        if let (Some(ticket), Some(fence)) = (self.admit(pending, blockers), running) {
            self.running.push_back((fence, ticket));
        }
    }

    /// Whether a command failed for want of memory while earlier ones wait, which may free some.
    fn may_find_memory(&self, reply: &Reply, work: Work) -> bool {
        *reply == Reply::Err(ErrorCode::OutOfMemory)
            && work == Work::Control
            && self.scoreboard.somebody_waits()
    }

    fn run(&mut self, command: &Command<'_>, events: &mut DisplayEvents) -> Outcome {
        if matches!(command, Command::GetDisplayInfo) {
            events.read_by_driver();
        }
        self.translator.run(command)
    }

    /// A command joins those in flight. There is room: it was looked for before the chain was taken.
    fn admit(&mut self, pending: Pending, blockers: u16) -> Option<Ticket> {
        let (touches, work, timeline) = (pending.touches, pending.work, pending.timeline);
        let ticket = self.in_flight.insert(pending)?;
        self.scoreboard.admit(ticket, touches, work, blockers);
        if let Some(timeline) = timeline {
            self.timelines.admit(ticket, timeline);
        }
        Some(ticket)
    }

    /// A command that is done as soon as it was taken: it is answered, or held if an earlier fence has not signalled.
    fn settle(
        &mut self,
        memory: &RingMemory<'_>,
        origin: Origin,
        timeline: Option<Timeline>,
        reply: Reply,
    ) {
        let Some(timeline) = timeline.filter(|timeline| self.timelines.holds(*timeline)) else {
            self.answer(memory, &origin, &reply);
            return;
        };
        let held = Pending {
            origin,
            timeline: Some(timeline),
            touches: Touches::NOTHING,
            work: Work::Control,
            request: Vec::new(),
            reply: Some(reply),
        };
        if let Some(ticket) = self.in_flight.insert(held) {
            self.timelines.admit(ticket, timeline);
            self.timelines.complete(ticket, &mut self.signalled);
            debug_assert!(self.signalled.is_empty(), "an earlier fence holds it");
        }
    }

    /// A command in flight is done.
    fn finish(&mut self, memory: &RingMemory<'_>, ticket: Ticket, reply: Reply) {
        self.scoreboard.complete(ticket, &mut self.ready);
        let Some(pending) = self.in_flight.get_mut(ticket) else {
            return;
        };
        pending.reply = Some(reply);
        if pending.timeline.is_some() {
            self.timelines.complete(ticket, &mut self.signalled);
        } else {
            self.signalled.push(ticket);
        }
        let mut signalled = std::mem::take(&mut self.signalled);
        for ticket in signalled.drain(..) {
            if let Some(pending) = self.in_flight.remove(ticket)
                && let Some(reply) = &pending.reply
            {
                self.answer(memory, &pending.origin, reply);
            }
        }
        self.signalled = signalled;
    }

    /// Starts what waits for nothing any more, and what that sets free in turn.
    fn start_ready(&mut self, memory: &RingMemory<'_>, events: &mut DisplayEvents) {
        let mut next = 0_usize;
        while let Some(ticket) = self.ready.get(next).copied() {
            next = next.saturating_add(1);
            let Some(bytes) = self.in_flight.take_request(ticket) else {
                continue;
            };
            let outcome = match decode(&bytes) {
                Ok(request) => self.run(&request.command, events),
                // Not reached: these very bytes were decoded when the command came.
                Err(error) => Outcome::Done(Reply::Err(error.response())),
            };
            match outcome {
                Outcome::Done(reply) if self.waits_for_memory(ticket, &reply) => {
                    self.in_flight.put_request(ticket, bytes);
                }
                Outcome::Done(reply) => self.finish(memory, ticket, reply),
                Outcome::Submitted(fence) => {
                    self.running.push_back((fence, ticket));
                    self.scoreboard.submitted(ticket, &mut self.ready);
                }
            }
        }
        self.ready.clear();
    }

    /// Whether a command that waited waits again, as [`Self::may_find_memory`] says.
    fn waits_for_memory(&mut self, ticket: Ticket, reply: &Reply) -> bool {
        let work = self.in_flight.get_mut(ticket).map(|pending| pending.work);
        work.is_some_and(|work| self.may_find_memory(reply, work))
            && self.scoreboard.wait_for_memory(ticket)
    }

    /// Gives a chain back with its answer.
    fn answer(&mut self, memory: &RingMemory<'_>, origin: &Origin, reply: &Reply) {
        let ring = match origin.ring {
            RingId::Control => &mut self.control,
            RingId::Cursor => &mut self.cursor,
        };
        let Some(ring) = ring else {
            return;
        };
        let len = match origin.ring {
            RingId::Control => write_response(memory, origin, reply, &mut self.response),
            // Cursor commands have no response.
            RingId::Cursor => 0,
        };
        if ring.give_back(memory, origin.head, len).is_err() {
            self.give_up();
        }
    }

    /// Whether a command is a present that reached a screen.
    fn is_visible_present(&mut self, ticket: Ticket) -> bool {
        self.in_flight
            .get_mut(ticket)
            .is_some_and(|pending| pending.touches.scanouts != 0)
    }

    /// Commands are done: commands and queues that waited for that are served again, by the event loop.
    fn resume(&mut self) {
        let waits = self.paused || self.gate.is_some() || !self.ready.is_empty();
        if !waits || self.broken {
            return;
        }
        if let Some(ring) = self.control.as_ref().or(self.cursor.as_ref()) {
            ring.wake();
        }
    }

    /// One interrupt for all that was given back.
    fn interrupt_driver(&mut self, memory: &RingMemory<'_>) {
        let mut due = false;
        for ring in [&mut self.control, &mut self.cursor].into_iter().flatten() {
            due |= ring.take_interrupt(memory);
        }
        if due {
            self.interrupt.signal_used();
        }
    }

    /// A ring that cannot be believed is not read again.
    fn give_up(&mut self) {
        if !self.broken {
            log::debug!("the driver broke a virtqueue; the device needs a reset");
        }
        self.broken = true;
        self.interrupt.signal_needs_reset();
    }
}

/// The answer to work that has ended.
fn ended(status: Result<(), NtStatus>) -> Reply {
    match status {
        Ok(()) => Reply::NoData,
        Err(status) => Reply::Err(error_code(status, Subject::Resource)),
    }
}

/// Writes the answer if the driver left room for it, else an error if there is room for that, else nothing. Returns the
/// bytes written.
fn write_response(
    memory: &RingMemory<'_>,
    origin: &Origin,
    reply: &Reply,
    buffer: &mut [u8],
) -> u32 {
    let room = origin.space.len();
    let response = reply.response();
    let response = if response.encoded_len() <= room {
        response
    } else if HEADER_LEN <= room {
        Response::Err(ErrorCode::Unspec)
    } else {
        return 0;
    };
    encode_into(&response, &origin.header, buffer)
        .map_or(0, |encoded| origin.space.write(memory, encoded))
}

fn encode_into<'b>(
    response: &Response<'_>,
    header: &ResponseHeader,
    buffer: &'b mut [u8],
) -> Option<&'b [u8]> {
    let len = response.encode(header, buffer).ok()?;
    buffer.get(..len)
}
