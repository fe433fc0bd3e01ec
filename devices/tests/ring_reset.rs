// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The transport with a device that offers `VIRTIO_F_RING_RESET` and a shared memory region: what the GPU does not.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

use std::sync::{Arc, Mutex};

use rondo_devices::bus::BusDevice;
use rondo_devices::virtio::{
    ActivateError, Activation, ActiveQueue, ShmRegion, VIRTIO_F_RING_RESET, VIRTIO_F_VERSION_1,
    VirtioDevice, VirtioMmio, registers as reg,
};
use virtio_queue::QueueT;
use vm_memory::{GuestAddress, GuestMemoryAtomic, GuestMemoryMmap};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

/// Writes down what the transport does.
#[derive(Debug, Default)]
struct Witness(Mutex<Vec<String>>);

impl Witness {
    fn note(&self, what: String) {
        self.0.lock().unwrap().push(what);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl VirtioDevice for Witness {
    fn device_type(&self) -> u32 {
        42
    }

    fn queue_sizes(&self) -> &[u16] {
        &[16, 8]
    }

    fn features(&self) -> u64 {
        VIRTIO_F_VERSION_1 | VIRTIO_F_RING_RESET
    }

    fn accepts(&self, _features: u64) -> bool {
        true
    }

    fn read_config(&self, _offset: u64, _data: &mut [u8]) {}

    fn write_config(&self, _offset: u64, _data: &[u8]) {}

    fn shm_region(&self, id: u8) -> Option<ShmRegion> {
        (id == 1).then_some(ShmRegion {
            base: 0x1_2345_6000,
            len: 0x3_0000_1000,
        })
    }

    fn activate(&self, activation: Activation) -> Result<(), ActivateError> {
        let sizes: Vec<_> = (activation.queues.iter())
            .map(|queue| queue.as_ref().map(|queue| queue.queue.size()))
            .collect();
        self.note(format!("activate {sizes:?}"));
        Ok(())
    }

    fn reset(&self) {
        self.note("reset".to_owned());
    }

    fn stop_queue(&self, index: u16) {
        self.note(format!("stop {index}"));
    }

    fn start_queue(&self, index: u16, queue: ActiveQueue) -> Result<(), ActivateError> {
        self.note(format!("start {index} of {}", queue.queue.size()));
        Ok(())
    }
}

fn live(features: u64) -> (Arc<Witness>, VirtioMmio) {
    let witness = Arc::new(Witness::default());
    let memory = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), 0x10000)]).unwrap();
    let line = Arc::new(EventFd::new(EFD_NONBLOCK).unwrap());
    let mmio = VirtioMmio::new(witness.clone(), GuestMemoryAtomic::new(memory), line).unwrap();
    write(&mmio, reg::STATUS, 3);
    for half in 0..2 {
        write(&mmio, reg::DRIVER_FEATURES_SEL, half);
        write(
            &mmio,
            reg::DRIVER_FEATURES,
            (features >> (32 * half)) as u32,
        );
    }
    write(&mmio, reg::STATUS, 11);
    set_up(&mmio, 0, 16);
    write(&mmio, reg::STATUS, 15);
    assert_eq!(witness.take(), ["activate [Some(16), None]"]);
    (witness, mmio)
}

fn set_up(mmio: &VirtioMmio, index: u32, size: u32) {
    write(mmio, reg::QUEUE_SEL, index);
    write(mmio, reg::QUEUE_SIZE, size);
    write(mmio, reg::QUEUE_DESC_LOW, 0x1000);
    write(mmio, reg::QUEUE_DRIVER_LOW, 0x2000);
    write(mmio, reg::QUEUE_DEVICE_LOW, 0x3000);
    write(mmio, reg::QUEUE_READY, 1);
}

fn write(mmio: &VirtioMmio, offset: u64, value: u32) {
    mmio.write(offset, &value.to_le_bytes());
}

fn read(mmio: &VirtioMmio, offset: u64) -> u32 {
    let mut data = [0; 4];
    mmio.read(offset, &mut data);
    u32::from_le_bytes(data)
}

#[test]
fn a_queue_that_is_reset_stops_forgets_its_registers_and_starts_again() {
    let (witness, mmio) = live(VIRTIO_F_VERSION_1 | VIRTIO_F_RING_RESET);
    write(&mmio, reg::QUEUE_RESET, 1);
    assert_eq!(witness.take(), ["stop 0"]);
    assert_eq!(read(&mmio, reg::QUEUE_RESET), 0, "the reset is done");
    assert_eq!(read(&mmio, reg::QUEUE_READY), 0);
    set_up(&mmio, 0, 4);
    assert_eq!(witness.take(), ["start 0 of 4"]);
    assert_eq!(read(&mmio, reg::QUEUE_READY), 1);
    assert!(mmio.notifiers()[0].read().is_ok(), "it is looked at");
    assert_eq!(read(&mmio, reg::STATUS), 15);
}

#[test]
fn a_queue_that_comes_back_broken_makes_the_device_ask_for_a_reset() {
    let (witness, mmio) = live(VIRTIO_F_VERSION_1 | VIRTIO_F_RING_RESET);
    write(&mmio, reg::QUEUE_RESET, 1);
    write(&mmio, reg::QUEUE_DESC_LOW, 0xffff_0000);
    write(&mmio, reg::QUEUE_READY, 1);
    assert_eq!(witness.take(), ["stop 0"]);
    assert_eq!(read(&mmio, reg::QUEUE_READY), 0);
    assert_eq!(read(&mmio, reg::STATUS), 15 | 64);
    write(&mmio, reg::STATUS, 0);
    assert_eq!(witness.take(), ["reset"]);
    assert_eq!(read(&mmio, reg::STATUS), 0);
}

#[test]
fn without_the_feature_a_queue_can_be_stopped_but_not_reset_or_restarted() {
    let (witness, mmio) = live(VIRTIO_F_VERSION_1);
    write(&mmio, reg::QUEUE_RESET, 1);
    assert_eq!(witness.take(), [""; 0]);
    write(&mmio, reg::QUEUE_READY, 0);
    assert_eq!(witness.take(), ["stop 0"]);
    write(&mmio, reg::QUEUE_READY, 1);
    assert_eq!(witness.take(), [""; 0]);
    assert_eq!(read(&mmio, reg::QUEUE_READY), 0);
}

#[test]
fn a_shared_memory_region_is_told_by_its_id() {
    let (_, mmio) = live(VIRTIO_F_VERSION_1);
    write(&mmio, reg::SHM_SEL, 1);
    let word = |low| u64::from(read(&mmio, low + 4)) << 32 | u64::from(read(&mmio, low));
    assert_eq!(word(reg::SHM_LEN_LOW), 0x3_0000_1000);
    assert_eq!(word(reg::SHM_BASE_LOW), 0x1_2345_6000);
    write(&mmio, reg::SHM_SEL, 257);
    assert_eq!(word(reg::SHM_LEN_LOW), u64::MAX);
}
