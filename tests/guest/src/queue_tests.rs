// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Promises of the virtqueue driver, with registers and device played by the test.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::command_line::MmioDevice;
use crate::memory::PAGE;

const OFFERED_SIZE: u32 = 16;

/// Registers that hold what is written to them, and memory for a queue.
fn queue(features: QueueFeatures) -> (Queue, Transport) {
    let registers: &'static mut [u32] = vec![0; 1024].leak();
    registers[0] = 0x7472_6976;
    registers[1] = 2;
    registers[2] = 16;
    registers[0x34 / 4] = OFFERED_SIZE;
    let base = registers.as_mut_ptr().expose_provenance() as u64;
    let (transport, id) = Transport::probe(&MmioDevice {
        base,
        size: 4096,
        irq: 0,
    })
    .unwrap()
    .unwrap();
    assert_eq!(id, 16);
    let bytes = 32 * PAGE as usize;
    let start = vec![0xaa_u8; bytes].leak().as_mut_ptr().expose_provenance() as u64;
    // SAFETY: leaked and used by nobody else.
    let mut memory = unsafe { FreeMemory::new(start, start + bytes as u64) };
    (
        Queue::new(transport, 0, features, &mut memory).unwrap(),
        transport,
    )
}

/// The device's side: returns the head at a position of the available ring.
fn head(queue: &Queue, position: u16) -> u16 {
    queue.read(queue.rings.driver + 4 + u64::from(position % queue.size) * 2)
}

/// The device's side: marks a head as used.
fn complete(queue: &mut Queue, position: u16, head: u16, len: u32) {
    let element = queue.rings.device + 4 + u64::from(position % queue.size) * 8;
    queue.write(element, u32::from(head));
    queue.write(element + 4, len);
    queue.write(queue.rings.device + 2, position.wrapping_add(1));
}

const PLAIN: QueueFeatures = QueueFeatures {
    indirect: false,
    event_idx: false,
};
const INDIRECT: QueueFeatures = QueueFeatures {
    indirect: true,
    event_idx: false,
};

#[test]
fn given_direct_descriptors_a_command_is_a_readable_and_a_writable_part() {
    let (mut queue, _) = queue(PLAIN);
    assert_eq!(queue.slot_count(), OFFERED_SIZE as u16 / 2);
    let slot = queue.take_slot().unwrap();
    let request = queue.request_address(slot);
    queue.submit(slot, request, 24, 408);
    let first: Descriptor =
        queue.read(queue.rings.descriptors + u64::from(head(&queue, 0)) * DESCRIPTOR_BYTES);
    assert_eq!(
        (first.address, first.len, first.flags),
        (request, 24, DESC_NEXT)
    );
    let second: Descriptor =
        queue.read(queue.rings.descriptors + u64::from(first.next) * DESCRIPTOR_BYTES);
    assert_eq!((second.len, second.flags), (408, DESC_WRITE));
}

#[test]
fn given_indirect_descriptors_each_command_takes_one_place_of_the_ring() {
    let (mut queue, _) = queue(INDIRECT);
    assert_eq!(queue.slot_count(), OFFERED_SIZE as u16);
    let slot = queue.take_slot().unwrap();
    queue.submit(slot, queue.request_address(slot), 24, 24);
    let outer: Descriptor =
        queue.read(queue.rings.descriptors + u64::from(head(&queue, 0)) * DESCRIPTOR_BYTES);
    assert_eq!((outer.len, outer.flags), (32, DESC_INDIRECT));
    let second: Descriptor = queue.read(outer.address + DESCRIPTOR_BYTES);
    assert_eq!((second.len, second.flags), (24, DESC_WRITE));
}

#[test]
fn given_a_command_without_response_it_is_one_readable_part() {
    let (mut queue, _) = queue(INDIRECT);
    let slot = queue.take_slot().unwrap();
    queue.submit(slot, queue.request_address(slot), 56, 0);
    let outer: Descriptor = queue.read(queue.rings.descriptors);
    assert_eq!(outer.len, 16);
    let only: Descriptor = queue.read(outer.address);
    assert_eq!((only.len, only.flags), (56, 0));
}

#[test]
fn given_completions_out_of_order_each_slot_comes_back_once() {
    for features in [PLAIN, INDIRECT] {
        let (mut queue, _) = queue(features);
        // Many times round the ring, so that all three indices wrap.
        for round in 0..70_000_u32 {
            let position = queue.avail;
            let (a, b) = (queue.take_slot().unwrap(), queue.take_slot().unwrap());
            for slot in [a, b] {
                queue.submit(slot, queue.request_address(slot), 24, 24);
            }
            let (first, second) = (
                head(&queue, position),
                head(&queue, position.wrapping_add(1)),
            );
            complete(&mut queue, position, second, 24);
            complete(&mut queue, position.wrapping_add(1), first, 24);
            assert_eq!(queue.poll(), Ok(Some((b, 24))), "round {round}");
            assert_eq!(queue.poll(), Ok(Some((a, 24))), "round {round}");
            assert_eq!(queue.poll(), Ok(None));
            queue.give_slot(a);
            queue.give_slot(b);
            assert_eq!(queue.in_flight(), 0);
        }
    }
}

#[test]
fn given_a_device_that_breaks_the_used_ring_the_breach_is_named() {
    let (mut queue, _) = queue(INDIRECT);
    complete(&mut queue, 0, 99, 24);
    assert_eq!(queue.poll(), Err(UsedRingError::BadHead(99)));
    complete(&mut queue, 1, 3, 24);
    assert_eq!(queue.poll(), Err(UsedRingError::NotInFlight(3)));
    let slot = queue.take_slot().unwrap();
    queue.submit(slot, queue.request_address(slot), 24, 24);
    complete(&mut queue, 2, slot.0, 5000);
    assert_eq!(queue.poll(), Err(UsedRingError::TooLong(5000)));
}

#[test]
fn given_the_devices_wish_notifications_are_left_out() {
    let notify_register = |transport: Transport| {
        core::ptr::with_exposed_provenance_mut::<u32>((transport.base() + 0x50) as usize)
    };
    for features in [
        INDIRECT,
        QueueFeatures {
            indirect: true,
            event_idx: true,
        },
    ] {
        let (mut queue, transport) = queue(features);
        let register = notify_register(transport);
        let notified = |queue: &mut Queue| {
            // SAFETY: the test's own registers.
            unsafe { register.write_volatile(u32::MAX) };
            let slot = queue.take_slot().unwrap();
            queue.submit(slot, queue.request_address(slot), 24, 24);
            queue.notify(transport);
            // SAFETY: the test's own registers.
            unsafe { register.read_volatile() == 0 }
        };
        assert!(notified(&mut queue));
        if features.event_idx {
            // Wants to hear of the fourth.
            queue.write(queue.rings.device + 4 + u64::from(queue.size) * 8, 3_u16);
        } else {
            queue.write(queue.rings.device, USED_NO_NOTIFY);
        }
        assert!(!notified(&mut queue));
        assert!(!notified(&mut queue));
        assert_eq!(notified(&mut queue), features.event_idx);
    }
}

#[test]
fn given_event_indices_across_the_wrap_the_comparison_is_the_specifications() {
    assert!(crossed(0xffff, 0, 0xffff));
    assert!(!crossed(5, 5, 4));
    assert!(crossed(4, 5, 4));
    assert!(!crossed(9, 5, 4));
}
