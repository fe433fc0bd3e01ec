// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Several engines, client VMs, live policies, and the journal of a run: with real threads.

#![allow(clippy::unwrap_used)]

mod support;

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};

use rondo_adapter::adapter::Adapter;
use rondo_adapter::ddi::*;
use rondo_adapter::gpu::{RendererFactory, SoftwareGpu, SoftwareGpuConfig};
use rondo_adapter::journal::JournalWriter;
use rondo_adapter::status::NtStatus::*;
use rondo_renderer::software::SoftwareRenderer;
use rondo_renderer::unit::UnitBudget;
use rondo_renderer::work::{Progress, Renderer, Work};
use rondo_scheduler::journal::Journal;
use rondo_scheduler::{Actions, Mode, Policy, Ppm, Scheduler, SchedulerConfig};
use support::*;

const SMALL: rondo_renderer::geometry::Size = size(8, 8);

/// Counts the units that run at the same time; with a barrier, each waits for another one.
#[derive(Clone, Debug, Default)]
struct Counting {
    running: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    meet: Option<Arc<Barrier>>,
}

impl RendererFactory for Counting {
    fn build(&self) -> Box<dyn Renderer> {
        Box::new(self.clone())
    }
}

impl Renderer for Counting {
    fn run(&mut self, work: &mut Work, budget: UnitBudget) -> Progress {
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        if let Some(meet) = &self.meet {
            meet.wait();
        }
        std::thread::yield_now();
        let end = SoftwareRenderer.run(work, budget);
        self.running.fetch_sub(1, Ordering::SeqCst);
        end
    }
}

fn submit(vm: &TestVm, commands: usize) {
    let image = vm.backed_image(SMALL);
    for _ in 0..commands {
        vm.submit(TestVm::transfer(image, SMALL)).unwrap();
    }
}

fn all_complete_once(vm: &TestVm, commands: usize) {
    let told = vm.told.wait_for(commands);
    assert!(told.iter().all(|done| done.status == OK));
    let fences: Vec<_> = told.iter().map(|done| done.progress_fence_id).collect();
    assert_eq!(fences, (1..=commands as u64).collect::<Vec<_>>());
}

#[test]
fn given_two_engines_then_units_of_two_vms_run_at_the_same_time() {
    let renderers = Counting {
        meet: Some(Arc::new(Barrier::new(2))),
        ..Counting::default()
    };
    let ddi = start(SoftwareGpuConfig {
        scheduler: SchedulerConfig {
            engines: 2,
            ..SchedulerConfig::default()
        },
        renderer: Arc::new(renderers.clone()),
        ..SoftwareGpuConfig::default()
    });
    assert_eq!(ddi.caps().nodes, 2);
    // Each wants more than half an engine, so that one has to be at home on the other one.
    let vms = [1, 2].map(|number| TestVm::with_profile(&ddi, number, &share(600_000)));
    // Each unit waits for one of the other VM: this ends only if both run.
    vms.iter().for_each(|vm| submit(vm, 50));
    vms.iter().for_each(|vm| all_complete_once(vm, 50));
    assert_eq!(renderers.most.load(Ordering::SeqCst), 2);
    let mut homes = vms.each_ref().map(|vm| vm.statistics().home);
    homes.sort_unstable();
    assert_eq!(homes, [0, 1]);
}

#[test]
fn given_one_engine_then_no_two_units_ever_run_at_the_same_time_and_no_more_than_engines() {
    for engines in [1, 3] {
        let renderers = Counting::default();
        let ddi = start(SoftwareGpuConfig {
            scheduler: SchedulerConfig {
                engines,
                ..SchedulerConfig::default()
            },
            renderer: Arc::new(renderers.clone()),
            ..SoftwareGpuConfig::default()
        });
        let vms = [1, 2, 3, 4, 5].map(|number| TestVm::with_profile(&ddi, number, &share(150_000)));
        vms.iter().for_each(|vm| submit(vm, 200));
        vms.iter().for_each(|vm| all_complete_once(vm, 200));
        let most = renderers.most.load(Ordering::SeqCst);
        assert!(
            (1..=usize::from(engines)).contains(&most),
            "{most} of {engines}"
        );
    }
}

#[test]
fn given_policies_that_change_to_and_fro_under_load_then_no_command_is_lost_or_doubled() {
    let ddi = start(SoftwareGpuConfig {
        scheduler: SchedulerConfig {
            engines: 2,
            ..SchedulerConfig::default()
        },
        ..SoftwareGpuConfig::default()
    });
    let vms = [1, 2, 3, 4].map(|number| TestVm::with_profile(&ddi, number, &share(250_000)));
    std::thread::scope(|scope| {
        for vm in &vms {
            scope.spawn(|| submit(vm, 500));
        }
        for step in 0..200 {
            let policies = [
                Policy::Fixed,
                Policy::Guaranteed,
                Policy::BestEffort,
                Policy::Fair,
            ];
            let policy = policies[step % policies.len()];
            ddi.set_policy(policy).unwrap();
            assert_eq!(ddi.query_policy(), Ok(policy));
        }
    });
    vms.iter().for_each(|vm| all_complete_once(vm, 500));
}

#[test]
fn given_client_vms_beside_a_server_vm_then_all_run_and_a_client_has_no_guarantee_of_its_own() {
    let ddi = start(SoftwareGpuConfig {
        scheduler: SchedulerConfig {
            host_guarantee: Ppm::new(300_000).unwrap(),
            ..SchedulerConfig::default()
        },
        ..SoftwareGpuConfig::default()
    });
    let client = VirtualGpuProfile {
        mode: Mode::Client,
        ..share(0)
    };
    let vms = [
        TestVm::with_profile(&ddi, 1, &share(700_000)),
        TestVm::with_profile(&ddi, 2, &client),
        TestVm::with_profile(&ddi, 3, &client),
    ];
    let greedy = VirtualGpuProfile {
        mode: Mode::Client,
        ..share(1)
    };
    assert_eq!(
        ddi.set_virtual_gpu_profile(vms[1].worker, &greedy),
        refused(InvalidParameter)
    );
    // The host partition's part is nobody else's.
    assert_eq!(
        ddi.set_virtual_gpu_profile(vms[0].worker, &share(700_001)),
        refused(InsufficientResources)
    );
    vms.iter().for_each(|vm| submit(vm, 300));
    // From one mode to the other and back, under load.
    for _ in 0..20 {
        ddi.set_virtual_gpu_profile(vms[0].worker, &client).unwrap();
        ddi.set_virtual_gpu_profile(vms[0].worker, &share(700_000))
            .unwrap();
    }
    vms.iter().for_each(|vm| all_complete_once(vm, 300));
}

#[test]
fn given_more_for_the_host_than_an_engine_has_then_there_is_no_gpu() {
    let whole = Ppm::WHOLE;
    let gpu = SoftwareGpu::new(SoftwareGpuConfig {
        scheduler: SchedulerConfig {
            reserve: whole,
            host_guarantee: whole,
            ..SchedulerConfig::default()
        },
        ..SoftwareGpuConfig::default()
    });
    assert_eq!(gpu.err(), Some(InvalidParameter));
}

#[derive(Clone, Debug, Default)]
struct Text(Arc<Mutex<Vec<u8>>>);

impl Write for Text {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Feeds a journal to a fresh scheduler, which must answer the same; returns how many calls there were.
fn replay(text: &str) -> usize {
    let journal = Journal::parse(text).unwrap();
    assert!(!journal.cut_off);
    let mut scheduler = Scheduler::new(journal.config).unwrap();
    let mut actions = Actions::new();
    for (number, entry) in journal.entries.iter().enumerate() {
        actions.clear();
        let result = scheduler.on(entry.now, entry.event, &mut actions);
        assert_eq!(
            actions.as_slice(),
            entry.actions,
            "call {number}: {entry:?}"
        );
        assert_eq!(result.is_err(), entry.refused.is_some(), "call {number}");
    }
    journal.entries.len()
}

#[test]
fn given_the_journal_of_a_run_with_threads_then_a_fresh_scheduler_decides_the_same() {
    let text = Text::default();
    let writer = Arc::new(JournalWriter::new(Box::new(text.clone())).unwrap());
    let ddi: Arc<Adapter> = start(SoftwareGpuConfig {
        scheduler: SchedulerConfig {
            engines: 2,
            ..SchedulerConfig::default()
        },
        journal: Some(writer.clone()),
        ..SoftwareGpuConfig::default()
    });
    let vms = [1, 2, 3].map(|number| TestVm::with_profile(&ddi, number, &share(300_000)));
    std::thread::scope(|scope| {
        for vm in &vms {
            scope.spawn(|| submit(vm, 300));
        }
        for policy in [Policy::Fair, Policy::Fixed, Policy::Guaranteed] {
            ddi.set_policy(policy).unwrap();
            // More than there is: a refusal is in the journal too.
            let all = ddi.set_virtual_gpu_profile(vms[0].worker, &share(1_000_000));
            assert_eq!(all.is_err(), all == refused(InsufficientResources));
        }
    });
    vms.iter().for_each(|vm| all_complete_once(vm, 300));
    drop(vms);
    ddi.stop();
    drop(ddi);
    assert!(writer.finish().unwrap(), "it fell behind");
    let text = String::from_utf8(text.0.lock().unwrap().clone()).unwrap();
    let calls = replay(&text);
    assert!(calls > 900, "{calls}");
    assert!(text.contains(" policy fair") && text.contains(" remove v"));
}
