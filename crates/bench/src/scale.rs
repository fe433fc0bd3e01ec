// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Ten thousand VMs with four contexts each, of which a thousand join and a thousand leave in each second of simulated time.

use std::hint::black_box;
use std::time::Instant;

use rondo_scheduler::inside::{
    BandSettings, ContextId, ContextProperties, ContextScheduler, InsideError, ProcessId,
};
use rondo_scheduler::{
    Action, Actions, EngineId, Event, Nanos, Ppm, Scheduler, SchedulerConfig, SchedulerError, VmId,
    VmProfile,
};

use crate::memory::{CONTEXTS, VMS};
use crate::random::Random;
use crate::report::{Goal, Section, Table, nanos};
use crate::statistics::{Samples, median};
use crate::{ALLOCATOR, clock};

/// Units of a round. At a tenth of a millisecond each that is ten seconds.
const UNITS: u64 = 100_000;
/// Of these the first are not timed.
const WARM_UP: u64 = 20_000;
/// A VM leaves, or one joins, after so many units: a thousand of each a second.
const UNITS_A_CHANGE: u64 = 5;
/// Rounds; the median counts.
const ROUNDS: usize = 5;

/// Measures and tells.
///
/// # Errors
/// What is refused, in words.
pub fn section() -> Result<Section, String> {
    let clock = clock::cost();
    let mut section = Section::new("Ten thousand VMs");
    section.say(format!(
        "{VMS} VMs that always have work, {CONTEXTS} contexts in each, units of 0.05 to 0.15 ms, `guaranteed`, slices of zero, one engine. In each simulated second 1,000 VMs join (with all that is \
         inside them) and 1,000 leave. *Outer decision*: `UnitDone`, with the next grant. *Inner decision*: `unit_begins` and `unit_done` of one unit. {ROUNDS} rounds of {UNITS} units, \
         of which the first {WARM_UP} are not timed; medians of the rounds; the clock's {clock} ns are taken off."
    ));
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        eprintln!("ten thousand VMs: round {} of {ROUNDS}", round + 1);
        rounds.push(round_of_units(clock)?);
    }
    let mut table = Table::new(["", "p50 ns", "p99 ns", "greatest ns"]);
    for (name, goal, of) in [
        (
            "outer decision",
            Some(1_000.0),
            (|round| &round.outer) as fn(&Round) -> &Samples,
        ),
        ("inner decision", Some(1_000.0), |round| &round.inner),
        ("a VM joins", None, |round| &round.join),
        ("a VM leaves", None, |round| &round.leave),
    ] {
        let of_rounds = |value: fn(&Samples) -> f64| {
            median(
                &rounds
                    .iter()
                    .map(|round| value(of(round)))
                    .collect::<Vec<_>>(),
            )
        };
        let p99 = of_rounds(Samples::p99);
        table.row([
            name.to_owned(),
            nanos(of_rounds(Samples::p50)),
            nanos(p99),
            nanos(of_rounds(Samples::greatest)),
        ]);
        if let Some(goal) = goal {
            let what =
                format!("10,000 VMs x 4 contexts, 1,000 joins and leaves a second: {name}, p99");
            section.judge(what, p99, "ns", Goal::AtMost(goal));
        }
    }
    section.show(&table);
    let calls = rounds.iter().map(|round| round.allocations).max();
    section.judge(
        "Allocations in 10,000 decisions without joins",
        calls.unwrap_or(0) as f64,
        "",
        Goal::AtMost(0.0),
    );
    crate::memory::tell(&mut section)?;
    Ok(section)
}

#[derive(Clone, Debug)]
struct Round {
    outer: Samples,
    inner: Samples,
    join: Samples,
    leave: Samples,
    /// Calls of the allocator in so many decisions.
    allocations: u64,
}

#[derive(Debug, Default)]
struct Times {
    outer: Vec<u64>,
    inner: Vec<u64>,
    join: Vec<u64>,
    leave: Vec<u64>,
}

/// The engine's unit.
#[derive(Clone, Copy, Debug)]
struct Unit {
    vm: VmId,
    ran: Nanos,
    /// What it took to choose the context.
    choice: u64,
}

struct World {
    scheduler: Scheduler,
    actions: Actions,
    /// By the VM's number; numbers are not used twice.
    vms: Vec<Option<Box<ContextScheduler>>>,
    here: Vec<VmId>,
    unit: Option<Unit>,
    wake_at: Option<Nanos>,
    now: Nanos,
    random: Random,
    clock: u64,
    times: Times,
}

fn round_of_units(clock: u64) -> Result<Round, String> {
    let scheduler =
        Scheduler::new(SchedulerConfig::default()).map_err(|error| error.to_string())?;
    let room = || Vec::with_capacity(usize::try_from(UNITS).unwrap_or(0));
    let mut world = World {
        scheduler,
        actions: Actions::new(),
        vms: room_for_all(),
        here: room_for_all(),
        unit: None,
        wake_at: None,
        now: Nanos(1),
        random: Random::new(1),
        clock,
        times: Times {
            outer: room(),
            inner: room(),
            join: room(),
            leave: room(),
        },
    };
    for _ in 0..VMS {
        world.join()?;
    }
    for unit in 0..UNITS {
        if unit == WARM_UP {
            for times in [
                &mut world.times.outer,
                &mut world.times.inner,
                &mut world.times.join,
                &mut world.times.leave,
            ] {
                times.clear();
            }
        }
        world.unit_ends()?;
        match unit % (2 * UNITS_A_CHANGE) {
            0 => world.leave()?,
            UNITS_A_CHANGE => world.join()?,
            _ => {}
        }
    }
    let (quiet, counted) = ALLOCATOR.count(|| (0..10_000).try_for_each(|_| world.unit_ends()));
    quiet?;
    Ok(Round {
        outer: Samples::new(world.times.outer),
        inner: Samples::new(world.times.inner),
        join: Samples::new(world.times.join),
        leave: Samples::new(world.times.leave),
        allocations: counted.calls,
    })
}

/// Room for every VM that ever is in a round.
fn room_for_all<T>() -> Vec<T> {
    let joins = UNITS / UNITS_A_CHANGE + u64::from(VMS);
    Vec::with_capacity(usize::try_from(joins).unwrap_or(0))
}

impl World {
    fn join(&mut self) -> Result<(), String> {
        let vm = VmId(u32::try_from(self.vms.len()).unwrap_or(u32::MAX));
        let inside = inside().map_err(|error| error.to_string())?;
        self.vms.push(Some(Box::new(inside)));
        self.here.push(vm);
        // A fifth is kept free: VMs that left in debt keep their part until it is paid.
        let profile = VmProfile {
            guarantee: Ppm::new(Ppm::WHOLE.get() / VMS * 4 / 5).unwrap_or_default(),
            slice: Nanos(0),
            max_unit: Some(Nanos::from_micros(150)),
            ..VmProfile::default()
        };
        let took = self.tell(Event::AddVm { vm, profile })?;
        self.times.join.push(took);
        self.tell(Event::Ready { vm })?;
        Ok(())
    }

    fn leave(&mut self) -> Result<(), String> {
        let place = self.random.below(self.here.len() as u64);
        let vm = self.here.swap_remove(usize::try_from(place).unwrap_or(0));
        let took = self.tell(Event::RemoveVm { vm })?;
        self.times.leave.push(took);
        Ok(())
    }

    fn unit_ends(&mut self) -> Result<(), String> {
        let Some(unit) = self.unit.take() else {
            let at = self.wake_at.take().ok_or("nobody runs and nobody wakes")?;
            self.now = self.now.max(at);
            return self.tell(Event::Timer).map(|_| ());
        };
        self.now = Nanos(self.now.0.saturating_add(unit.ran.0));
        if let Some(inside) = self.inside(unit.vm) {
            let before = Instant::now();
            inside.unit_done(black_box(unit.ran));
            let after = Instant::now();
            let took = clock::nanos(before, after).saturating_sub(self.clock);
            self.times.inner.push(unit.choice + took);
        }
        let done = Event::UnitDone {
            engine: EngineId(0),
            vm: unit.vm,
            ran: unit.ran,
            more: true,
        };
        let took = self.tell(done)?;
        self.times.outer.push(took);
        if self.unit.is_none() && self.scheduler.holder(EngineId(0)) == Some(unit.vm) {
            self.begin(unit.vm);
        }
        Ok(())
    }

    fn inside(&mut self, vm: VmId) -> Option<&mut ContextScheduler> {
        self.vms.get_mut(vm.0 as usize)?.as_deref_mut()
    }

    fn begin(&mut self, vm: VmId) {
        let clock = self.clock;
        let ran = Nanos(50_000 + self.random.below(100_000));
        let Some(inside) = self.inside(vm) else {
            return;
        };
        let before = Instant::now();
        black_box(inside.unit_begins());
        let after = Instant::now();
        let choice = clock::nanos(before, after).saturating_sub(clock);
        self.unit = Some(Unit { vm, ran, choice });
    }

    /// Tells the scheduler and does what it asks for; returns what the scheduler took.
    fn tell(&mut self, event: Event) -> Result<u64, String> {
        self.actions.clear();
        let before = Instant::now();
        let result = self.scheduler.on(self.now, event, &mut self.actions);
        let after = Instant::now();
        result.map_err(|error: SchedulerError| error.to_string())?;
        let mut granted = None;
        for action in self.actions.drain() {
            match action {
                Action::Grant { vm, .. } => granted = Some(vm),
                Action::WakeAt { at } => self.wake_at = Some(at),
                _ => {}
            }
        }
        if let Some(vm) = granted {
            self.begin(vm);
        }
        Ok(clock::nanos(before, after).saturating_sub(self.clock))
    }
}

/// What a VM has inside when it joins.
fn inside() -> Result<ContextScheduler, InsideError> {
    let process = ProcessId(1);
    let mut inside = ContextScheduler::new(BandSettings::default());
    inside.add_process(process)?;
    for context in (0..CONTEXTS).map(ContextId) {
        inside.add_context(process, context, ContextProperties::default())?;
        inside.ready(context)?;
    }
    Ok(inside)
}
