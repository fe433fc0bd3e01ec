// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! A VM as the world sees it: the requests that wait, and which of them the next unit belongs to.

use std::collections::VecDeque;

use rondo_scheduler::Nanos;
use rondo_scheduler::inside::{BandSettings, ContextId, ContextScheduler, InsideError, ProcessId};

use crate::arbiter::Next;
use crate::load::{Load, Requests};
use crate::random::Random;
use crate::scenario::{Vm, Work};

/// A request of a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Whose.
    pub vm: usize,
    /// Of which of its contexts, in the order of the file; 0 for a VM without processes.
    pub context: usize,
    /// Counted from 0 for each VM.
    pub number: u64,
    /// When it came.
    pub arrival: u64,
    /// How long it takes on the engine.
    pub length: u64,
}

/// The requests of one load.
#[derive(Debug)]
struct Stream {
    requests: Requests,
    hangs: bool,
    /// The requests that wait, the one that runs in front, with what is left of it.
    queue: VecDeque<(Request, u64)>,
}

impl Stream {
    fn new(load: &Load, random: Random) -> Self {
        Self {
            requests: Requests::new(load, random),
            hangs: load.hangs(),
            queue: VecDeque::new(),
        }
    }
}

/// One VM in the world.
#[derive(Debug)]
pub(crate) struct Client {
    vm: usize,
    streams: Vec<Stream>,
    /// Says whose turn it is among them, if the VM has processes.
    inside: Option<ContextScheduler>,
    /// The stream whose unit runs.
    runs: Option<usize>,
    max_unit: Option<u64>,
    /// What it says a unit can be, if it says anything.
    says: Option<u64>,
    hang_timeout: u64,
    count: u64,
    /// It has a limit, so that an idle engine is not to be blamed for its work.
    pub(crate) limited: bool,
    /// It was locked out.
    pub(crate) locked: bool,
}

impl Client {
    /// The VM at place `index` of a scenario; `random` is its own stream.
    pub(crate) fn new(
        index: usize,
        vm: &Vm,
        bands: BandSettings,
        mut random: Random,
    ) -> Result<Self, InsideError> {
        let (streams, inside) = match &vm.work {
            Work::Plain(load) => (vec![Stream::new(load, random)], None),
            Work::Inside(processes) => {
                let mut inside = ContextScheduler::new(bands);
                let mut streams = Vec::new();
                for (process, id) in processes.iter().zip(0..) {
                    inside.add_process(ProcessId(id))?;
                    for context in &process.contexts {
                        let id = (ProcessId(id), ContextId(streams.len() as u64));
                        inside.add_context(id.0, id.1, context.properties)?;
                        streams.push(Stream::new(&context.load, Random::new(random.bits())));
                    }
                }
                (streams, Some(inside))
            }
        };
        Ok(Self {
            vm: index,
            streams,
            inside,
            runs: None,
            max_unit: vm.max_unit,
            says: vm.declared_unit(),
            hang_timeout: vm.hang_timeout(),
            count: 0,
            limited: vm.tuning.limit_ppm.is_some(),
            locked: false,
        })
    }

    pub(crate) fn next_arrival(&self) -> Option<u64> {
        self.streams
            .iter()
            .filter_map(|stream| stream.requests.next_arrival())
            .min()
    }

    pub(crate) fn has_work(&self) -> bool {
        self.streams.iter().any(|stream| !stream.queue.is_empty())
    }

    /// Takes in the requests that have come by `now`, and tells each.
    pub(crate) fn take_arrivals(&mut self, now: u64, mut arrived: impl FnMut(&Request)) {
        for (context, stream) in self.streams.iter_mut().enumerate() {
            while let Some((arrival, length)) = stream.requests.take(now) {
                let request = Request {
                    vm: self.vm,
                    context,
                    number: self.count,
                    arrival,
                    length,
                };
                self.count += 1;
                stream.queue.push_back((request, length));
                if let Some(inside) = &mut self.inside {
                    expect(inside.ready(ContextId(context as u64)));
                }
                arrived(&request);
            }
        }
    }

    /// What is said of the next unit beforehand: what is left of the request, in units as long as declared. Which context
    /// of several is next is the VM's own affair: there only what is declared.
    pub(crate) fn announced(&self) -> Option<u64> {
        match (&self.inside, &self.streams[..]) {
            (None, [stream]) => {
                let left = stream.queue.front().map_or(0, |&(_, left)| left);
                self.says.map(|most| left.min(most))
            }
            _ => self.says,
        }
    }

    /// What it has after a unit.
    pub(crate) fn next(&self) -> Next {
        if self.has_work() {
            Next::Unit(self.announced())
        } else {
            Next::Nothing
        }
    }

    /// A unit is chosen: whose request it belongs to.
    pub(crate) fn choose(&mut self) -> Option<Request> {
        let context = match &mut self.inside {
            Some(inside) => usize::try_from(inside.unit_begins()?.0).ok()?,
            None => 0,
        };
        self.runs = Some(context);
        self.streams
            .get(context)?
            .queue
            .front()
            .map(|&(request, _)| request)
    }

    /// How long the chosen unit runs: to its end, `Ok`; or until it counts as hung, `Err`.
    pub(crate) fn unit(&self) -> Result<u64, u64> {
        let Some(stream) = self.runs.and_then(|context| self.streams.get(context)) else {
            return Ok(0);
        };
        let left = stream.queue.front().map_or(0, |&(_, left)| left);
        let unit = self.max_unit.map_or(left, |most| left.min(most));
        // What hangs cannot be cut.
        if stream.hangs || unit > self.hang_timeout {
            Err(self.hang_timeout)
        } else {
            Ok(unit)
        }
    }

    /// The chosen unit ended after `ran`. Returns its request if that has ended.
    pub(crate) fn unit_done(&mut self, now: u64, ran: u64) -> Option<Request> {
        let context = self.runs.take()?;
        let stream = self.streams.get_mut(context)?;
        let (request, left) = stream.queue.front_mut()?;
        *left -= ran;
        let ended = (*left == 0).then_some(*request);
        if ended.is_some() {
            stream.queue.pop_front();
            stream.requests.ended(now);
        }
        self.tell_inside(context, ran);
        ended
    }

    /// The context of the chosen unit is killed, and with it its request.
    pub(crate) fn kill(&mut self) -> Option<Request> {
        let stream = self.streams.get_mut(self.runs?)?;
        stream.queue.pop_front().map(|(request, _)| request)
    }

    /// The engine is back after all of `stall`.
    pub(crate) fn recovered(&mut self, now: u64, stall: u64) {
        let Some(context) = self.runs.take() else {
            return;
        };
        if let Some(stream) = self.streams.get_mut(context) {
            stream.requests.ended(now);
        }
        self.tell_inside(context, stall);
    }

    fn tell_inside(&mut self, context: usize, ran: u64) {
        if let Some(inside) = &mut self.inside {
            inside.unit_done(Nanos(ran));
            if self.streams[context].queue.is_empty() {
                expect(inside.idle(ContextId(context as u64)));
            }
        }
    }
}

/// Contexts are there from the start to the end.
fn expect(result: Result<(), InsideError>) {
    if let Err(error) = result {
        panic!("the scheduler inside a VM refuses: {error}");
    }
}
