// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The discrete-event world: VMs ask, engines run units that cannot be cut, an [`Arbiter`] decides.
//!
//! At one instant, what happens happens in this order: requests come, engines end what they did, units that hang are killed,
//! free engines are given to the next. So whoever decides at an instant knows all that has come by then.

use crate::arbiter::{Arbiter, Pick};
use crate::client::Client;
pub use crate::client::Request;
use crate::load::RESET;
use crate::random::Random;
use crate::scenario::Scenario;

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
    /// Which engine, from 0.
    pub engine: usize,
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
    /// An interval ended. Those of one engine follow each other without gap or overlap from 0 to the end of the scenario.
    fn passed(&mut self, interval: &Interval);
    /// A request ended at `end`; or, if it `hung`, was killed.
    fn ended(&mut self, request: &Request, end: u64, hung: bool);
}

/// What an engine does now, since when and until when.
#[derive(Clone, Copy, Debug)]
enum Engine {
    Free {
        since: u64,
        work_waited: bool,
    },
    Switching {
        to: Request,
        since: u64,
        until: u64,
    },
    /// `hangs`: whoever decides is not told beforehand, so that `until` is when the world kills it; never, if the
    /// arbiter watches.
    Running {
        request: Request,
        since: u64,
        until: u64,
        hangs: bool,
    },
    /// `began`: the unit that hung.
    Resetting {
        request: Request,
        began: u64,
        since: u64,
        until: u64,
    },
}

impl Engine {
    const fn until(&self) -> Option<u64> {
        match *self {
            Self::Free { .. } => None,
            Self::Switching { until, .. }
            | Self::Running { until, .. }
            | Self::Resetting { until, .. } => Some(until),
        }
    }

    const fn vm(&self) -> Option<usize> {
        match *self {
            Self::Free { .. } => None,
            Self::Switching { to: request, .. }
            | Self::Running { request, .. }
            | Self::Resetting { request, .. } => Some(request.vm),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Place {
    engine: Engine,
    /// Who had it last: the first to get it costs no switch.
    last: Option<usize>,
    wake_at: Option<u64>,
}

/// Runs a scenario to its end.
///
/// # Panics
/// If the arbiter names a VM that has no work, or asks to be woken in the past: a bug of the arbiter.
pub fn run(scenario: &Scenario, seed: u64, arbiter: &mut dyn Arbiter, observer: &mut dyn Observer) {
    let mut seeds = Random::new(seed);
    let client = |(index, vm)| {
        let random = Random::new(seeds.bits());
        match Client::new(index, vm, scenario.bands, random) {
            Ok(client) => client,
            Err(error) => panic!("seed {seed}: the inside of VM {index} is refused: {error}"),
        }
    };
    let free = Place {
        engine: Engine::Free {
            since: 0,
            work_waited: false,
        },
        last: None,
        wake_at: None,
    };
    let mut world = World {
        clients: scenario.vms.iter().enumerate().map(client).collect(),
        arbiter,
        observer,
        switch_cost: scenario.switch_cost,
        duration: scenario.duration,
        places: vec![free; usize::from(scenario.engines)],
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
    places: Vec<Place>,
    now: u64,
}

impl World<'_> {
    fn run(&mut self) {
        loop {
            self.arrivals();
            self.end_what_ends();
            self.kill_what_hangs();
            for engine in 0..self.places.len() {
                self.dispatch(engine);
            }
            self.mark_waste();
            match self.next_instant() {
                Some(next) if next < self.duration => self.now = next,
                _ => break,
            }
        }
        self.now = self.duration;
        // What ends with the scenario has ended; nothing begins.
        self.end_what_ends();
        for engine in 0..self.places.len() {
            self.record_until_now(engine);
        }
    }

    fn next_instant(&self) -> Option<u64> {
        let ends = self
            .places
            .iter()
            .filter_map(|place| place.engine.until().or(place.wake_at));
        self.clients
            .iter()
            .filter_map(Client::next_arrival)
            .chain(ends)
            .chain(self.arbiter.wake_at())
            .min()
    }

    fn arrivals(&mut self) {
        for (vm, client) in self.clients.iter_mut().enumerate() {
            let idle = !client.has_work();
            client.take_arrivals(self.now, |request| self.observer.arrived(request));
            if idle && client.has_work() {
                self.arbiter.ready(self.now, vm, client.announced());
            }
        }
    }

    fn end_what_ends(&mut self) {
        for engine in 0..self.places.len() {
            let now = self.now;
            let ends = |until: u64| until <= now;
            match self.places[engine].engine {
                Engine::Switching { to, until, .. } if ends(until) => {
                    self.record_until_now(engine);
                    self.begin_unit(engine, to);
                }
                Engine::Running {
                    request,
                    until,
                    hangs: true,
                    ..
                } if ends(until) => self.kill(engine, request),
                Engine::Running {
                    request,
                    since,
                    until,
                    ..
                } if ends(until) => {
                    self.record_until_now(engine);
                    self.end_unit(engine, request.vm, until - since);
                }
                Engine::Resetting {
                    request,
                    began,
                    until,
                    ..
                } if ends(until) => {
                    self.record_until_now(engine);
                    let stall = until - began;
                    self.clients[request.vm].recovered(now, stall);
                    self.report(engine, request.vm, stall);
                }
                _ => {}
            }
        }
    }

    fn kill_what_hangs(&mut self) {
        if self.arbiter.wake_at().is_some_and(|at| at <= self.now) {
            self.arbiter.wake(self.now);
        }
        while let Some(engine) = self.arbiter.reset_due() {
            if let Engine::Running { request, .. } = self.places[engine].engine {
                self.kill(engine, request);
            }
        }
        while let Some(vm) = self.arbiter.locked_out() {
            self.clients[vm].locked = true;
        }
    }

    /// The unit that runs is killed and the engine reset: both are paid by its VM.
    fn kill(&mut self, engine: usize, request: Request) {
        self.record_until_now(engine);
        let Engine::Running { since: began, .. } = self.places[engine].engine else {
            return;
        };
        if let Some(killed) = self.clients[request.vm].kill() {
            self.observer.ended(&killed, self.now, true);
        }
        self.places[engine].engine = Engine::Resetting {
            request,
            began,
            since: self.now,
            until: self.now + RESET,
        };
    }

    fn end_unit(&mut self, engine: usize, vm: usize, ran: u64) {
        if let Some(request) = self.clients[vm].unit_done(self.now, ran) {
            self.observer.ended(&request, self.now, false);
        }
        self.report(engine, vm, ran);
    }

    fn report(&mut self, engine: usize, vm: usize, ran: u64) {
        self.places[engine].engine = Engine::Free {
            since: self.now,
            work_waited: false,
        };
        // What follows at once is more work, not a wake-up.
        let client = &mut self.clients[vm];
        client.take_arrivals(self.now, |request| self.observer.arrived(request));
        let next = client.next();
        self.arbiter.unit_done(self.now, engine, vm, ran, next);
    }

    fn dispatch(&mut self, engine: usize) {
        if !matches!(self.places[engine].engine, Engine::Free { .. }) {
            return;
        }
        match self.arbiter.pick(self.now, engine) {
            Pick::Run(vm) => {
                assert!(
                    !self
                        .places
                        .iter()
                        .any(|place| place.engine.vm() == Some(vm)),
                    "VM {vm} was picked for engine {engine} while another one runs it, at {}",
                    self.now
                );
                let Some(request) = self.clients[vm].choose() else {
                    panic!("VM {vm} was picked without work at {}", self.now);
                };
                self.record_until_now(engine);
                let place = &mut self.places[engine];
                let switches = place.last.is_some_and(|last| last != vm) && self.switch_cost > 0;
                place.last = Some(vm);
                place.wake_at = None;
                if switches {
                    place.engine = Engine::Switching {
                        to: request,
                        since: self.now,
                        until: self.now + self.switch_cost,
                    };
                } else {
                    self.begin_unit(engine, request);
                }
            }
            Pick::Idle(until) => {
                assert!(
                    until.is_none_or(|at| at > self.now),
                    "asked to be woken in the past at {}",
                    self.now
                );
                self.places[engine].wake_at = until;
            }
        }
    }

    /// Intervals of a free engine with and without waiting work are told apart.
    fn mark_waste(&mut self) {
        let runs = |vm: usize| {
            self.places
                .iter()
                .any(|place| place.engine.vm() == Some(vm))
        };
        let waits = self.clients.iter().enumerate().any(|(vm, client)| {
            !client.limited && !client.locked && client.has_work() && !runs(vm)
        });
        for engine in 0..self.places.len() {
            if let Engine::Free { work_waited, .. } = self.places[engine].engine
                && work_waited != waits
            {
                self.record_until_now(engine);
                self.places[engine].engine = Engine::Free {
                    since: self.now,
                    work_waited: waits,
                };
            }
        }
    }

    fn begin_unit(&mut self, engine: usize, request: Request) {
        let (length, hangs) = match self.clients[request.vm].unit() {
            Ok(length) => (length, false),
            Err(_) if self.arbiter.watches() => (u64::MAX - self.now, true),
            Err(timeout) => (timeout, true),
        };
        self.places[engine].engine = Engine::Running {
            request,
            since: self.now,
            until: self.now + length,
            hangs,
        };
    }

    /// Tells the observer what an engine has done since the last time.
    fn record_until_now(&mut self, engine: usize) {
        let (since, doing) = match self.places[engine].engine {
            Engine::Free { since, work_waited } => (since, Doing::Idle { work_waited }),
            Engine::Switching { to, since, .. } => (since, Doing::Switch(to)),
            Engine::Running { request, since, .. } => (since, Doing::Run(request)),
            Engine::Resetting { request, since, .. } => (since, Doing::Reset(request)),
        };
        if since < self.now {
            self.observer.passed(&Interval {
                engine,
                start: since,
                end: self.now,
                doing,
            });
        }
    }
}
