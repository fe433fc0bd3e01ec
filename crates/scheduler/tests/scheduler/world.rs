// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! A discrete-event world: VMs with loads, one engine with units that cannot be cut, and a scheduler under test.
//!
//! After every event the world checks what must always hold: the actions make sense, every nanosecond is charged once,
//! and the engine is not idle while a VM may run (but under `fixed`, whose table says when it may).

use std::collections::VecDeque;

use rondo_scheduler::{
    Action, Actions, EngineId, Event, Nanos, Policy, Ppm, Scheduler, SchedulerConfig, VmId,
    VmProfile, VmState,
};

use crate::random::Random;

pub const MS: u64 = 1_000_000;
pub const US: u64 = 1_000;
pub const ENGINE: EngineId = EngineId(0);

pub const POLICIES: [Policy; 4] = [
    Policy::Guaranteed,
    Policy::Fixed,
    Policy::Fair,
    Policy::BestEffort,
];

/// What a VM asks for.
#[derive(Clone, Debug)]
pub enum Load {
    /// Requests of a length in `low..=high`, the next one as soon as one ends, after a pause in `pause`.
    Closed {
        length: (u64, u64),
        pause: (u64, u64),
    },
    /// `(arrival, length)`, in order of arrival.
    List(Vec<(u64, u64)>),
}

impl Load {
    /// Always busy, with requests of one length.
    pub fn busy(length: u64) -> Self {
        Self::Closed {
            length: (length, length),
            pause: (0, 0),
        }
    }

    /// `count` requests, one every `period` from `first` on.
    pub fn periodic(first: u64, period: u64, length: u64, count: u64) -> Self {
        Self::List((0..count).map(|n| (first + n * period, length)).collect())
    }
}

/// One VM of a set-up.
#[derive(Clone, Debug)]
pub struct Guest {
    pub id: VmId,
    pub profile: VmProfile,
    /// A request is run in units of at most this.
    pub unit: u64,
    /// Whether the scheduler is told how long each next unit is.
    pub announces: bool,
    pub load: Load,
}

pub fn ppm(parts: u32) -> Ppm {
    Ppm::new(parts).expect("at most the whole")
}

/// A profile with `parts` of the engine and no slice: the rule decides after each unit.
pub fn share(parts: u32) -> VmProfile {
    VmProfile {
        guarantee: ppm(parts),
        slice: Nanos(0),
        ..VmProfile::default()
    }
}

impl Guest {
    /// A VM whose longest unit is declared.
    pub fn new(id: u32, parts: u32, unit: u64, load: Load) -> Self {
        let profile = VmProfile {
            max_unit: Some(Nanos(unit)),
            ..share(parts)
        };
        Self {
            id: VmId(id),
            profile,
            unit,
            announces: false,
            load,
        }
    }

    pub fn slice(mut self, slice: u64) -> Self {
        self.profile.slice = Nanos(slice);
        self
    }

    pub fn limit(mut self, parts: u32) -> Self {
        self.profile.limit = Some(ppm(parts));
        self
    }

    /// The scheduler has to learn the units.
    pub fn undeclared(mut self) -> Self {
        self.profile.max_unit = None;
        self
    }

    pub fn announcing(mut self) -> Self {
        self.announces = true;
        self
    }
}

/// A request that ended.
#[derive(Clone, Copy, Debug)]
pub struct Completion {
    pub arrival: u64,
    pub length: u64,
    pub end: u64,
    /// The VM had no other work when it came.
    pub found_idle: bool,
    /// Length of its last unit.
    pub last_unit: u64,
}

#[derive(Debug)]
struct Pending {
    arrival: u64,
    length: u64,
    left: u64,
    found_idle: bool,
}

#[derive(Debug)]
pub struct Client {
    pub guest: Guest,
    pub here: bool,
    random: Random,
    /// Arrivals that are yet to come.
    coming: VecDeque<(u64, u64)>,
    queue: VecDeque<Pending>,
    pub completions: Vec<Completion>,
    /// `(start, end)` of each unit it ran.
    pub ran: Vec<(u64, u64)>,
}

impl Client {
    /// Work done in the window `from..to`.
    pub fn work_in(&self, from: u64, to: u64) -> u64 {
        let part = |&(start, end): &(u64, u64)| end.min(to).saturating_sub(start.max(from));
        self.ran.iter().map(part).sum()
    }

    fn next_unit(&self) -> u64 {
        self.queue
            .front()
            .map_or(0, |request| request.left.min(self.guest.unit))
    }
}

#[derive(Debug)]
struct Unit {
    client: usize,
    start: u64,
    length: u64,
}

pub struct World {
    pub policy: Policy,
    pub scheduler: Scheduler,
    pub now: u64,
    /// The instant that the scheduler is told at time 0.
    pub origin: u64,
    pub clients: Vec<Client>,
    /// Named in every failed check.
    pub seed: u64,
    /// FNV-1a of every action and its instant, VMs named by their index.
    pub hash: u64,
    pub grants: u64,
    /// Charges of VMs that left.
    gone: u64,
    running: Option<Unit>,
    preempted: bool,
    wake_at: Option<u64>,
    actions: Actions,
}

impl World {
    pub fn new(seed: u64, guests: Vec<Guest>) -> Self {
        Self::under(Policy::Guaranteed, seed, guests)
    }

    pub fn under(policy: Policy, seed: u64, guests: Vec<Guest>) -> Self {
        Self::starting_at(0, policy, seed, guests)
    }

    pub fn starting_at(origin: u64, policy: Policy, seed: u64, guests: Vec<Guest>) -> Self {
        let config = SchedulerConfig {
            policy,
            ..SchedulerConfig::default()
        };
        let mut world = Self {
            policy,
            scheduler: Scheduler::new(config).expect("one engine"),
            now: 0,
            origin,
            clients: Vec::new(),
            seed,
            hash: 0xcbf2_9ce4_8422_2325,
            grants: 0,
            gone: 0,
            running: None,
            preempted: false,
            wake_at: None,
            actions: Actions::new(),
        };
        for guest in guests {
            world.join(guest);
        }
        world
    }

    /// A VM joins now; the arrivals of its list count from now on. Returns its index.
    pub fn join(&mut self, guest: Guest) -> usize {
        let index = self.clients.len();
        let mut random = Random::new(self.seed ^ (index as u64 + 1));
        let coming = match &guest.load {
            Load::List(list) => list
                .iter()
                .map(|&(at, length)| (self.now + at, length))
                .collect(),
            Load::Closed { length, pause } => {
                let first = (
                    self.now + random.within(0, pause.1),
                    random.within(length.0, length.1),
                );
                VecDeque::from([first])
            }
        };
        let add = Event::AddVm {
            vm: guest.id,
            profile: guest.profile,
        };
        self.clients.push(Client {
            guest,
            here: true,
            random,
            coming,
            queue: VecDeque::new(),
            completions: Vec::new(),
            ran: Vec::new(),
        });
        self.tell(add);
        index
    }

    /// A VM leaves now; its work is forgotten.
    pub fn leave(&mut self, index: usize) {
        let vm = self.clients[index].guest.id;
        self.clients[index].here = false;
        self.clients[index].coming.clear();
        self.clients[index].queue.clear();
        if self
            .running
            .as_ref()
            .is_none_or(|unit| unit.client != index)
        {
            self.gone += self.scheduler.account(vm).expect("it is here").charged.0;
        }
        self.tell(Event::RemoveVm { vm });
    }

    pub fn set_profile(&mut self, index: usize, profile: VmProfile) {
        self.clients[index].guest.profile = profile;
        self.tell(Event::SetProfile {
            vm: self.clients[index].guest.id,
            profile,
        });
    }

    /// Lets time pass until `end`, all that happens at `end` included.
    pub fn run_until(&mut self, end: u64) {
        while let Some(at) = self.next_event().filter(|&at| at <= end) {
            self.now = at;
            self.step();
        }
        self.now = end;
    }

    fn next_event(&self) -> Option<u64> {
        let arrival = self
            .clients
            .iter()
            .filter_map(|client| client.coming.front())
            .map(|&(at, _)| at)
            .min();
        let unit = self.running.as_ref().map(|unit| unit.start + unit.length);
        arrival.into_iter().chain(unit).chain(self.wake_at).min()
    }

    fn step(&mut self) {
        let now = self.now;
        let arrival = |client: &Client| client.coming.front().is_some_and(|&(at, _)| at <= now);
        if let Some(index) = self.clients.iter().position(arrival) {
            self.arrive(index);
        } else if self
            .running
            .as_ref()
            .is_some_and(|unit| unit.start + unit.length <= now)
        {
            self.end_unit();
        } else {
            self.wake_at = None;
            self.tell(Event::Timer);
        }
    }

    fn arrive(&mut self, index: usize) {
        let client = &mut self.clients[index];
        let (arrival, length) = client.coming.pop_front().expect("it has come");
        let (vm, found_idle) = (client.guest.id, client.queue.is_empty());
        if found_idle {
            self.announce(index, length);
        }
        self.clients[index].queue.push_back(Pending {
            arrival,
            length,
            left: length,
            found_idle,
        });
        if found_idle {
            self.tell(Event::Ready { vm });
        }
    }

    /// Says how long the next unit of a request with `left` to go will be.
    fn announce(&mut self, index: usize, left: u64) {
        let guest = &self.clients[index].guest;
        if guest.announces {
            let (vm, at_most) = (guest.id, Some(Nanos(left.min(guest.unit))));
            self.tell(Event::UnitBound { vm, at_most });
        }
    }

    fn end_unit(&mut self) {
        let Unit {
            client: index,
            start,
            length,
        } = self.running.take().expect("a unit runs");
        let now = self.now;
        let client = &mut self.clients[index];
        client.ran.push((start, now));
        if let Some(request) = client.queue.front_mut() {
            request.left -= length;
            if request.left == 0 {
                let Pending {
                    arrival,
                    length: whole,
                    found_idle,
                    ..
                } = client.queue.pop_front().expect("its front");
                client.completions.push(Completion {
                    arrival,
                    length: whole,
                    end: now,
                    found_idle,
                    last_unit: length,
                });
                if let Load::Closed { length, pause } = client.guest.load {
                    let next = client.random.within(length.0, length.1);
                    let pause = client.random.within(pause.0, pause.1);
                    if pause == 0 {
                        let found_idle = client.queue.is_empty();
                        client.queue.push_back(Pending {
                            arrival: now,
                            length: next,
                            left: next,
                            found_idle,
                        });
                    } else {
                        client.coming.push_back((now + pause, next));
                    }
                }
            }
        }
        // The unit counts as running until it is reported, so that the announcement starts nothing.
        self.running = Some(Unit {
            client: index,
            start,
            length,
        });
        if let Some(left) = self.clients[index].queue.front().map(|next| next.left) {
            self.announce(index, left);
        }
        self.running = None;
        let client = &self.clients[index];
        let (vm, more, here) = (client.guest.id, !client.queue.is_empty(), client.here);
        let before = self
            .scheduler
            .account(vm)
            .expect("it holds the engine")
            .charged
            .0;
        if !here {
            self.gone += before + length;
        }
        self.running = Some(Unit {
            client: index,
            start: now,
            length: 0,
        });
        self.tell(Event::UnitDone {
            engine: ENGINE,
            vm,
            ran: Nanos(length),
            more,
        });
        if let Some(unit) = &mut self.running
            && unit.client == index
            && unit.length == 0
        {
            // Nothing was answered: it goes on.
            unit.length = self.clients[index].next_unit();
        }
    }

    /// Tells the scheduler something, carries out what it asks for, and checks what must always hold.
    pub fn tell(&mut self, event: Event) {
        let now = Nanos(self.origin.wrapping_add(self.now));
        let mut actions = std::mem::take(&mut self.actions);
        self.scheduler
            .on(now, event, &mut actions)
            .unwrap_or_else(|error| {
                panic!("seed {}: {event:?} at {}: {error}", self.seed, self.now)
            });
        for action in actions.drain() {
            self.carry_out(action);
        }
        self.actions = actions;
        self.check();
    }

    fn carry_out(&mut self, action: Action) {
        let seed = self.seed;
        let (code, who) = match action {
            Action::Grant { vm, .. } => {
                assert!(
                    self.running.is_none(),
                    "seed {seed}: granted an engine that is held"
                );
                let client = self.index(vm);
                let length = self.clients[client].next_unit();
                assert!(
                    length > 0,
                    "seed {seed}: granted to VM {} without work",
                    vm.0
                );
                self.running = Some(Unit {
                    client,
                    start: self.now,
                    length,
                });
                self.preempted = false;
                self.grants += 1;
                (1, client as u64)
            }
            Action::Revoke { vm, .. } => {
                let unit = self.running.take().expect("only a holder is revoked");
                assert_eq!(
                    self.clients[unit.client].guest.id, vm,
                    "seed {seed}: revoked another"
                );
                assert_eq!(
                    unit.length, 0,
                    "seed {seed}: revoked in the middle of a unit"
                );
                self.preempted = false;
                (2, unit.client as u64)
            }
            Action::Preempt { vm, .. } => {
                let unit = self.running.as_ref().expect("only a holder is preempted");
                assert_eq!(
                    self.clients[unit.client].guest.id, vm,
                    "seed {seed}: preempted another"
                );
                assert!(!self.preempted, "seed {seed}: preempted twice");
                self.preempted = true;
                (3, unit.client as u64)
            }
            Action::WakeAt { at } => {
                let at = at.0.wrapping_sub(self.origin);
                assert!(at > self.now, "seed {seed}: asked to be woken in the past");
                self.wake_at = Some(at);
                (4, at)
            }
            // Units of these worlds are shorter than the hang timeout.
            Action::ResetEngine { vm, .. } | Action::Quarantine { vm } => {
                panic!("seed {seed}: VM {} hangs at {}", vm.0, self.now)
            }
        };
        for word in [self.now, code, who] {
            for byte in word.to_le_bytes() {
                self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
    }

    fn index(&self, vm: VmId) -> usize {
        let named = |client: &Client| client.here && client.guest.id == vm;
        self.clients
            .iter()
            .position(named)
            .expect("a VM that is here")
    }

    fn check(&self) {
        let seed = self.seed;
        let mut charged = 0;
        let mut held = false;
        let mut waiting = false;
        for client in &self.clients {
            // A name can be used again: only those who are here, or still leave, have an account.
            let leaving = !client.here
                && self
                    .running
                    .as_ref()
                    .is_some_and(|unit| std::ptr::eq(&self.clients[unit.client], client));
            if !client.here && !leaving {
                continue;
            }
            let account = self.scheduler.account(client.guest.id);
            let Some(account) = account else { continue };
            if client.here || account.state == VmState::Running {
                charged += account.charged.0;
            }
            held |= account.state == VmState::Running;
            waiting |= client.here && account.state == VmState::Ready;
            if client.here && account.state == VmState::Idle {
                assert!(
                    client.queue.is_empty(),
                    "seed {seed}: VM {} is forgotten",
                    client.guest.id.0
                );
            }
        }
        let busy = self.scheduler.busy(ENGINE).expect("engine 0").0;
        if self
            .running
            .as_ref()
            .is_none_or(|unit| self.clients[unit.client].here)
        {
            assert_eq!(
                charged + self.gone,
                busy,
                "seed {seed}: a nanosecond was lost or charged twice at {}",
                self.now
            );
        }
        assert!(
            held || !waiting || self.policy == Policy::Fixed,
            "seed {seed}: idle at {} with work waiting",
            self.now
        );
        assert_eq!(
            held,
            self.running.is_some(),
            "seed {seed}: the engine is held by somebody else"
        );
    }

    /// The longest unit that any VM may run.
    pub fn longest_unit(&self) -> u64 {
        self.clients
            .iter()
            .map(|client| client.guest.unit)
            .max()
            .unwrap_or(0)
    }

    pub fn lag(&self, index: usize) -> i64 {
        self.scheduler
            .account(self.clients[index].guest.id)
            .expect("it is here")
            .lag
    }
}
