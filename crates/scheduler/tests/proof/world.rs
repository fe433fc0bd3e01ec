// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! A discrete-event world with any number of engines and VMs of any character, and a scheduler under test.
//!
//! It keeps books of its own and, after every event, asks each promise that it was given whether it still holds
//! ([`crate::promises`]). What makes no sense at all, such as a grant of an engine that is held, ends the run whatever is asked.

use rondo_scheduler::{
    Action, Actions, EngineId, Event, Mode, Nanos, Policy, Scheduler, SchedulerConfig,
    SchedulerError, VmAccount, VmProfile,
};

use crate::books::{Vm, Window};
use crate::guest::Guest;
use crate::random::Random;

/// What must hold after every event; or what does not.
pub type Promise = fn(&World, &Told) -> Result<(), String>;

/// A unit that runs.
#[derive(Clone, Debug)]
pub struct Unit {
    pub start: u64,
    /// When it ends; `None`: never by itself.
    pub end: Option<u64>,
    /// How much later that is reported.
    pub delay: u64,
    /// How much of its job is then done.
    pub done: u64,
    pub reset: bool,
    /// The longest hang timeout of its VM since it began.
    pub patience: u64,
}

/// Who has an engine.
#[derive(Clone, Debug)]
pub struct Hold {
    pub vm: usize,
    pub preempted: bool,
    /// `None` while its end is being reported.
    pub unit: Option<Unit>,
}

/// An event, and how things were before and after it.
#[derive(Debug)]
pub struct Told {
    pub event: Event,
    /// Since the event before.
    pub elapsed: u64,
    pub refused: Option<SchedulerError>,
    pub actions: Vec<Action>,
    pub before: Vec<(usize, VmAccount)>,
    pub after: Vec<(usize, VmAccount)>,
}

#[derive(Debug)]
pub struct World {
    pub config: SchedulerConfig,
    pub policy: Policy,
    /// It has been under `fixed`.
    pub was_fixed: bool,
    pub scheduler: Scheduler,
    pub seed: u64,
    pub now: u64,
    /// The instant that the scheduler is told at time 0.
    pub origin: u64,
    pub vms: Vec<Vm>,
    pub engines: Vec<Option<Hold>>,
    /// What each engine ran.
    pub busy: Vec<u64>,
    /// Work missing from what the client VMs of each engine are guaranteed together, while one of them has had work.
    pub below_host_guarantee: Vec<Window>,
    /// The longest that a VM has waited while some engine stood idle.
    pub longest_beside: u64,
    /// What bringing an engine back after a hang takes.
    pub reset_cost: u64,
    pub wake_at: Option<u64>,
    /// The longest unit that any VM ran so far.
    pub longest: u64,
    pub events: u64,
    /// How many of them were timers, at the instants that were asked for.
    pub timers: u64,
    pub grants: u64,
    pub refusals: u64,
    /// FNV-1a of every action and its instant, VMs named by their index.
    pub hash: u64,
    promises: Vec<Promise>,
    last_event: u64,
    actions: Actions,
}

impl World {
    pub fn new(
        seed: u64,
        config: SchedulerConfig,
        guests: Vec<Guest>,
        promises: &[Promise],
    ) -> Self {
        Self::starting_at(0, seed, config, guests, promises)
    }

    pub fn starting_at(
        origin: u64,
        seed: u64,
        config: SchedulerConfig,
        guests: Vec<Guest>,
        promises: &[Promise],
    ) -> Self {
        let engines = usize::from(config.engines);
        let mut world = Self {
            config,
            policy: config.policy,
            was_fixed: config.policy == Policy::Fixed,
            scheduler: Scheduler::new(config).expect("a configuration that is offered"),
            seed,
            now: 0,
            origin,
            vms: Vec::new(),
            engines: vec![None; engines],
            busy: vec![0; engines],
            below_host_guarantee: vec![Window::default(); engines],
            longest_beside: 0,
            reset_cost: 500_000,
            wake_at: None,
            longest: 0,
            events: 0,
            timers: 0,
            grants: 0,
            refusals: 0,
            hash: 0xcbf2_9ce4_8422_2325,
            promises: promises.to_vec(),
            last_event: 0,
            actions: Actions::new(),
        };
        for guest in guests {
            world.join(guest).expect("set-ups fit");
        }
        world
    }

    /// A VM joins now. Returns its index, or why it was refused.
    pub fn join(&mut self, guest: Guest) -> Result<usize, SchedulerError> {
        let index = self.vms.len();
        let random = Random::new(self.seed ^ (index as u64 + 1));
        let (vm, profile) = (guest.id, guest.profile);
        self.vms.push(Vm::new(guest, self.now, random));
        if let Err(error) = self.tell(Event::AddVm { vm, profile }) {
            self.vms.pop();
            return Err(error);
        }
        self.vms[index].here = true;
        Ok(index)
    }

    /// A VM leaves now; its work is forgotten.
    pub fn leave(&mut self, index: usize) {
        let holds = self.engine_of(index).is_some();
        let vm = &mut self.vms[index];
        vm.here = false;
        vm.leaving = holds;
        vm.coming.clear();
        let id = vm.guest.id;
        self.tell(Event::RemoveVm { vm: id }).expect("it is here");
    }

    pub fn set_profile(&mut self, index: usize, profile: VmProfile) -> Result<(), SchedulerError> {
        self.catch_up();
        let id = self.vms[index].guest.id;
        let old = std::mem::replace(&mut self.vms[index].guest.profile, profile);
        let told = self.tell(Event::SetProfile { vm: id, profile });
        if told.is_err() {
            self.vms[index].guest.profile = old;
            return told;
        }
        let vm = &mut self.vms[index];
        vm.above_limit = Window::default();
        vm.below_guarantee = Window::default();
        vm.settled = false;
        let Some(engine) = self.engine_of(index) else {
            self.vms[index].stretch = 0;
            return Ok(());
        };
        // The stretch that runs may be as long as either profile allows.
        let slot = 16 * u64::from(old.guarantee.get().max(profile.guarantee.get()));
        let stretch = profile.slice.0.max(slot + self.vms[index].guest.unit);
        self.vms[index].stretch = self.vms[index].stretch.max(stretch);
        if let Some(unit) = self.engines[engine]
            .as_mut()
            .and_then(|hold| hold.unit.as_mut())
        {
            unit.patience = unit.patience.max(profile.hang_timeout.0);
        }
        Ok(())
    }

    pub fn set_policy(&mut self, policy: Policy) {
        self.catch_up();
        self.policy = policy;
        self.was_fixed |= policy == Policy::Fixed;
        for vm in &mut self.vms {
            vm.below_guarantee = Window::default();
        }
        self.below_host_guarantee.fill(Window::default());
        self.tell(Event::SetPolicy { policy })
            .expect("always possible");
    }

    pub fn pardon(&mut self, index: usize) {
        let vm = self.vms[index].guest.id;
        self.vms[index].quarantined = false;
        self.vms[index].hung.clear();
        self.tell(Event::Pardon { vm }).expect("it is here");
        if !self.vms[index].queue.is_empty() && self.engine_of(index).is_none() {
            self.say_ready(index);
        }
    }

    /// Says of a VM that it has work, whether it has or not.
    pub fn say_ready(&mut self, index: usize) {
        let holds = self.engine_of(index).is_some();
        let vm = &mut self.vms[index];
        vm.claims = true;
        vm.woken = holds;
        let id = vm.guest.id;
        self.tell(Event::Ready { vm: id }).expect("it is here");
    }

    /// Tells the scheduler the time, so that it is not time that the next event changes.
    fn catch_up(&mut self) {
        if self.last_event != self.now {
            self.ring();
        }
    }

    /// Rings the timer too soon, as one that was set for an earlier request does.
    pub fn ring(&mut self) {
        self.wake_at = None;
        self.tell(Event::Timer).expect("never refused");
    }

    /// Asks these promises from now on.
    pub fn ask(&mut self, promises: &[Promise]) {
        self.promises = promises.to_vec();
    }

    /// Lets time pass until `end`, all that happens at `end` included.
    pub fn run_until(&mut self, end: u64) {
        while let Some(at) = self.next_event().filter(|&at| at <= end) {
            self.pass_to(at);
            self.step();
        }
        self.pass_to(end);
    }

    /// When something happens next.
    pub fn next_event(&self) -> Option<u64> {
        let arrivals = self.vms.iter().filter_map(|vm| vm.coming.front());
        let arrival = arrivals.map(|&(at, _)| at).min();
        let reports = (0..self.engines.len()).filter_map(|engine| self.report_at(engine));
        let next = reports.chain(arrival).chain(self.wake_at).min();
        next.map(|at| at.max(self.now))
    }

    fn report_at(&self, engine: usize) -> Option<u64> {
        let unit = self.engines[engine].as_ref()?.unit.as_ref()?;
        Some(unit.end? + unit.delay)
    }

    pub fn step(&mut self) {
        let now = self.now;
        let comes = |vm: &Vm| vm.coming.front().is_some_and(|&(at, _)| at <= now);
        let ends = |engine: &usize| self.report_at(*engine).is_some_and(|at| at <= now);
        if let Some(index) = self.vms.iter().position(comes) {
            self.arrive(index);
        } else if let Some(engine) = (0..self.engines.len()).find(ends) {
            self.report(engine);
        } else {
            self.wake_at = None;
            self.timers += 1;
            if self.timers > 1_000 + 50 * (self.events - self.timers) {
                self.fail(
                    "timers",
                    "the timer is asked for again and again, and nothing else happens",
                );
            }
            self.tell(Event::Timer).expect("never refused");
        }
    }

    /// Time passes, and nothing happens in it.
    pub fn pass_to(&mut self, end: u64) {
        let (from, elapsed) = (self.now, end - self.now);
        self.now = end;
        if elapsed == 0 {
            return;
        }
        let engines = &self.engines;
        let mut hosts = vec![(false, 0); engines.len()];
        for (index, vm) in self.vms.iter_mut().enumerate() {
            let unit = engines
                .iter()
                .flatten()
                .find(|hold| hold.vm == index)
                .and_then(|hold| hold.unit.as_ref());
            let ran = unit.map_or(0, |unit| {
                unit.end
                    .map_or(end, |at| at.min(end))
                    .saturating_sub(unit.start.max(from))
            });
            if let Some(limit) = vm.guest.profile.limit {
                vm.above_limit.fill(elapsed, ran, limit.get());
            }
            let wants = vm.here && vm.claims && !vm.quarantined;
            if vm.guest.profile.mode == Mode::Client
                && vm.guest.profile.limit.is_none()
                && let Some(home) = self.scheduler.home(vm.guest.id)
            {
                let (some, sum) = &mut hosts[usize::from(home.0)];
                *some |= wants;
                *sum += ran;
            }
            let rate = vm.guest.profile.guarantee.get();
            if wants {
                vm.below_guarantee.fall_short(elapsed, ran, rate);
            } else {
                vm.below_guarantee = Window::default();
            }
        }
        let rate = self.config.host_guarantee.get();
        for (below, (some, ran)) in self.below_host_guarantee.iter_mut().zip(hosts) {
            if some {
                below.fall_short(elapsed, ran, rate);
            } else {
                *below = Window::default();
            }
        }
    }

    fn arrive(&mut self, index: usize) {
        let (_, length) = self.vms[index].coming.pop_front().expect("it has come");
        self.give(index, length);
    }

    /// A VM gets work now.
    pub fn give(&mut self, index: usize, length: u64) {
        if self.vms[index].receive(self.now, length) {
            if self.engine_of(index).is_none() {
                self.announce(index);
            }
            self.say_ready(index);
        }
    }

    /// Says how long the next unit of a VM will be.
    fn announce(&mut self, index: usize) {
        let vm = &self.vms[index];
        if vm.guest.announces && !vm.queue.is_empty() {
            let at_most = Some(Nanos(vm.next_unit()));
            let id = vm.guest.id;
            self.tell(Event::UnitBound { vm: id, at_most })
                .expect("it is here");
        }
    }

    /// The holder of an engine begins its next unit.
    pub fn begin_unit(&mut self, engine: usize) {
        let Some(hold) = &mut self.engines[engine] else {
            return;
        };
        let vm = &mut self.vms[hold.vm];
        let (habits, length) = (vm.guest.habits, vm.next_unit());
        let random = &mut vm.random;
        let mut happens = |one_in: u64| one_in > 0 && random.one_in(one_in);
        let end = if length > 0 && happens(habits.hangs) {
            None
        } else if length > 0 && happens(habits.lies) {
            Some(self.now + length * random.within(2, 20))
        } else {
            Some(self.now + length)
        };
        let late = habits.dawdles > 0 && random.one_in(habits.dawdles);
        hold.unit = Some(Unit {
            start: self.now,
            end,
            delay: if late { random.within(1, 200_000) } else { 0 },
            done: length,
            reset: false,
            patience: vm.guest.profile.hang_timeout.0,
        });
    }

    /// The unit on an engine ended: says so.
    pub fn report(&mut self, engine: usize) {
        let hold = self.engines[engine].as_ref().expect("a unit ran");
        let (index, unit) = (hold.vm, hold.unit.clone().expect("a unit ran"));
        let id = EngineId(u16::try_from(engine).expect("few engines"));
        let end = unit.end.expect("it ended");
        let ran = end - unit.start;
        let vm = &mut self.vms[index];
        if unit.reset {
            vm.ran.push(crate::books::Ran {
                engine: id,
                start: unit.start,
                end,
            });
            vm.lose(end);
        } else if ran > 0 {
            vm.finish(id, unit.start, end, unit.done);
        }
        let here = vm.here;
        if here {
            self.announce(index);
        }
        let vm = &mut self.vms[index];
        // Work that came while the unit ran was told: a report that knows nothing of it yet is overruled.
        let stale = vm.woken && vm.guest.habits.dawdles > 0 && vm.random.one_in(2);
        let more = here && !vm.queue.is_empty() && !stale;
        let woken = std::mem::take(&mut vm.woken);
        vm.claims = (more || woken) && here;
        vm.charged += ran;
        vm.units += 1;
        vm.longest = vm.longest.max(ran);
        self.busy[engine] += ran;
        self.longest = self.longest.max(ran);
        let vm = vm.guest.id;
        let hold = self.engines[engine].as_mut().expect("a unit ran");
        hold.unit = None;
        let must_go = hold.preempted || unit.reset || !here;
        self.tell(Event::UnitDone {
            engine: id,
            vm,
            ran: Nanos(ran),
            more,
        })
        .expect("it holds the engine");
        if let Some(hold) = &self.engines[engine]
            && hold.unit.is_none()
        {
            if must_go {
                self.fail("actions", "not revoked after it was asked to stop");
            }
            self.begin_unit(engine);
        }
    }

    /// Tells the scheduler something, carries out what it asks for, and asks what was promised.
    pub fn tell(&mut self, event: Event) -> Result<(), SchedulerError> {
        let now = Nanos(self.origin.wrapping_add(self.now));
        let before = self.accounts();
        let mut actions = std::mem::take(&mut self.actions);
        let result = self.scheduler.on(now, event, &mut actions);
        self.events += 1;
        self.refusals += u64::from(result.is_err());
        let list: Vec<Action> = actions.drain().collect();
        self.actions = actions;
        for &action in &list {
            self.carry_out(event, action);
        }
        self.watch_idle_time();
        let told = Told {
            event,
            elapsed: self.now - self.last_event,
            refused: result.err(),
            actions: list,
            before,
            after: self.accounts(),
        };
        self.last_event = self.now;
        for promise in &self.promises {
            if let Err(broken) = promise(self, &told) {
                self.fail("broken", &format!("{broken}\n  {told:?}"));
            }
        }
        result
    }

    /// The scheduler's accounts of those who are here, or still leave.
    fn accounts(&self) -> Vec<(usize, VmAccount)> {
        let known = self
            .vms
            .iter()
            .enumerate()
            .filter(|(_, vm)| vm.here || vm.leaving);
        known
            .filter_map(|(index, vm)| Some((index, self.scheduler.account(vm.guest.id)?)))
            .collect()
    }

    fn watch_idle_time(&mut self) {
        let idle = self.engines.iter().any(Option::is_none);
        for index in 0..self.vms.len() {
            let waits = idle && self.waits(index);
            let since = &mut self.vms[index].idle_beside;
            let so_far = since.map_or(0, |since| self.now - since);
            self.longest_beside = self.longest_beside.max(so_far);
            *since = waits.then(|| since.unwrap_or(self.now));
        }
    }

    /// The engine that a VM holds.
    pub fn engine_of(&self, index: usize) -> Option<usize> {
        let holds = |hold: &Option<Hold>| hold.as_ref().is_some_and(|hold| hold.vm == index);
        self.engines.iter().position(holds)
    }

    /// Whether a VM could run but for want of an engine, its limit aside.
    pub fn claims(&self, index: usize) -> bool {
        let vm = &self.vms[index];
        vm.here && vm.claims && !vm.quarantined && self.engine_of(index).is_none()
    }

    /// Whether a VM could run but for want of an engine.
    pub fn waits(&self, index: usize) -> bool {
        self.claims(index)
            && self
                .scheduler
                .account(self.vms[index].guest.id)
                .map(|account| account.state)
                != Some(rondo_scheduler::VmState::Throttled)
    }

    pub fn account(&self, index: usize) -> VmAccount {
        self.scheduler
            .account(self.vms[index].guest.id)
            .expect("it is here")
    }

    /// The longest request of a VM: its slice, or its longest unit.
    pub fn request_of(&self, index: usize) -> u64 {
        let vm = &self.vms[index];
        vm.profile().slice.0.max(vm.guest.unit)
    }

    /// How long anybody may have kept an engine so far when another had the better claim: a request and its grace.
    pub fn longest_request(&self) -> u64 {
        let longest = |index| self.request_of(index) + self.vms[index].profile().grace.0;
        (0..self.vms.len())
            .map(longest)
            .max()
            .unwrap_or(0)
            .max(self.longest)
    }

    pub fn fail(&self, what: &str, why: &str) -> ! {
        panic!(
            "{what}: {why}\n  seed {}, {:?} on {} engines, event {} at {} ns",
            self.seed, self.policy, self.config.engines, self.events, self.now
        )
    }
}
