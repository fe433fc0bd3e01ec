// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The models: nothing is lost, nobody is on an engine twice, everybody leaves.

use rondo_scheduler::{Nanos, Policy, Ppm, Quarantine, SchedulerConfig, VmProfile};
use shuttle::sync::atomic::{AtomicBool, Ordering};
use shuttle::sync::{Arc, Mutex};
use shuttle::thread::{self, JoinHandle};

use super::arbiter::Arbiter;
use super::timer::Chore;
use super::vm::{Gpu, UNIT, Vm};
use crate::time::{self, ModelClock};

/// Schedules of each model: at random, and by priorities that change a few times (PCT), which finds what needs few changes.
const RANDOM: usize = 1_000;
const BY_PRIORITY: usize = 500;

fn check(model: fn()) {
    shuttle::check_random(model, RANDOM);
    shuttle::check_pct(model, BY_PRIORITY, 3);
}

fn gpu(engines: u16, quarantine: Option<Quarantine>) -> Arc<Gpu> {
    time::reset();
    let config = SchedulerConfig {
        engines,
        quarantine,
        ..SchedulerConfig::default()
    };
    let arbiter = Arbiter::new(config, Arc::new(ModelClock), None).unwrap();
    let engines = (0..engines).map(|_| AtomicBool::new(false)).collect();
    Arc::new(Gpu { arbiter, engines })
}

fn timer(gpu: &Arc<Gpu>, chore: impl FnMut(Chore) + Send + 'static) -> JoinHandle<()> {
    let gpu = Arc::clone(gpu);
    thread::spawn(move || gpu.arbiter.run_timer(chore))
}

/// A part of an engine; nothing ever counts as hung.
fn profile(parts: u32) -> VmProfile {
    VmProfile {
        guarantee: Ppm::new(parts).unwrap(),
        slice: Nanos(2 * UNIT),
        max_unit: Some(Nanos(UNIT)),
        hang_timeout: Nanos(u64::MAX),
        ..VmProfile::default()
    }
}

fn end(gpu: &Gpu, vms: Vec<(Arc<Vm>, JoinHandle<()>)>, timer: JoinHandle<()>) {
    for (vm, worker) in vms {
        vm.signals.exit();
        worker.join().unwrap();
        gpu.arbiter.leave(vm.id);
    }
    gpu.arbiter.stop_timer();
    timer.join().unwrap();
}

/// Two VMs, each with a device that submits twice; one has a limit, so that the timer has a part in it.
fn hand_over(engines: u16) {
    let gpu = gpu(engines, None);
    let timer = timer(&gpu, |chore| panic!("{chore:?}"));
    let limited = VmProfile {
        limit: Ppm::new(500_000),
        ..profile(300_000)
    };
    let vms = vec![
        Vm::start(&gpu, 1, profile(600_000), false),
        Vm::start(&gpu, 2, limited, false),
    ];
    let devices: Vec<_> = (vms.iter())
        .map(|(vm, _)| {
            let (gpu, vm) = (Arc::clone(&gpu), Arc::clone(vm));
            thread::spawn(move || {
                vm.submit(&gpu, 2);
                vm.submit(&gpu, 1);
            })
        })
        .collect();
    for (vm, _) in &vms {
        vm.wait_for(3);
    }
    for device in devices {
        device.join().unwrap();
    }
    end(&gpu, vms, timer);
}

#[test]
fn given_one_engine_no_wake_up_is_lost_and_nobody_is_granted_what_another_one_holds() {
    check(|| hand_over(1));
}

#[test]
fn given_two_engines_no_wake_up_is_lost_and_nobody_is_granted_what_another_one_holds() {
    check(|| hand_over(2));
}

#[test]
fn given_a_vm_that_leaves_with_work_and_a_policy_that_changes_the_other_one_goes_on() {
    check(|| {
        let gpu = gpu(1, None);
        let timer = timer(&gpu, |chore| panic!("{chore:?}"));
        let stays = Vm::start(&gpu, 1, profile(500_000), false);
        let (leaves, worker) = Vm::start(&gpu, 2, profile(500_000), false);
        leaves.submit(&gpu, 3);
        stays.0.submit(&gpu, 2);
        let theirs = Arc::clone(&gpu);
        let manager = thread::spawn(move || {
            theirs.arbiter.set_policy(Policy::Fair);
            theirs.arbiter.set_policy(Policy::Guaranteed);
        });
        leaves.signals.exit();
        worker.join().unwrap();
        gpu.arbiter.leave(leaves.id);
        stays.0.submit(&gpu, 1);
        stays.0.wait_for(3);
        manager.join().unwrap();
        end(&gpu, vec![stays], timer);
    });
}

/// A unit that hangs, reset by the timer's thread as the driver does it: another worker, the engine reported free, and with the
/// first reset the VM locked out until it is pardoned.
#[test]
fn given_a_unit_that_hangs_the_engine_is_free_at_once_and_a_pardoned_vm_goes_on_with_another_worker()
 {
    check(|| {
        let strict = Quarantine {
            resets: 1,
            within: Nanos(u64::MAX),
        };
        let gpu = gpu(1, Some(strict));
        let impatient = VmProfile {
            hang_timeout: Nanos(50 * UNIT),
            ..profile(500_000)
        };
        let (bad, lost) = Vm::start(&gpu, 1, impatient, true);
        let good = Vm::start(&gpu, 2, profile(500_000), false);
        let hired: Arc<Mutex<Option<JoinHandle<()>>>> = Arc::default();
        let timer = {
            let (inner, vm, hired) = (Arc::clone(&gpu), Arc::clone(&bad), Arc::clone(&hired));
            timer(&gpu, move |chore| match chore {
                // A later unit was only slow to be reported, as far as this clock goes.
                Chore::Reset { report, .. } if report > 0 => {}
                Chore::Reset { engine, .. } => {
                    // The timeout may have come before the worker saw its grant.
                    let (held, began) = vm.give_up();
                    assert_eq!(held, engine);
                    inner.engines[usize::from(engine.0)].store(false, Ordering::SeqCst);
                    *hired.lock().unwrap() = Some(vm.hire(&inner));
                    inner.arbiter.unit_done(vm.id, engine, began);
                }
                Chore::Quarantine(locked) => {
                    assert_eq!(locked, vm.id);
                    inner.arbiter.pardon(locked);
                }
            })
        };
        bad.submit(&gpu, 2);
        good.0.submit(&gpu, 2);
        good.0.wait_for(2);
        bad.wait_for(2);
        bad.release();
        lost.join().unwrap();
        let worker = hired.lock().unwrap().take().unwrap();
        end(&gpu, vec![(bad, worker), good], timer);
    });
}
