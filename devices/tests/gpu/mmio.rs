// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The register file: every offset and width is answered, and the device status follows the specification.

use crate::support;
use crate::support::random::Random;
use crate::support::{Rig, RigConfig};
use rondo_adapter::recorder::Verb;
use rondo_devices::bus::BusDevice;
use rondo_devices::virtio::{
    VIRTIO_F_EVENT_IDX, VIRTIO_F_INDIRECT_DESC, VIRTIO_F_VERSION_1, VirtioMmio, registers as reg,
};
use rondo_protocol::{Command, Feature, Request};

fn fresh() -> Rig {
    Rig::powered_on(RigConfig::default())
}

#[test]
fn the_first_words_are_magic_version_2_and_a_gpu() {
    let rig = fresh();
    assert_eq!(&rig.read32(reg::MAGIC_VALUE).to_le_bytes(), b"virt");
    assert_eq!(rig.read32(reg::VERSION), 2);
    assert_eq!(rig.read32(reg::DEVICE_ID), 16);
    assert_eq!(&rig.read32(reg::VENDOR_ID).to_le_bytes(), b"RNDO");
    assert_eq!(rig.read32(reg::STATUS), 0);
}

#[test]
fn a_fresh_device_offers_exactly_its_features_scanouts_and_no_capability_set() {
    let rig = fresh();
    let mut features = 0;
    for half in 0..4 {
        rig.write32(reg::DEVICE_FEATURES_SEL, half);
        let bits = u64::from(rig.read32(reg::DEVICE_FEATURES));
        if half < 2 {
            features |= bits << (32 * half);
        } else {
            assert_eq!(bits, 0);
        }
    }
    let gpu = Feature::Edid.mask() | Feature::ResourceUuid.mask() | Feature::ResourceBlob.mask();
    assert_eq!(
        features,
        gpu | VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX
    );
    assert_eq!(rig.read32(reg::CONFIG + 8), 2);
    assert_eq!(rig.read32(reg::CONFIG + 12), 0);
}

#[test]
fn there_are_two_queues_of_256_and_no_shared_memory() {
    let rig = fresh();
    for (index, size) in [
        (0, 256),
        (1, 256),
        (2, 0),
        (0xffff, 0),
        (0x1_0000, 0),
        (u32::MAX, 0),
    ] {
        rig.write32(reg::QUEUE_SEL, index);
        assert_eq!(rig.read32(reg::QUEUE_SIZE_MAX), size, "queue {index}");
    }
    for id in [0, 1, 255, 256, u32::MAX] {
        rig.write32(reg::SHM_SEL, id);
        for offset in [
            reg::SHM_LEN_LOW,
            reg::SHM_LEN_HIGH,
            reg::SHM_BASE_LOW,
            reg::SHM_BASE_HIGH,
        ] {
            assert_eq!(rig.read32(offset), u32::MAX);
        }
    }
}

#[test]
fn every_offset_and_width_is_answered_and_odd_accesses_to_registers_do_nothing() {
    let rig = fresh();
    for offset in 0..VirtioMmio::WINDOW + 16 {
        for width in [1, 2, 4, 8] {
            let mut data = vec![0xa5; width];
            rig.mmio.read(offset, &mut data);
            if offset < reg::CONFIG && (width != 4 || offset % 4 != 0) {
                assert_eq!(data, vec![0; width], "{offset:#x} by {width}");
                rig.mmio.write(offset, &vec![0xff; width]);
            }
            if offset >= reg::CONFIG + 20 {
                assert_eq!(data, vec![0; width], "beyond the configuration space");
            }
        }
    }
    for offset in [u64::MAX, u64::MAX - 3, 1 << 32] {
        let mut data = [1; 8];
        rig.mmio.read(offset, &mut data);
        rig.mmio.write(offset, &data);
        assert_eq!(data, [0; 8]);
    }
    assert_eq!(rig.read32(reg::STATUS), 0, "nothing was written");
}

#[test]
fn the_configuration_space_reads_the_same_by_every_width() {
    let rig = fresh();
    let mut whole = Vec::new();
    for offset in (0..20).step_by(4) {
        whole.extend(rig.read32(reg::CONFIG + offset).to_le_bytes());
    }
    for width in [1, 2, 8] {
        for offset in 0..20 {
            let mut data = vec![0; width];
            rig.mmio.read(reg::CONFIG + offset, &mut data);
            let expected: Vec<u8> = (0..width)
                .map(|n| whole.get(offset as usize + n).copied().unwrap_or(0))
                .collect();
            assert_eq!(data, expected);
        }
    }
}

#[test]
fn random_accesses_at_any_time_leave_a_device_that_works_after_a_reset() {
    for seed in 0..40 {
        let mut rig = fresh();
        let mut random = Random::new(seed);
        for _ in 0..600 {
            let offset =
                random.below(VirtioMmio::WINDOW + 8) & if random.chance(4) { !0 } else { !3 };
            let width = random.pick(&[1, 2, 4, 4, 4, 8]);
            let value = match random.below(4) {
                0 => random.next(),
                1 => random.below(16),
                2 => random.below(1 << 24),
                _ => u64::from(random.pick(&[1_u32, 3, 11, 15, 0x8b, 64, u32::MAX])),
            };
            if random.chance(2) {
                rig.mmio.write(offset, &value.to_le_bytes()[..width]);
            } else {
                rig.mmio.read(offset, &mut [0; 8][..width]);
            }
            rig.run_event_loop();
        }
        rig.probe();
        assert_eq!(rig.read32(reg::STATUS), 15, "seed {seed}");
        let answer = rig.send(&Request::new(Command::GetDisplayInfo));
        assert!(answer.response().is_ok(), "seed {seed}");
    }
}

fn negotiate(rig: &Rig, features: u64) -> u32 {
    rig.write32(reg::STATUS, 0);
    rig.write32(reg::STATUS, 3);
    for half in 0..2 {
        rig.write32(reg::DRIVER_FEATURES_SEL, half);
        rig.write32(reg::DRIVER_FEATURES, (features >> (32 * half)) as u32);
    }
    rig.write32(reg::STATUS, 11);
    rig.read32(reg::STATUS)
}

#[test]
fn features_ok_only_sticks_for_a_subset_with_version_1_whose_dependencies_hold() {
    let rig = fresh();
    assert_eq!(negotiate(&rig, VIRTIO_F_VERSION_1), 11);
    assert_eq!(
        negotiate(&rig, VIRTIO_F_VERSION_1 | Feature::Edid.mask()),
        11
    );
    assert_eq!(negotiate(&rig, 0), 3, "without VERSION_1");
    assert_eq!(
        negotiate(&rig, VIRTIO_F_VERSION_1 | 1),
        3,
        "VIRGL is not offered"
    );
    assert_eq!(negotiate(&rig, u64::MAX), 3);
    let rig = Rig::powered_on(RigConfig {
        gpu: rondo_devices::gpu::GpuConfig {
            scanouts: 1,
            blob_alignment: Some(4096),
        },
        ..RigConfig::default()
    });
    let alone = VIRTIO_F_VERSION_1 | Feature::BlobAlignment.mask();
    assert_eq!(
        negotiate(&rig, alone),
        3,
        "BLOB_ALIGNMENT without RESOURCE_BLOB"
    );
    assert_eq!(negotiate(&rig, alone | Feature::ResourceBlob.mask()), 11);
}

#[test]
fn features_are_settled_once_features_ok_is_set() {
    let rig = fresh();
    assert_eq!(negotiate(&rig, VIRTIO_F_VERSION_1), 11);
    rig.write32(reg::DRIVER_FEATURES_SEL, 0);
    rig.write32(reg::DRIVER_FEATURES, u32::MAX);
    rig.write32(reg::STATUS, 15);
    assert_eq!(rig.read32(reg::STATUS) & 8, 8);
}

#[test]
fn driver_ok_needs_features_ok_and_no_failure() {
    let rig = fresh();
    rig.write32(reg::STATUS, 7);
    assert_eq!(rig.read32(reg::STATUS), 3);
    assert_eq!(negotiate(&rig, VIRTIO_F_VERSION_1), 11);
    rig.write32(reg::STATUS, 0x8f);
    assert_eq!(rig.read32(reg::STATUS), 0x8b, "FAILED, and not live");
    rig.write32(reg::STATUS, 0);
    assert_eq!(rig.read32(reg::STATUS), 0);
}

#[test]
fn status_bits_are_taken_back_by_a_reset_only_and_the_device_alone_sets_needs_reset() {
    let rig = fresh();
    rig.write32(reg::STATUS, 3);
    rig.write32(reg::STATUS, 1);
    assert_eq!(rig.read32(reg::STATUS), 3);
    rig.write32(reg::STATUS, 64 | 16);
    assert_eq!(rig.read32(reg::STATUS), 3);
}

#[test]
fn given_rings_outside_of_memory_or_no_control_queue_then_the_device_needs_a_reset_and_gets_well_by_it()
 {
    for broken in 0..4 {
        let mut rig = fresh();
        assert_eq!(negotiate(&rig, VIRTIO_F_VERSION_1), 11);
        rig.write32(reg::QUEUE_SEL, 0);
        match broken {
            0 => {}
            1 => {
                rig.write32(reg::QUEUE_DESC_HIGH, 0xffff_ffff);
                rig.write32(reg::QUEUE_READY, 1);
            }
            2 => {
                rig.write32(reg::QUEUE_DESC_LOW, 0x1001);
                rig.write32(reg::QUEUE_READY, 1);
            }
            _ => {
                rig.write32(reg::QUEUE_DEVICE_LOW, (support::GUEST_BYTES - 4) as u32);
                rig.write32(reg::QUEUE_READY, 1);
            }
        }
        rig.write32(reg::STATUS, 15);
        assert_eq!(rig.read32(reg::STATUS), 15 | 64, "case {broken}");
        assert_eq!(rig.read32(reg::INTERRUPT_STATUS), 2);
        assert!(rig.line.read().is_ok());
        rig.kick();
        rig.probe();
        assert_eq!(rig.read32(reg::STATUS), 15);
        assert!(
            rig.send(&Request::new(Command::GetDisplayInfo))
                .response()
                .is_ok()
        );
    }
}

#[test]
fn queue_sizes_that_are_no_power_of_two_or_too_large_change_nothing() {
    let rig = fresh();
    // The rings of 256 entries reach out of memory, those of 1 do not: so it shows which size holds.
    assert_eq!(negotiate(&rig, VIRTIO_F_VERSION_1), 11);
    rig.write32(reg::QUEUE_SEL, 0);
    let end = support::GUEST_BYTES as u32;
    rig.write32(reg::QUEUE_DESC_LOW, end - 256);
    rig.write32(reg::QUEUE_DRIVER_LOW, end - 512);
    rig.write32(reg::QUEUE_DEVICE_LOW, end - 1024);
    rig.write32(reg::QUEUE_SIZE, 16);
    for bad in [0, 3, 17, 512, 0x8000, 0x1_0010, u32::MAX] {
        rig.write32(reg::QUEUE_SIZE, bad);
    }
    rig.write32(reg::QUEUE_READY, 1);
    rig.write32(reg::STATUS, 15);
    assert_eq!(rig.read32(reg::STATUS), 15);
}

#[test]
fn a_queue_in_use_takes_no_new_address_and_one_that_is_stopped_is_left_alone() {
    let mut rig = Rig::default();
    rig.write32(reg::QUEUE_SEL, 0);
    assert_eq!(rig.read32(reg::QUEUE_READY), 1);
    rig.write32(reg::QUEUE_DESC_LOW, 0);
    assert!(
        rig.send(&Request::new(Command::GetDisplayInfo))
            .response()
            .is_ok()
    );
    rig.write32(reg::QUEUE_RESET, 1);
    assert_eq!(rig.read32(reg::QUEUE_RESET), 0);
    assert_eq!(rig.read32(reg::QUEUE_READY), 1, "RING_RESET is not offered");
    rig.write32(reg::QUEUE_READY, 0);
    assert_eq!(rig.read32(reg::QUEUE_READY), 0);
    rig.queue(&Request::new(Command::GetDisplayInfo));
    rig.kick();
    assert_eq!(rig.control.pop_used(), []);
}

#[test]
fn interrupts_are_acknowledged_bit_by_bit() {
    let mut rig = Rig::default();
    rig.send(&Request::new(Command::GetDisplayInfo));
    assert_eq!(rig.read32(reg::INTERRUPT_STATUS), 1);
    rig.write32(reg::INTERRUPT_ACK, 2);
    assert_eq!(rig.read32(reg::INTERRUPT_STATUS), 1);
    rig.write32(reg::INTERRUPT_ACK, u32::MAX);
    assert_eq!(rig.read32(reg::INTERRUPT_STATUS), 0);
}

#[test]
fn a_batch_of_commands_is_one_interrupt() {
    let mut rig = Rig::default();
    let _ = rig.line.read();
    for _ in 0..20 {
        rig.queue(&Request::new(Command::GetDisplayInfo));
    }
    rig.kick();
    assert_eq!(rig.control.pop_used().len(), 20);
    assert_eq!(rig.line.read().unwrap(), 1);
}

#[test]
fn notifications_before_driver_ok_and_of_no_queue_are_harmless_and_what_they_were_for_is_served() {
    let mut rig = fresh();
    for index in [0, 1, 2, 0x1_0000, u32::MAX] {
        rig.write32(reg::QUEUE_NOTIFY, index);
    }
    rig.run_event_loop();
    rig.probe();
    // The driver notified too early; activation makes the device look by itself.
    let sent = rig.queue(&Request::new(Command::GetDisplayInfo));
    rig.run_event_loop();
    assert_eq!(rig.control.pop_used()[0].0, sent.head);
    assert!(
        rig.ddi
            .records()
            .iter()
            .any(|record| record.call.verb() == Verb::QueryChildStatus)
    );
}
