// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Event by event: what is asked for, and what is refused.

use rondo_scheduler::{
    Action, Actions, EngineId, Event, Nanos, Scheduler, SchedulerConfig, SchedulerError, VmId,
    VmProfile, VmState,
};

use crate::world::{ENGINE, MS, ppm, share};

const A: VmId = VmId(10);
const B: VmId = VmId(20);

/// A share of a VM that never counts as hung: no timer watches over it.
fn patient(parts: u32) -> VmProfile {
    VmProfile {
        hang_timeout: Nanos(u64::MAX),
        ..share(parts)
    }
}

struct Desk {
    scheduler: Scheduler,
    actions: Actions,
}

impl Desk {
    /// `A` with 1/2 and `B` with 1/4, both in units of 1 ms and without a slice.
    fn new() -> Self {
        let mut desk = Self {
            scheduler: Scheduler::new(SchedulerConfig::default()).unwrap(),
            actions: Actions::new(),
        };
        for (vm, parts) in [(A, 500_000), (B, 250_000)] {
            let profile = VmProfile {
                max_unit: Some(Nanos(MS)),
                ..patient(parts)
            };
            assert_eq!(desk.tell(0, Event::AddVm { vm, profile }), Ok(vec![]));
        }
        desk
    }

    fn tell(&mut self, now: u64, event: Event) -> Result<Vec<Action>, SchedulerError> {
        self.scheduler.on(Nanos(now), event, &mut self.actions)?;
        Ok(self.actions.drain().collect())
    }

    fn done(
        &mut self,
        now: u64,
        vm: VmId,
        ran: u64,
        more: bool,
    ) -> Result<Vec<Action>, SchedulerError> {
        self.tell(
            now,
            Event::UnitDone {
                engine: ENGINE,
                vm,
                ran: Nanos(ran),
                more,
            },
        )
    }

    fn state(&self, vm: VmId) -> VmState {
        self.scheduler.account(vm).unwrap().state
    }
}

fn grant(vm: VmId) -> Action {
    Action::Grant { engine: ENGINE, vm }
}

fn revoke(vm: VmId) -> Action {
    Action::Revoke { engine: ENGINE, vm }
}

fn preempt(vm: VmId) -> Action {
    Action::Preempt { engine: ENGINE, vm }
}

#[test]
fn given_an_idle_engine_when_a_vm_is_ready_then_it_is_granted_and_when_its_work_ends_then_revoked()
{
    let mut desk = Desk::new();
    assert_eq!(desk.tell(5, Event::Ready { vm: A }), Ok(vec![grant(A)]));
    assert_eq!(desk.state(A), VmState::Running);
    assert_eq!(desk.done(MS, A, MS, true), Ok(vec![]));
    assert_eq!(desk.done(2 * MS, A, MS, false), Ok(vec![revoke(A)]));
    assert_eq!(desk.state(A), VmState::Idle);
    assert_eq!(desk.scheduler.holder(ENGINE), None);
    let account = desk.scheduler.account(A).unwrap();
    assert_eq!(
        (account.charged, account.units, account.longest_unit),
        (Nanos(2 * MS), 2, Nanos(MS))
    );
    assert_eq!(desk.scheduler.busy(ENGINE), Some(Nanos(2 * MS)));
}

#[test]
fn given_a_holder_with_the_later_finish_tag_when_a_vm_wakes_then_it_is_preempted_once_and_revoked_at_its_report()
 {
    let mut desk = Desk::new();
    assert_eq!(desk.tell(0, Event::Ready { vm: B }), Ok(vec![grant(B)]));
    // A's millisecond is 2 virtual ms, B's is 4.
    assert_eq!(
        desk.tell(MS / 2, Event::Ready { vm: A }),
        Ok(vec![preempt(B)])
    );
    assert_eq!(desk.tell(MS / 2, Event::Timer), Ok(vec![]));
    // It ended its unit early.
    assert_eq!(
        desk.done(MS * 6 / 10, B, MS * 6 / 10, true),
        Ok(vec![revoke(B), grant(A)])
    );
    assert_eq!(
        desk.scheduler.account(A).unwrap().longest_wait,
        Nanos(MS / 10)
    );
}

#[test]
fn given_a_holder_with_the_earlier_finish_tag_when_a_vm_wakes_then_it_goes_on() {
    let mut desk = Desk::new();
    assert_eq!(desk.tell(0, Event::Ready { vm: A }), Ok(vec![grant(A)]));
    assert_eq!(desk.tell(1, Event::Ready { vm: B }), Ok(vec![]));
    assert_eq!(desk.done(MS, A, MS, true), Ok(vec![revoke(A), grant(B)]));
}

#[test]
fn given_the_preempting_vm_has_left_when_the_holder_reports_then_it_is_revoked_and_granted_anew() {
    let mut desk = Desk::new();
    desk.tell(0, Event::Ready { vm: B }).unwrap();
    assert_eq!(desk.tell(1, Event::Ready { vm: A }), Ok(vec![preempt(B)]));
    assert_eq!(desk.tell(2, Event::RemoveVm { vm: A }), Ok(vec![]));
    assert_eq!(desk.done(3, B, 3, true), Ok(vec![revoke(B), grant(B)]));
}

#[test]
fn given_a_wake_up_during_the_last_unit_then_it_is_not_lost() {
    let mut desk = Desk::new();
    desk.tell(0, Event::Ready { vm: A }).unwrap();
    assert_eq!(desk.tell(1, Event::Ready { vm: A }), Ok(vec![]));
    assert_eq!(desk.done(MS, A, MS, false), Ok(vec![]));
    // Once.
    assert_eq!(desk.done(2 * MS, A, 0, false), Ok(vec![revoke(A)]));
}

#[test]
fn given_a_holder_that_leaves_then_its_last_unit_is_charged_and_its_guarantee_is_free_after_it() {
    let mut desk = Desk::new();
    desk.tell(0, Event::Ready { vm: A }).unwrap();
    assert_eq!(
        desk.tell(1, Event::RemoveVm { vm: A }),
        Ok(vec![preempt(A)])
    );
    assert_eq!(
        desk.tell(1, Event::RemoveVm { vm: A }),
        Err(SchedulerError::UnknownVm { vm: A })
    );
    assert_eq!(
        desk.tell(1, Event::Ready { vm: A }),
        Err(SchedulerError::UnknownVm { vm: A })
    );
    let again = Event::AddVm {
        vm: A,
        profile: patient(0),
    };
    assert_eq!(
        desk.tell(1, again),
        Err(SchedulerError::DuplicateVm { vm: A })
    );
    let big = Event::AddVm {
        vm: VmId(30),
        profile: patient(600_000),
    };
    assert!(matches!(
        desk.tell(1, big),
        Err(SchedulerError::GuaranteeDoesNotFit { .. })
    ));
    assert_eq!(desk.done(MS, A, MS, true), Ok(vec![revoke(A)]));
    assert_eq!(desk.scheduler.account(A), None);
    assert_eq!(desk.scheduler.busy(ENGINE), Some(Nanos(MS)));
    assert_eq!(desk.tell(MS, big), Ok(vec![]));
    assert_eq!(desk.scheduler.vms(), 2);
}

#[test]
fn given_guarantees_that_do_not_fit_then_the_refusal_says_by_how_much() {
    let mut desk = Desk::new();
    let vm = VmId(30);
    let refused = |excess| SchedulerError::GuaranteeDoesNotFit {
        vm,
        asked: ppm(250_000 + excess),
        free: ppm(250_000),
        excess: ppm(excess),
    };
    for excess in [1, 750_000] {
        let event = Event::AddVm {
            vm,
            profile: patient(250_000 + excess),
        };
        assert_eq!(desk.tell(0, event), Err(refused(excess)));
    }
    assert_eq!(
        desk.tell(
            0,
            Event::AddVm {
                vm,
                profile: patient(250_000)
            }
        ),
        Ok(vec![])
    );
    // A change is refused just so, and changes nothing.
    let more = Event::SetProfile {
        vm: A,
        profile: patient(500_001),
    };
    let error = SchedulerError::GuaranteeDoesNotFit {
        vm: A,
        asked: ppm(500_001),
        free: ppm(500_000),
        excess: ppm(1),
    };
    assert_eq!(desk.tell(0, more), Err(error));
    assert_eq!(
        error.to_string(),
        "a guarantee of 500001 ppm for VM 10 does not fit: 500000 ppm are free, 1 ppm too many"
    );
    assert_eq!(desk.scheduler.profile(A).unwrap().guarantee, ppm(500_000));
    // What one gives up another gets.
    assert_eq!(
        desk.tell(
            0,
            Event::SetProfile {
                vm: B,
                profile: patient(249_999)
            }
        ),
        Ok(vec![])
    );
    assert_eq!(desk.tell(0, more), Ok(vec![]));
}

#[test]
fn given_a_limit_that_contradicts_the_guarantee_then_it_is_refused() {
    let mut desk = Desk::new();
    for (guarantee, limit) in [(100_000, 99_999), (0, 0)] {
        let profile = VmProfile {
            limit: Some(ppm(limit)),
            ..patient(guarantee)
        };
        let event = Event::AddVm {
            vm: VmId(30),
            profile,
        };
        assert!(matches!(
            desk.tell(0, event),
            Err(SchedulerError::LimitBelowGuarantee { .. })
        ));
    }
}

#[test]
fn given_names_that_do_not_fit_then_each_is_refused_with_the_numbers() {
    let mut desk = Desk::new();
    let stranger = VmId(30);
    let unknown = Err(SchedulerError::UnknownVm { vm: stranger });
    assert_eq!(desk.tell(0, Event::Ready { vm: stranger }), unknown);
    assert_eq!(desk.tell(0, Event::RemoveVm { vm: stranger }), unknown);
    assert_eq!(
        desk.tell(
            0,
            Event::SetProfile {
                vm: stranger,
                profile: patient(1)
            }
        ),
        unknown
    );
    assert_eq!(
        desk.tell(
            0,
            Event::UnitBound {
                vm: stranger,
                at_most: None
            }
        ),
        unknown
    );
    assert_eq!(desk.done(0, stranger, 1, true), unknown);
    let twice = Event::AddVm {
        vm: A,
        profile: patient(1),
    };
    assert_eq!(
        desk.tell(0, twice),
        Err(SchedulerError::DuplicateVm { vm: A })
    );

    let not = |holder| {
        Err(SchedulerError::NotTheHolder {
            engine: ENGINE,
            vm: B,
            holder,
        })
    };
    assert_eq!(desk.done(0, B, 1, true), not(None));
    desk.tell(0, Event::Ready { vm: A }).unwrap();
    assert_eq!(desk.done(0, B, 1, true), not(Some(A)));
    let elsewhere = Event::UnitDone {
        engine: EngineId(1),
        vm: A,
        ran: Nanos(1),
        more: true,
    };
    let error = SchedulerError::UnknownEngine {
        engine: EngineId(1),
        engines: 1,
    };
    assert_eq!(desk.tell(0, elsewhere), Err(error));
    assert_eq!(
        desk.scheduler.busy(ENGINE),
        Some(Nanos(0)),
        "a refused report charges nothing"
    );
    assert_eq!(desk.scheduler.busy(EngineId(1)), None);
}

#[test]
fn given_a_number_of_engines_that_is_not_offered_then_no_scheduler() {
    let most = SchedulerConfig::MAX_ENGINES;
    for asked in [0, most + 1, u16::MAX] {
        let made = Scheduler::new(SchedulerConfig {
            engines: asked,
            ..SchedulerConfig::default()
        });
        assert_eq!(made.err(), Some(SchedulerError::Engines { asked, most }));
    }
}

#[test]
fn given_a_limited_vm_when_it_must_stay_away_then_a_timer_is_asked_for_and_brings_it_back() {
    let mut desk = Desk::new();
    let profile = VmProfile {
        limit: Some(ppm(250_000)),
        max_unit: Some(Nanos(MS)),
        ..patient(250_000)
    };
    desk.tell(0, Event::SetProfile { vm: B, profile }).unwrap();
    assert_eq!(desk.tell(0, Event::Ready { vm: B }), Ok(vec![grant(B)]));
    let away = Action::WakeAt { at: Nanos(4 * MS) };
    assert_eq!(desk.done(MS, B, MS, true), Ok(vec![revoke(B), away]));
    assert_eq!(desk.state(B), VmState::Throttled);
    // A timer that was set for an earlier request and rings too soon does not replace the one that was asked for.
    assert_eq!(desk.tell(4 * MS - 1, Event::Timer), Ok(vec![away]));
    assert_eq!(desk.tell(4 * MS, Event::Timer), Ok(vec![grant(B)]));
}

#[test]
fn given_a_limited_vm_that_stays_away_when_its_limit_is_lifted_then_it_is_back_at_once() {
    let mut desk = Desk::new();
    let limited = VmProfile {
        limit: Some(ppm(250_000)),
        ..patient(250_000)
    };
    desk.tell(
        0,
        Event::SetProfile {
            vm: B,
            profile: limited,
        },
    )
    .unwrap();
    desk.tell(0, Event::Ready { vm: B }).unwrap();
    desk.done(MS, B, MS, true).unwrap();
    let lifted = Event::SetProfile {
        vm: B,
        profile: patient(250_000),
    };
    assert_eq!(desk.tell(2 * MS, lifted), Ok(vec![grant(B)]));
}

#[test]
fn given_units_of_length_zero_without_end_then_another_vm_still_gets_the_engine() {
    let mut desk = Desk::new();
    desk.tell(0, Event::Ready { vm: A }).unwrap();
    desk.tell(0, Event::Ready { vm: B }).unwrap();
    let mut units = 0;
    while desk.scheduler.holder(ENGINE) == Some(A) {
        desk.done(0, A, 0, true).unwrap();
        units += 1;
        assert!(units < 10, "A holds the engine for nothing");
    }
    assert_eq!(desk.scheduler.holder(ENGINE), Some(B));
}

#[test]
fn given_an_instant_before_the_last_one_then_it_counts_as_the_last_one() {
    let mut desk = Desk::new();
    desk.tell(5 * MS, Event::Ready { vm: A }).unwrap();
    desk.tell(4 * MS, Event::Ready { vm: B }).unwrap();
    assert_eq!(
        desk.done(6 * MS, A, MS, true),
        Ok(vec![revoke(A), grant(B)])
    );
    assert_eq!(desk.scheduler.account(B).unwrap().longest_wait, Nanos(MS));
}

#[test]
fn given_absurd_lengths_then_nothing_overflows_and_the_others_run() {
    let mut desk = Desk::new();
    desk.tell(
        0,
        Event::SetProfile {
            vm: A,
            profile: patient(1),
        },
    )
    .unwrap();
    for _ in 0..10_000 {
        desk.tell(0, Event::Ready { vm: A }).unwrap();
        desk.done(0, A, u64::MAX, false).unwrap();
    }
    assert_eq!(desk.scheduler.account(A).unwrap().charged, Nanos(u64::MAX));
    desk.tell(1, Event::Ready { vm: A }).unwrap();
    desk.done(1, A, u64::MAX, true).unwrap();
    assert_eq!(desk.tell(2, Event::Ready { vm: B }), Ok(vec![preempt(A)]));
    assert_eq!(desk.done(3, A, 1, true), Ok(vec![revoke(A), grant(B)]));
}

#[test]
fn given_ten_years_of_one_vm_with_the_smallest_share_then_another_is_still_served_at_once() {
    let mut desk = Desk::new();
    desk.tell(
        0,
        Event::SetProfile {
            vm: A,
            profile: patient(1),
        },
    )
    .unwrap();
    desk.tell(0, Event::Ready { vm: A }).unwrap();
    let year = 365 * 24 * 3_600 * 1_000 * MS;
    let mut now = 0;
    for _ in 0..3_650 {
        now += year / 365;
        desk.done(now, A, year / 365, true).unwrap();
    }
    assert_eq!(desk.scheduler.account(A).unwrap().charged, Nanos(10 * year));
    assert_eq!(
        desk.tell(now + 1, Event::Ready { vm: B }),
        Ok(vec![preempt(A)])
    );
    assert_eq!(
        desk.done(now + 2, A, 2, true),
        Ok(vec![revoke(A), grant(B)])
    );
}

#[test]
fn given_a_best_effort_holder_when_a_vm_with_the_smallest_guarantee_wakes_then_it_is_preempted() {
    let mut desk = Desk::new();
    desk.tell(
        0,
        Event::SetProfile {
            vm: B,
            profile: VmProfile {
                max_unit: Some(Nanos(MS)),
                ..patient(0)
            },
        },
    )
    .unwrap();
    desk.tell(
        0,
        Event::SetProfile {
            vm: A,
            profile: VmProfile {
                max_unit: Some(Nanos(MS)),
                ..patient(1)
            },
        },
    )
    .unwrap();
    assert_eq!(desk.tell(0, Event::Ready { vm: B }), Ok(vec![grant(B)]));
    assert_eq!(desk.tell(1, Event::Ready { vm: A }), Ok(vec![preempt(B)]));
    assert_eq!(desk.done(MS, B, MS, true), Ok(vec![revoke(B), grant(A)]));
}

#[test]
fn given_equal_claims_then_whoever_was_ready_first_runs_first() {
    let equal = VmProfile {
        max_unit: Some(Nanos(MS)),
        ..patient(125_000)
    };
    for order in [[VmId(1), VmId(2)], [VmId(2), VmId(1)]] {
        let mut desk = Desk::new();
        for vm in [VmId(1), VmId(2)] {
            desk.tell(0, Event::AddVm { vm, profile: equal }).unwrap();
        }
        desk.tell(0, Event::Ready { vm: A }).unwrap();
        for vm in order {
            desk.tell(1, Event::Ready { vm }).unwrap();
        }
        assert_eq!(
            desk.done(MS, A, MS, false),
            Ok(vec![revoke(A), grant(order[0])])
        );
        assert_eq!(
            desk.done(2 * MS, order[0], MS, false),
            Ok(vec![revoke(order[0]), grant(order[1])])
        );
    }
}

#[test]
fn given_a_debt_when_the_engine_idles_then_it_is_paid_as_if_time_were_worked() {
    let mut desk = Desk::new();
    desk.tell(0, Event::Ready { vm: A }).unwrap();
    desk.done(40 * MS, A, 40 * MS, false).unwrap();
    // A half of the engine, used whole for 40 ms: 20 ms are owed, for 40 ms.
    let lag = |desk: &Desk| desk.scheduler.account(A).unwrap().lag;
    assert_eq!(lag(&desk), -20 * MS as i64);
    desk.tell(60 * MS, Event::Timer).unwrap();
    assert_eq!(lag(&desk), -10 * MS as i64);
    desk.tell(90 * MS, Event::Timer).unwrap();
    assert_eq!(lag(&desk), 0, "and what is not used is not saved");
}
