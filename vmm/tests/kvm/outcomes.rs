// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Each way a VM ends, and that it can always be ended.

use std::thread;

use rondo::kvm::interprets_kernels;
use rondo::vm::{CpuCount, Death, VmOutcome};

use crate::guest::{halt, out, power_off, print, pvh, spin};
use crate::{Paper, Probe, builder, config, hypervisor};

fn outcome(name: &str, code: &[Vec<u8>]) -> Option<(VmOutcome, String)> {
    let kvm = hypervisor()?;
    let paper = Paper::default();
    let vm = builder(&kvm, config(name, pvh(&code.concat())), &paper)
        .build()
        .unwrap();
    let outcome = vm.start().unwrap().wait();
    Some((outcome, paper.text()))
}

#[test]
fn given_a_guest_that_prints_and_powers_off_then_both_are_seen() {
    let Some(seen) = outcome("hello", &[print(b'H'), print(b'i'), power_off()]) else {
        return;
    };
    assert_eq!(seen, (VmOutcome::PoweredOff, "Hi".to_owned()));
}

#[test]
fn given_the_acpi_reset_register_or_the_keyboard_controller_then_the_outcome_is_a_reset() {
    for (name, port, value) in [("acpi", 0x602, 0x06), ("i8042", 0x64, 0xFE)] {
        let Some((outcome, _)) = outcome(name, &[out(port, value), halt()]) else {
            return;
        };
        assert_eq!(outcome, VmOutcome::Reset, "{name}");
    }
}

#[test]
fn given_a_triple_fault_then_the_guest_died_of_it() {
    // ud2 without an interrupt table
    let Some((outcome, _)) = outcome("triple", &[vec![0x0F, 0x0B]]) else {
        return;
    };
    assert_eq!(outcome, VmOutcome::Died(Death::TripleFault { vcpu: 0 }));
}

#[test]
fn given_an_instruction_that_kvm_cannot_fetch_then_the_sentence_says_where_and_why() {
    // jmp 0xd0400000, where nothing is
    let target = 0xD040_0000_u32;
    let distance = target.wrapping_sub(0x10_0005);
    let jump = [&[0xE9][..], &distance.to_le_bytes()].concat();
    let Some((outcome, _)) = outcome("nowhere", &[jump]) else {
        return;
    };
    let VmOutcome::Died(death) = outcome else {
        panic!("{outcome:?}")
    };
    let Death::InternalError {
        vcpu: 0,
        instruction,
        interpreted,
        ..
    } = death
    else {
        panic!("{death:?}")
    };
    assert_eq!(
        (instruction, interpreted),
        (0xD040_0000, interprets_kernels())
    );
    assert_eq!(
        death
            .to_string()
            .contains("can only interpret guest kernels"),
        interpreted
    );
}

#[test]
fn given_spinning_vcpus_then_stop_from_another_thread_ends_them() {
    let Some(kvm) = hypervisor() else { return };
    let mut config = config("spin", pvh(&[out(0x700, 1), spin()].concat()));
    config.cpus = CpuCount::new(3).unwrap();
    let mut builder = builder(&kvm, config, &Paper::default());
    let (probe, writes) = Probe::new();
    builder.add_port_device(0x700, 1, probe).unwrap();
    let running = builder.build().unwrap().start().unwrap();
    writes.recv().unwrap();
    assert_eq!(running.outcome(), None);
    assert!(
        running.outcome_event().read().is_err(),
        "nothing to report yet"
    );
    let handle = running.handle();
    thread::spawn(move || handle.stop()).join().unwrap();
    let event = running.outcome_event().try_clone().unwrap();
    assert_eq!(running.wait(), VmOutcome::Stopped);
    assert_eq!(event.read().unwrap(), 1);
}

#[test]
fn given_a_halted_guest_then_stop_ends_it_and_a_second_stop_changes_nothing() {
    let Some(kvm) = hypervisor() else { return };
    let vm = builder(&kvm, config("halt", pvh(&halt())), &Paper::default())
        .build()
        .unwrap();
    let running = vm.start().unwrap();
    let handle = running.handle();
    running.stop();
    running.stop();
    assert_eq!(running.wait(), VmOutcome::Stopped);
    handle.stop();
    assert_eq!(handle.outcome(), Some(VmOutcome::Stopped));
}

#[test]
fn given_a_stop_before_the_start_then_the_vm_ends_without_running() {
    let Some(kvm) = hypervisor() else { return };
    let paper = Paper::default();
    let vm = builder(
        &kvm,
        config("early", pvh(&[print(b'x'), spin()].concat())),
        &paper,
    )
    .build()
    .unwrap();
    vm.handle().stop();
    assert_eq!(vm.start().unwrap().wait(), VmOutcome::Stopped);
    assert_eq!(paper.text(), "");
}

#[test]
fn given_the_first_cause_then_a_later_stop_does_not_change_the_outcome() {
    let Some(kvm) = hypervisor() else { return };
    let vm = builder(&kvm, config("first", pvh(&power_off())), &Paper::default())
        .build()
        .unwrap();
    let running = vm.start().unwrap();
    let handle = running.handle();
    assert_eq!(handle.wait_outcome(), VmOutcome::PoweredOff);
    handle.stop();
    assert_eq!(running.wait(), VmOutcome::PoweredOff);
}

#[test]
fn given_a_running_vm_that_is_dropped_then_its_threads_are_gone() {
    let Some(kvm) = hypervisor() else { return };
    let (probe, writes) = Probe::new();
    let mut builder = builder(
        &kvm,
        config("drop", pvh(&[out(0x700, 1), spin()].concat())),
        &Paper::default(),
    );
    builder.add_port_device(0x700, 1, probe).unwrap();
    let running = builder.build().unwrap().start().unwrap();
    writes.recv().unwrap();
    let handle = running.handle();
    drop(running);
    assert_eq!(handle.outcome(), Some(VmOutcome::Stopped));
    // The buses held the probe, and they died with the last thread.
    assert!(writes.recv().is_err());
}

#[test]
fn given_many_vms_started_and_stopped_at_any_moment_then_each_ends() {
    let Some(kvm) = hypervisor() else { return };
    for round in 0..40 {
        let mut config = config("race", pvh(&spin()));
        config.cpus = CpuCount::new(1 + round % 4).unwrap();
        let running = builder(&kvm, config, &Paper::default())
            .build()
            .unwrap()
            .start()
            .unwrap();
        for _ in 0..round {
            thread::yield_now();
        }
        running.stop();
        assert_eq!(running.wait(), VmOutcome::Stopped, "round {round}");
    }
}
