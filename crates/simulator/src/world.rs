// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The discrete-event world: VMs ask, one engine runs units that cannot be cut, an [`Arbiter`] decides.
//!
//! At one instant, what happens happens in this order: requests come, the engine ends what it did, the engine is given to
//! the next. So whoever decides at an instant knows all that has come by then.

use std::collections::VecDeque;

use crate::arbiter::{Arbiter, Next, Pick};
use crate::load::{HANG_TIMEOUT, RESET, Requests};
use crate::random::Random;
use crate::scenario::{Scenario, Vm};

/// A request of a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Whose.
    pub vm: usize,
    /// Counted from 0 for each VM.
    pub number: u64,
    /// When it came.
    pub arrival: u64,
    /// How long it takes on the engine.
    pub length: u64,
}

/// What the engine did in an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// It ran a unit of a request.
    Run(Request),
    /// It changed hands, to the VM of this request.
    Switch(Request),
    /// Nothing; with the flag whether anybody had work.
    Idle {
        /// Somebody had work all the while.
        work_waited: bool,
    },
    /// It was reset, because this request hung.
    Reset(Request),
}

/// From one instant to a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// Nanoseconds since the start.
    pub start: u64,
    /// The same; after `start`.
    pub end: u64,
    /// What the engine did.
    pub doing: Doing,
}

/// Is told what happens, in order of time.
pub trait Observer {
    /// A request came.
    fn arrived(&mut self, request: &Request);
    /// An interval ended. They follow each other without gap or overlap from 0 to the end of the scenario.
    fn passed(&mut self, interval: &Interval);
    /// A request ended at `end`; or, if it `hung`, was killed.
    fn ended(&mut self, request: &Request, end: u64, hung: bool);
}

#[derive(Debug)]
struct Client {
    requests: Requests,
    max_unit: Option<u64>,
    /// What it says a unit can be, if it says anything.
    says: Option<u64>,
    hangs: bool,
    /// The requests that wait, the one that runs in front, with what is left of it.
    queue: VecDeque<(Request, u64)>,
    count: u64,
}

impl Client {
    fn new(vm: &Vm, random: Random) -> Self {
        Self {
            requests: Requests::new(&vm.load, random),
            max_unit: vm.max_unit,
            says: vm.declared_unit(),
            hangs: vm.load.hangs(),
            queue: VecDeque::new(),
            count: 0,
        }
    }

    /// The true length of the next unit.
    fn next_unit(&self) -> u64 {
        let left = self.queue.front().map_or(0, |&(_, left)| left);
        // What hangs cannot be cut.
        self.max_unit
            .filter(|_| !self.hangs)
            .map_or(left, |most| left.min(most))
    }

    /// What is said of it beforehand: what is left of the request, in units as long as declared.
    fn announced(&self) -> Option<u64> {
        let left = self.queue.front().map_or(0, |&(_, left)| left);
        self.says.map(|most| left.min(most))
    }
}

/// What the engine does now, since when and until when.
#[derive(Clone, Copy, Debug)]
enum Engine {
    Free {
        since: u64,
        work_waited: bool,
    },
    Switching {
        to: usize,
        since: u64,
        until: u64,
    },
    Running {
        vm: usize,
        since: u64,
        until: u64,
    },
    Resetting {
        vm: usize,
        request: Request,
        since: u64,
        until: u64,
    },
}

/// Runs a scenario to its end.
///
/// # Panics
/// If the arbiter names a VM that has no work, or asks to be woken in the past: a bug of the arbiter.
pub fn run(scenario: &Scenario, seed: u64, arbiter: &mut dyn Arbiter, observer: &mut dyn Observer) {
    let mut seeds = Random::new(seed);
    let clients = scenario
        .vms
        .iter()
        .map(|vm| Client::new(vm, Random::new(seeds.bits())))
        .collect();
    let mut world = World {
        clients,
        arbiter,
        observer,
        switch_cost: scenario.switch_cost,
        duration: scenario.duration,
        engine: Engine::Free {
            since: 0,
            work_waited: false,
        },
        last: None,
        wake_at: None,
        now: 0,
    };
    world.run();
}

struct World<'a> {
    clients: Vec<Client>,
    arbiter: &'a mut dyn Arbiter,
    observer: &'a mut dyn Observer,
    switch_cost: u64,
    duration: u64,
    engine: Engine,
    /// Who had the engine last: the first to get it costs no switch.
    last: Option<usize>,
    wake_at: Option<u64>,
    now: u64,
}

impl World<'_> {
    fn run(&mut self) {
        loop {
            self.arrivals();
            self.end_what_ends();
            self.dispatch();
            match self.next_instant() {
                Some(next) if next < self.duration => self.now = next,
                _ => break,
            }
        }
        self.now = self.duration;
        // What ends with the scenario has ended; nothing begins.
        self.end_what_ends();
        self.record_until_now();
    }

    fn next_instant(&self) -> Option<u64> {
        let engine = match self.engine {
            Engine::Free { .. } => self.wake_at,
            Engine::Switching { until, .. }
            | Engine::Running { until, .. }
            | Engine::Resetting { until, .. } => Some(until),
        };
        self.clients
            .iter()
            .filter_map(|client| client.requests.next_arrival())
            .chain(engine)
            .min()
    }

    fn arrivals(&mut self) {
        for vm in 0..self.clients.len() {
            while let Some((arrival, length)) = self.clients[vm].requests.take(self.now) {
                let idle = self.clients[vm].queue.is_empty();
                self.submit(vm, arrival, length);
                if idle {
                    let bound = self.clients[vm].announced();
                    self.arbiter.ready(self.now, vm, bound);
                }
            }
        }
    }

    fn submit(&mut self, vm: usize, arrival: u64, length: u64) {
        let client = &mut self.clients[vm];
        let request = Request {
            vm,
            number: client.count,
            arrival,
            length,
        };
        client.count += 1;
        client.queue.push_back((request, length));
        self.observer.arrived(&request);
    }

    fn end_what_ends(&mut self) {
        match self.engine {
            Engine::Switching { to, until, .. } if until <= self.now => {
                self.record_until_now();
                self.begin_unit(to);
            }
            Engine::Running { vm, since, until } if until <= self.now => {
                self.record_until_now();
                self.end_unit(vm, until - since);
            }
            Engine::Resetting {
                vm, since, until, ..
            } if until <= self.now => {
                self.record_until_now();
                self.report(vm, HANG_TIMEOUT + (until - since));
            }
            _ => {}
        }
    }

    fn end_unit(&mut self, vm: usize, ran: u64) {
        let client = &mut self.clients[vm];
        let Some((request, left)) = client.queue.front_mut() else {
            return;
        };
        *left -= ran;
        let (request, left) = (*request, *left);
        if left == 0 {
            client.queue.pop_front();
            let hung = client.hangs;
            self.observer.ended(&request, self.now, hung);
            if hung {
                let (since, until) = (self.now, self.now + RESET);
                self.engine = Engine::Resetting {
                    vm,
                    request,
                    since,
                    until,
                };
                return;
            }
            client.requests.ended(self.now);
            // What follows at once is more work, not a wake-up.
            while let Some((arrival, length)) = self.clients[vm].requests.take(self.now) {
                self.submit(vm, arrival, length);
            }
        }
        self.report(vm, ran);
    }

    fn report(&mut self, vm: usize, ran: u64) {
        self.engine = Engine::Free {
            since: self.now,
            work_waited: false,
        };
        let client = &self.clients[vm];
        let next = if client.queue.is_empty() {
            Next::Nothing
        } else {
            Next::Unit(client.announced())
        };
        self.arbiter.unit_done(self.now, vm, ran, next);
    }

    fn dispatch(&mut self) {
        if !matches!(self.engine, Engine::Free { .. }) {
            return;
        }
        match self.arbiter.pick(self.now) {
            Pick::Run(vm) => {
                assert!(
                    !self.clients[vm].queue.is_empty(),
                    "VM {vm} was picked without work at {}",
                    self.now
                );
                self.record_until_now();
                let switches = self.last.is_some_and(|last| last != vm) && self.switch_cost > 0;
                self.last = Some(vm);
                if switches {
                    let until = self.now + self.switch_cost;
                    self.engine = Engine::Switching {
                        to: vm,
                        since: self.now,
                        until,
                    };
                } else {
                    self.begin_unit(vm);
                }
            }
            Pick::Idle(until) => {
                assert!(
                    until.is_none_or(|at| at > self.now),
                    "asked to be woken in the past at {}",
                    self.now
                );
                self.wake_at = until;
                // Intervals with and without waiting work are told apart.
                let waits = self.clients.iter().any(|client| !client.queue.is_empty());
                if !matches!(self.engine, Engine::Free { work_waited, .. } if work_waited == waits)
                {
                    self.record_until_now();
                    self.engine = Engine::Free {
                        since: self.now,
                        work_waited: waits,
                    };
                }
            }
        }
    }

    fn begin_unit(&mut self, vm: usize) {
        let until = self.now + self.clients[vm].next_unit();
        self.engine = Engine::Running {
            vm,
            since: self.now,
            until,
        };
    }

    /// Tells the observer what the engine has done since the last time.
    fn record_until_now(&mut self) {
        let front = |vm: usize| self.clients[vm].queue.front().map(|&(request, _)| request);
        let (since, doing) = match self.engine {
            Engine::Free { since, work_waited } => (since, Some(Doing::Idle { work_waited })),
            Engine::Switching { to, since, .. } => (since, front(to).map(Doing::Switch)),
            Engine::Running { vm, since, .. } => (since, front(vm).map(Doing::Run)),
            Engine::Resetting { request, since, .. } => (since, Some(Doing::Reset(request))),
        };
        if let Some(doing) = doing
            && since < self.now
        {
            self.observer.passed(&Interval {
                start: since,
                end: self.now,
                doing,
            });
        }
    }
}
