// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Random guests: what must hold after every event.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rondo_scheduler::Nanos;
use rondo_scheduler::inside::*;

use super::world::*;

const CONTEXTS: u64 = 12;
const PROCESSES: u64 = 3;

#[derive(Clone, Copy, Debug)]
enum Step {
    Ready(u64),
    Idle(u64),
    Suspend(u64),
    Resume(u64),
    Remove(u64),
    Add(u64, u8, u8, i8),
    Set(u64, u8, u8, i8),
    Present,
    Bands(u8, u64),
    Unit(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let context = 0..CONTEXTS;
    let shape = (0..CONTEXTS, 0_u8..4, 0_u8..32, -7_i8..=7);
    prop_oneof![
        6 => context.clone().prop_map(Step::Ready),
        2 => context.clone().prop_map(Step::Idle),
        1 => context.clone().prop_map(Step::Suspend),
        2 => context.clone().prop_map(Step::Resume),
        1 => context.prop_map(Step::Remove),
        2 => shape.clone().prop_map(|(context, band, level, priority)| Step::Add(context, band, level, priority)),
        2 => shape.prop_map(|(context, band, level, priority)| Step::Set(context, band, level, priority)),
        1 => Just(Step::Present),
        1 => (0_u8..=50, 1_u64..5_000_000).prop_map(|(percentage, quantum)| Step::Bands(percentage, quantum)),
        12 => prop_oneof![
            8 => 0_u64..200_000,
            1 => 0_u64..20_000_000,
            1 => Just(0),
        ].prop_map(Step::Unit),
    ]
}

fn shape(band: u8, realtime: u8, number: i8) -> ContextProperties {
    ContextProperties {
        band: Band::ALL[usize::from(band)],
        realtime_level: RealtimeLevel::new(realtime).unwrap(),
        quantum: Nanos(1 + u64::from(realtime) * 100_000),
        ..priority(number)
    }
}

#[derive(Clone, Copy, Debug)]
struct Model {
    properties: ContextProperties,
    work: bool,
    suspended: bool,
}

/// What a test knows of the contexts that are here.
#[derive(Default)]
struct Models(BTreeMap<u64, Model>);

impl Models {
    /// Applies a step to both; a context that is not here is refused by the scheduler and unknown to the model.
    fn apply(&mut self, inside: &mut ContextScheduler, step: Step) -> Option<u64> {
        let mut with = |context: u64, change: fn(&mut Model)| {
            if let Some(model) = self.0.get_mut(&context) {
                change(model);
            }
        };
        match step {
            Step::Ready(context) => {
                with(context, |model| model.work = true);
                let _ = inside.ready(ContextId(context));
            }
            Step::Idle(context) => {
                with(context, |model| model.work = false);
                let _ = inside.idle(ContextId(context));
            }
            Step::Suspend(context) => {
                with(context, |model| model.suspended = true);
                let _ = inside.suspend(ContextId(context));
            }
            Step::Resume(context) => {
                with(context, |model| model.suspended = false);
                let _ = inside.resume(ContextId(context));
            }
            Step::Remove(context) => {
                self.0.remove(&context);
                let _ = inside.remove_context(ContextId(context));
            }
            Step::Add(context, band, level, number) => {
                let properties = shape(band, level, number);
                let process = ProcessId(context % PROCESSES);
                if inside
                    .add_context(process, ContextId(context), properties)
                    .is_ok()
                {
                    let model = Model {
                        properties,
                        work: false,
                        suspended: false,
                    };
                    self.0.insert(context, model);
                }
            }
            Step::Set(context, band, level, number) => {
                let properties = shape(band, level, number);
                if inside
                    .set_properties(ContextId(context), properties)
                    .is_ok()
                {
                    self.0.get_mut(&context).unwrap().properties = properties;
                }
            }
            Step::Present => inside.focus_present(),
            Step::Bands(percentage, quantum) => {
                let settings = BandSettings {
                    process_quantum: [Nanos(quantum); 4],
                    ..graceless(percentage)
                };
                inside.set_up_bands(settings).unwrap();
            }
            Step::Unit(length) => {
                let context = inside.unit_begins();
                if context.is_some() {
                    inside.unit_done(Nanos(length));
                }
                return context.map(|context| context.0);
            }
        }
        None
    }

    fn ready(&self) -> impl Iterator<Item = (&u64, &Model)> {
        self.0
            .iter()
            .filter(|(_, model)| model.work && !model.suspended)
    }
}

fn rung(properties: &ContextProperties) -> (Band, u8) {
    let level = match properties.band {
        Band::Realtime => properties.realtime_level.get(),
        _ => 0,
    };
    (properties.band, level)
}

fn with_processes(settings: BandSettings) -> ContextScheduler {
    let mut inside = ContextScheduler::new(settings);
    for process in 0..PROCESSES {
        inside.add_process(ProcessId(process)).unwrap();
    }
    inside
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn given_any_events_without_grace_then_who_runs_is_ready_and_nobody_better_is(
        steps in proptest::collection::vec(step(), 0..400),
    ) {
        let mut inside = with_processes(graceless(10));
        let mut models = Models::default();
        let mut ran = 0_u64;
        for step in steps {
            let expected = inside.next().map(|context| context.0);
            let context = models.apply(&mut inside, step);
            if let Step::Unit(length) = step {
                prop_assert_eq!(context, expected, "what was foretold");
                ran += context.map_or(0, |_| length);
            }
            let next = inside.next().map(|context| context.0);
            let ready: Vec<_> = models.ready().collect();
            prop_assert_eq!(inside.has_ready(), !ready.is_empty());
            prop_assert_eq!(next.is_some(), !ready.is_empty());
            if let Some(next) = next {
                let chosen = models.0[&next];
                prop_assert!(chosen.work && !chosen.suspended);
                for (&other, model) in ready {
                    let yielded = chosen.properties.band == Band::Normal && model.properties.band == Band::Focus;
                    prop_assert!(yielded || rung(&model.properties) <= rung(&chosen.properties));
                    let equals = other % PROCESSES == next % PROCESSES
                        && rung(&model.properties) == rung(&chosen.properties);
                    prop_assert!(!equals || model.properties.priority <= chosen.properties.priority);
                }
            }
            let total: u64 = Band::ALL.iter().map(|&band| inside.band_time(band).0).sum();
            prop_assert_eq!(total, ran, "bands");
            let total: u64 = (0..PROCESSES).map(|process| inside.process_time(ProcessId(process)).unwrap().0).sum();
            prop_assert_eq!(total, ran, "processes");
        }
    }

    #[test]
    fn given_the_same_events_then_the_same_decisions(
        steps in proptest::collection::vec(step(), 0..300),
    ) {
        let play = || {
            let mut inside = with_processes(BandSettings::default());
            let mut models = Models::default();
            let order: Vec<_> = steps.iter().map(|&step| models.apply(&mut inside, step)).collect();
            order
        };
        prop_assert_eq!(play(), play());
    }

    #[test]
    fn given_times_and_quanta_of_any_size_then_nothing_overflows(
        units in proptest::collection::vec(any::<u64>(), 1..200),
        quantum in 1_u64..,
    ) {
        let settings = BandSettings {
            grace: [Nanos(quantum); 4],
            process_grace: [Nanos(quantum); 4],
            process_quantum: [Nanos(quantum); 4],
            normal_percentage: 50,
        };
        let mut world = World::new(settings);
        for context in 0..6 {
            let band = Band::ALL[usize::try_from(context % 4).unwrap()];
            let properties = ContextProperties {
                quantum: Nanos(quantum),
                grace_same: Nanos(quantum),
                ..properties(band)
            };
            world.busy(context % 2, context, properties);
        }
        for ran in units {
            let context = world.unit(ran);
            prop_assert!(context < 6);
        }
    }
}

proptest! {
    // Each runs for a minute of the VM's time.
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn given_any_history_then_every_context_of_the_top_rung_and_priority_is_served_again(
        steps in proptest::collection::vec(step(), 0..200),
        band in 0_u8..4,
    ) {
        let mut inside = with_processes(BandSettings::default());
        let mut models = Models::default();
        for step in steps {
            models.apply(&mut inside, step);
        }
        inside.set_up_bands(BandSettings::default()).unwrap();
        let properties = ContextProperties { band: Band::ALL[usize::from(band)], ..ContextProperties::default() };
        let before: Vec<u64> = (0..CONTEXTS).map(|context| {
            let id = ContextId(context);
            let _ = inside.add_context(ProcessId(context % PROCESSES), id, properties);
            inside.set_properties(id, properties).unwrap();
            inside.ready(id).unwrap();
            inside.resume(id).unwrap();
            inside.context_time(id).unwrap().0
        }).collect();
        // Nobody was ahead by more than 200 units of 20 ms, and twelve contexts take turns: 48 s are the worst.
        for _ in 0..60_000 {
            inside.unit_begins().unwrap();
            inside.unit_done(Nanos(1_000_000));
        }
        let served = (0..CONTEXTS).filter(|&context| {
            inside.context_time(ContextId(context)).unwrap().0 > before[usize::try_from(context).unwrap()]
        }).count();
        prop_assert_eq!(served, usize::try_from(CONTEXTS).unwrap());
    }
}
