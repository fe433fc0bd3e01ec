// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! SMP: the boot processor starts the others through its local APIC, as kernels do.

use std::collections::BTreeSet;

use rondo::vm::{CpuCount, VmOutcome};

use crate::guest::{CODE, halt, pvh, store};
use crate::{Paper, Probe, builder, config, hypervisor};

#[test]
fn given_one_to_thirty_two_vcpus_then_each_starts_and_knows_its_own_apic_id() {
    let Some(kvm) = hypervisor() else { return };
    // Real mode at 0x8000: mov eax, 1; cpuid; shr ebx, 24; mov al, bl; mov dx, 0x700; out dx, al; halt
    let report = [
        0x66, 0xB8, 1, 0, 0, 0, 0x0F, 0xA2, 0x66, 0xC1, 0xEB, 24, 0x88, 0xD8, 0xBA, 0x00, 0x07,
        0xEE, 0xF4, 0xEB, 0xFD,
    ];
    const TRAMPOLINE: u32 = CODE + 0x100;
    let start = [
        // mov esi, TRAMPOLINE; mov edi, 0x8000; mov ecx, length; rep movsb
        [&[0xBE][..], &TRAMPOLINE.to_le_bytes()].concat(),
        vec![
            0xBF,
            0x00,
            0x80,
            0,
            0,
            0xB9,
            report.len() as u8,
            0,
            0,
            0,
            0xF3,
            0xA4,
        ],
        // Local APIC on; INIT, then start-up with vector 8, to all but self.
        store(0xFEE0_00F0, 0x1FF),
        store(0xFEE0_0300, 0x000C_4500),
        store(0xFEE0_0300, 0x000C_4608),
        halt(),
    ];
    let mut code = start.concat();
    code.resize(0x100, 0x90);
    code.extend(report);
    for cpus in [1, 2, 4, 32] {
        let mut config = config("smp", pvh(&code));
        config.cpus = CpuCount::new(cpus).unwrap();
        let mut builder = builder(&kvm, config, &Paper::default());
        let (probe, writes) = Probe::new();
        builder.add_port_device(0x700, 1, probe).unwrap();
        let running = builder.build().unwrap().start().unwrap();
        let started: BTreeSet<u8> = writes
            .iter()
            .take(cpus as usize - 1)
            .map(|(_, data)| data[0])
            .collect();
        assert_eq!(started, (1..cpus as u8).collect(), "{cpus} vCPUs");
        running.stop();
        assert_eq!(running.wait(), VmOutcome::Stopped);
    }
}

#[test]
fn given_a_jump_to_the_bios_in_real_mode_then_the_outcome_is_a_reset() {
    let Some(kvm) = hypervisor() else { return };
    // The second vCPU starts in real mode at 0x8000: jmp 0xf000:0xfff0, which the first writes there.
    let code = [
        store(0x8000, 0x00FF_F0EA),
        store(0x8004, 0x0000_00F0),
        store(0xFEE0_00F0, 0x1FF),
        store(0xFEE0_0300, 0x000C_4500),
        store(0xFEE0_0300, 0x000C_4608),
        halt(),
    ];
    let mut config = config("bios", pvh(&code.concat()));
    config.cpus = CpuCount::new(2).unwrap();
    let vm = builder(&kvm, config, &Paper::default()).build().unwrap();
    assert_eq!(vm.start().unwrap().wait(), VmOutcome::Reset);
}
