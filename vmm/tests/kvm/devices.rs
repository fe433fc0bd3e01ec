// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What a guest's accesses reach: devices, doorbells and interrupt lines.

use std::sync::Arc;

use rondo::vm::{VmError, VmOutcome};
use rondo_devices::bus::BusDevice;
use rondo_devices::interrupt::InterruptLine;
use vm_memory::{Bytes, GuestAddress};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use crate::guest::{CODE, copy, halt, out, power_off, pvh, store};
use crate::{NO_DOORBELLS, Paper, Probe, builder, config, hypervisor};

#[test]
fn given_mmio_accesses_then_the_device_of_the_window_answers_and_the_gap_reads_as_ones() {
    let Some(kvm) = hypervisor() else { return };
    let code = [
        store(0xD000_1024, 0x1234_5678),
        copy(0xD000_1FFC, 0x20_0000),
        copy(0xD000_3000, 0x20_0004),
        store(0xD000_3000, 1),
        power_off(),
    ];
    let mut builder = builder(&kvm, config("mmio", pvh(&code.concat())), &Paper::default());
    let (first, second) = (
        builder.reserve_virtio_mmio().unwrap(),
        builder.reserve_virtio_mmio().unwrap(),
    );
    assert_eq!(
        (first.base, first.gsi, second.base, second.gsi),
        (0xD000_0000, 5, 0xD000_1000, 6)
    );
    let ((other, silence), (probe, writes)) = (Probe::new(), Probe::new());
    builder
        .add_virtio_mmio(&first, other, NO_DOORBELLS)
        .unwrap();
    builder
        .add_virtio_mmio(&second, probe, NO_DOORBELLS)
        .unwrap();
    let memory = builder.memory().clone();
    assert_eq!(
        builder.build().unwrap().start().unwrap().wait(),
        VmOutcome::PoweredOff
    );
    assert_eq!(
        writes.iter().collect::<Vec<_>>(),
        [(0x24, 0x1234_5678_u32.to_le_bytes().to_vec())]
    );
    assert_eq!(silence.iter().count(), 0);
    assert_eq!(
        memory.read_obj::<u32>(GuestAddress(0x20_0000)).unwrap(),
        0xFFC
    );
    assert_eq!(
        memory.read_obj::<u32>(GuestAddress(0x20_0004)).unwrap(),
        u32::MAX
    );
}

#[test]
fn given_queue_notifications_then_each_rings_its_own_doorbell_and_other_values_reach_the_device() {
    let Some(kvm) = hypervisor() else { return };
    let notify = 0xD000_0050;
    let code = [
        store(notify, 1),
        store(notify, 1),
        store(notify, 0),
        store(notify, 7),
        power_off(),
    ];
    let mut builder = builder(
        &kvm,
        config("doorbell", pvh(&code.concat())),
        &Paper::default(),
    );
    let window = builder.reserve_virtio_mmio().unwrap();
    let doorbells = [
        EventFd::new(EFD_NONBLOCK).unwrap(),
        EventFd::new(EFD_NONBLOCK).unwrap(),
    ];
    let (probe, writes) = Probe::new();
    builder.add_virtio_mmio(&window, probe, &doorbells).unwrap();
    assert_eq!(
        builder.build().unwrap().start().unwrap().wait(),
        VmOutcome::PoweredOff
    );
    assert_eq!(doorbells.map(|doorbell| doorbell.read().unwrap()), [1, 2]);
    assert_eq!(
        writes.iter().collect::<Vec<_>>(),
        [(0x50, vec![7, 0, 0, 0])]
    );
}

#[test]
fn given_a_repeated_string_output_then_each_byte_is_an_access_of_its_own() {
    let Some(kvm) = hypervisor() else { return };
    let text = b"a string by rep outsb";
    // mov esi, text; mov ecx, length; mov dx, 0x3f8; rep outsb
    let head_length = 16;
    let code = [
        &[0xBE][..],
        &(CODE + head_length + power_off().len() as u32).to_le_bytes(),
        &[0xB9],
        &(text.len() as u32).to_le_bytes(),
        &[0x66, 0xBA, 0xF8, 0x03, 0xF3, 0x6E],
        &power_off(),
        text,
    ]
    .concat();
    let paper = Paper::default();
    let vm = builder(&kvm, config("string", pvh(&code)), &paper)
        .build()
        .unwrap();
    assert_eq!(vm.start().unwrap().wait(), VmOutcome::PoweredOff);
    assert_eq!(paper.text().as_bytes(), text);
}

#[test]
fn given_a_repeated_string_input_then_each_element_is_read_at_its_own_width() {
    let Some(kvm) = hypervisor() else { return };
    // mov edi, 0x200000; mov ecx, 6; mov dx, 0x702; rep insw
    let input = [
        &[0xBF][..],
        &0x20_0000_u32.to_le_bytes(),
        &[0xB9, 6, 0, 0, 0, 0x66, 0xBA, 0x02, 0x07, 0xF3, 0x66, 0x6D],
    ]
    .concat();
    let mut builder = builder(
        &kvm,
        config("input", pvh(&[input, power_off()].concat())),
        &Paper::default(),
    );
    builder.add_port_device(0x700, 4, Probe::new().0).unwrap();
    let memory = builder.memory().clone();
    assert_eq!(
        builder.build().unwrap().start().unwrap().wait(),
        VmOutcome::PoweredOff
    );
    let mut words = [0; 14];
    memory
        .read_slice(&mut words, GuestAddress(0x20_0000))
        .unwrap();
    assert_eq!(words, [2, 0, 2, 0, 2, 0, 2, 0, 2, 0, 2, 0, 0, 0]);
}

/// Raises its line when written to.
#[derive(Debug)]
struct Bell(Arc<dyn InterruptLine>);

impl BusDevice for Bell {
    fn read(&self, _offset: u64, _data: &mut [u8]) {}

    fn write(&self, _offset: u64, _data: &[u8]) {
        self.0.trigger().unwrap();
    }
}

#[test]
fn given_an_interrupt_line_then_triggering_it_sends_the_vector_that_the_guest_chose_to_its_local_apic()
 {
    let Some(kvm) = hypervisor() else { return };
    const VECTOR: u32 = 0x40;
    let pin = 5;
    let code = [
        // Local APIC on; I/O APIC pin 5 to the vector, edge, physical destination 0.
        store(0xFEE0_00F0, 0x1FF),
        store(0xFEC0_0000, 0x11 + pin * 2),
        store(0xFEC0_0010, 0),
        store(0xFEC0_0000, 0x10 + pin * 2),
        store(0xFEC0_0010, VECTOR),
        // What is pending before and after the bell: interrupts are off, so the vector stays in the request register.
        copy(PENDING, 0x20_0000),
        out(0x700, 1),
        // again: mov eax, [PENDING]; test eax, eax; jz again
        [
            &[0xA1][..],
            &PENDING.to_le_bytes(),
            &[0x85, 0xC0, 0x74, 0xF7],
        ]
        .concat(),
        copy(PENDING, 0x20_0004),
        power_off(),
    ];
    // Local APIC, interrupt request register, vectors 0x40 to 0x5F.
    const PENDING: u32 = 0xFEE0_0220;

    let mut builder = builder(
        &kvm,
        config("interrupt", pvh(&code.concat())),
        &Paper::default(),
    );
    let window = builder.reserve_virtio_mmio().unwrap();
    assert_eq!(window.gsi, pin);
    builder
        .add_port_device(0x700, 1, Arc::new(Bell(window.line.clone())))
        .unwrap();
    let memory = builder.memory().clone();
    assert_eq!(
        builder.build().unwrap().start().unwrap().wait(),
        VmOutcome::PoweredOff
    );
    assert_eq!(memory.read_obj::<u32>(GuestAddress(0x20_0000)).unwrap(), 0);
    assert_eq!(memory.read_obj::<u32>(GuestAddress(0x20_0004)).unwrap(), 1);
}

#[test]
fn given_more_devices_than_windows_or_overlapping_ones_then_they_are_refused() {
    let Some(kvm) = hypervisor() else { return };
    let mut builder = builder(&kvm, config("full", pvh(&halt())), &Paper::default());
    let windows: Vec<_> = (0..8)
        .map(|_| builder.reserve_virtio_mmio().unwrap())
        .collect();
    assert!(matches!(
        builder.reserve_virtio_mmio(),
        Err(VmError::NoWindow)
    ));
    builder
        .add_virtio_mmio(&windows[0], Probe::new().0, NO_DOORBELLS)
        .unwrap();
    assert!(matches!(
        builder.add_virtio_mmio(&windows[0], Probe::new().0, NO_DOORBELLS),
        Err(VmError::Bus(_))
    ));
    assert!(matches!(
        builder.add_port_device(0x3FF, 1, Probe::new().0),
        Err(VmError::Bus(_))
    ));
    assert!(builder.add_serial(Box::new(std::io::sink())).is_err());
}
