// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The journal: what is written is what is read, and what is wrong is named.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use rondo_scheduler::journal::{Entry, Journal, JournalError};
use rondo_scheduler::{
    Action, EngineId, Event, Mode, Nanos, Policy, Ppm, Priority, Quarantine, SchedulerConfig,
    SchedulerError, VmId, VmProfile,
};

fn nanos() -> impl Strategy<Value = Nanos> {
    any::<u64>().prop_map(Nanos)
}

fn ppm() -> impl Strategy<Value = Ppm> {
    (0..=1_000_000_u32).prop_map(|parts| Ppm::new(parts).unwrap())
}

fn vm() -> impl Strategy<Value = VmId> {
    any::<u32>().prop_map(VmId)
}

fn engine() -> impl Strategy<Value = EngineId> {
    any::<u16>().prop_map(EngineId)
}

fn policy() -> impl Strategy<Value = Policy> {
    prop::sample::select(vec![
        Policy::Guaranteed,
        Policy::Fixed,
        Policy::Fair,
        Policy::BestEffort,
    ])
}

fn config() -> impl Strategy<Value = SchedulerConfig> {
    let quarantine =
        (any::<u8>(), nanos()).prop_map(|(resets, within)| Quarantine { resets, within });
    (policy(), any::<u16>(), ppm(), ppm(), option::of(quarantine)).prop_map(
        |(policy, engines, reserve, host_guarantee, quarantine)| SchedulerConfig {
            policy,
            engines,
            reserve,
            host_guarantee,
            quarantine,
        },
    )
}

fn profile() -> impl Strategy<Value = VmProfile> {
    let modes = prop::sample::select(vec![Mode::Server, Mode::Client]);
    let priorities = prop::sample::select(vec![Priority::Low, Priority::Normal, Priority::High]);
    let lengths = (nanos(), option::of(nanos()), nanos(), nanos());
    (modes, ppm(), option::of(ppm()), lengths, priorities).prop_map(
        |(mode, guarantee, limit, (slice, max_unit, grace, hang_timeout), priority)| VmProfile {
            mode,
            guarantee,
            limit,
            slice,
            max_unit,
            grace,
            hang_timeout,
            priority,
        },
    )
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (vm(), profile()).prop_map(|(vm, profile)| Event::AddVm { vm, profile }),
        (vm(), profile()).prop_map(|(vm, profile)| Event::SetProfile { vm, profile }),
        vm().prop_map(|vm| Event::RemoveVm { vm }),
        policy().prop_map(|policy| Event::SetPolicy { policy }),
        vm().prop_map(|vm| Event::Pardon { vm }),
        (vm(), option::of(nanos())).prop_map(|(vm, at_most)| Event::UnitBound { vm, at_most }),
        vm().prop_map(|vm| Event::Ready { vm }),
        (engine(), vm(), nanos(), any::<bool>()).prop_map(|(engine, vm, ran, more)| {
            Event::UnitDone {
                engine,
                vm,
                ran,
                more,
            }
        }),
        Just(Event::Timer),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        (engine(), vm()).prop_map(|(engine, vm)| Action::Grant { engine, vm }),
        (engine(), vm()).prop_map(|(engine, vm)| Action::Preempt { engine, vm }),
        (engine(), vm()).prop_map(|(engine, vm)| Action::Revoke { engine, vm }),
        (engine(), vm()).prop_map(|(engine, vm)| Action::ResetEngine { engine, vm }),
        vm().prop_map(|vm| Action::Quarantine { vm }),
        nanos().prop_map(|at| Action::WakeAt { at }),
    ]
}

fn result() -> impl Strategy<Value = Result<(), SchedulerError>> {
    prop_oneof![
        3 => Just(Ok(())),
        1 => vm().prop_map(|vm| Err(SchedulerError::UnknownVm { vm })),
        1 => (engine(), vm(), option::of(vm())).prop_map(|(engine, vm, holder)| {
            Err(SchedulerError::NotTheHolder { engine, vm, holder })
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn given_any_run_when_it_is_written_and_read_then_nothing_is_lost(
        config in config(),
        calls in vec((nanos(), event(), vec(action(), 0..5), result()), 0..20),
    ) {
        let mut text = format!("{}\n", Journal::header(&config));
        for (now, event, actions, result) in &calls {
            text += &format!("{}\n", Journal::line(*now, event, actions, result));
        }
        let read = Journal::parse(&text).unwrap();
        prop_assert_eq!(read.config, config);
        prop_assert!(!read.cut_off);
        prop_assert_eq!(read.entries.len(), calls.len());
        for (entry, (now, event, actions, result)) in read.entries.into_iter().zip(calls) {
            let refused = result.err().map(|reason| reason.to_string());
            prop_assert_eq!(entry, Entry { now, event, actions, refused });
        }
    }

    #[test]
    fn given_a_line_that_was_cut_off_then_it_is_named_or_says_less_and_nothing_panics(
        event in event(), actions in vec(action(), 0..3), cut in any::<prop::sample::Index>(),
    ) {
        let line = Journal::line(Nanos(1), &event, &actions, &Ok(())).to_string();
        let whole = Entry::parse(&line).unwrap();
        if let Ok(entry) = Entry::parse(&line[..cut.index(line.len())]) {
            prop_assert!(entry.actions.len() <= whole.actions.len());
        }
    }

    #[test]
    fn given_any_text_then_it_is_refused_with_one_sentence_and_nothing_panics(text in "[ -~\n]{0,200}") {
        let said = Journal::parse(&text).unwrap_err().to_string();
        prop_assert_eq!(said.lines().count(), 1, "{}", said);
    }
}

const HEADER: &str = "rondo-journal 1 policy=fair engines=2 reserve=10000 host=0 quarantine=-";

#[test]
fn given_the_lines_of_the_documentation_then_they_are_read() {
    let text = "rondo-journal 1 policy=guaranteed engines=1 reserve=0 host=0 quarantine=3/60000000000
17 add v1 server guarantee=750000 limit=- slice=2000000 max_unit=- grace=0 hang=250000000 priority=normal
20 ready v1 | grant e0 v1 | wake 250000020
100020 done e0 v1 100000 idle | revoke e0 v1
100020 ready v2 | refused: VM 2 is not known here
";
    let journal = Journal::parse(text).unwrap();
    assert_eq!(journal.config, SchedulerConfig::default());
    assert_eq!(journal.entries.len(), 4);
    let profile = VmProfile {
        guarantee: Ppm::new(750_000).unwrap(),
        ..VmProfile::default()
    };
    let add = Event::AddVm {
        vm: VmId(1),
        profile,
    };
    assert_eq!(
        (journal.entries[0].now, journal.entries[0].event),
        (Nanos(17), add)
    );
    assert_eq!(
        journal.entries[3].refused.as_deref(),
        Some("VM 2 is not known here")
    );
}

#[test]
fn given_a_wrong_line_then_the_sentence_names_it_and_what_is_wrong() {
    let wrong = [
        ("", "line 2: an instant in ns is missing"),
        ("x timer", "line 2: \"x\" is not an instant in ns"),
        ("-1 timer", "line 2: \"-1\" is not an instant in ns"),
        ("5", "line 2: an event is missing"),
        ("5 sleep", "line 2: \"sleep\" is not an event"),
        ("5 ready", "line 2: a VM, such as v1 is missing"),
        ("5 ready 1", "line 2: \"1\" is not a VM, such as v1"),
        ("5 ready v1 v2", "line 2: \"v2\" is too much"),
        ("5 done v1 e0 7 more", "line 2: \"v1\" is not an engine"),
        (
            "5 done e0 v1 7 maybe",
            "line 2: \"maybe\" is not more or idle",
        ),
        ("5 policy lottery", "line 2: \"lottery\" is not a policy"),
        (
            "5 timer | dance e0 v1",
            "line 2: \"dance\" is not an action",
        ),
        ("5 timer | grant e0", "line 2: a VM, such as v1 is missing"),
        ("5 timer |", "line 2: an action is missing"),
        (
            "5 add v1 server share=3",
            "line 2: \"share=3\" is not guarantee=PPM",
        ),
        (
            "5 add v1 server guarantee=1000001",
            "line 2: \"1000001\" is not a share of 0 to 1000000 ppm",
        ),
        ("5 add v1 both", "line 2: \"both\" is not server or client"),
    ];
    for (line, expected) in wrong {
        let said = Journal::parse(&format!("{HEADER}\n{line}\n"))
            .unwrap_err()
            .to_string();
        assert!(said.contains(expected), "{line}: {said}");
    }
}

#[test]
fn given_another_file_or_another_version_then_it_says_so() {
    for text in ["", "\n", "duration_ms = 5\n", "\u{7f}ELF"] {
        assert_eq!(
            Journal::parse(text),
            Err(JournalError::NotAJournal),
            "{text}"
        );
    }
    let newer = HEADER.replace("journal 1", "journal 2") + "\n";
    let found = "2".to_owned();
    assert_eq!(Journal::parse(&newer), Err(JournalError::Version { found }));
    let said = Journal::parse("rondo-journal 1 policy=fair\n")
        .unwrap_err()
        .to_string();
    assert_eq!(said, "line 1: engines=N is missing");
}

#[test]
fn given_a_run_that_was_killed_while_a_line_was_written_then_the_lines_before_it_are_read() {
    let text = format!("{HEADER}\n5 timer\n6 ready v1 | gra");
    let journal = Journal::parse(&text).unwrap();
    assert!(journal.cut_off);
    assert_eq!(journal.entries.len(), 1);
}
