// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! A guest's mistakes, repeated as often as it likes, do not fill the host's log.

use std::cell::Cell;
use std::sync::Once;

use log::{Level, LevelFilter, Log, Metadata, Record};
use rondo_devices::virtio::registers as reg;
use rondo_protocol::{Command, Request, ResourceId};

use super::support::driver::SIZE;
use super::support::{Rig, RigConfig};

thread_local! {
    /// Lines above debug level that this thread has logged.
    static LINES: Cell<usize> = const { Cell::new(0) };
}

struct Counter;

impl Log for Counter {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Info
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            LINES.with(|lines| lines.set(lines.get() + 1));
        }
    }

    fn flush(&self) {}
}

/// How many lines above debug level `act` logs.
fn lines(act: impl FnOnce()) -> usize {
    static COUNTER: Once = Once::new();
    COUNTER.call_once(|| {
        log::set_logger(&Counter).unwrap();
        log::set_max_level(LevelFilter::Info);
    });
    let before = LINES.get();
    act();
    LINES.get() - before
}

#[test]
fn the_counter_counts() {
    assert_eq!(lines(|| log::warn!("one")), 1);
    assert_eq!(lines(|| log::debug!("none")), 0);
}

#[test]
fn given_a_driver_that_starts_the_device_without_queues_again_and_again_then_the_log_is_quiet() {
    let rig = Rig::powered_on(RigConfig::default());
    let logged = lines(|| {
        for _ in 0..100 {
            rig.write32(reg::STATUS, 0);
            rig.write32(reg::STATUS, 3);
            rig.write32(reg::DRIVER_FEATURES_SEL, 1);
            rig.write32(reg::DRIVER_FEATURES, 1);
            rig.write32(reg::STATUS, 11);
            rig.write32(reg::STATUS, 15);
            assert_eq!(rig.read32(reg::STATUS), 15 | 64);
        }
    });
    assert_eq!(logged, 0);
}

#[test]
fn given_a_driver_that_the_host_has_no_room_for_again_and_again_then_the_log_says_so_once() {
    // The objects of a driver's life do not fit.
    let mut rig = Rig::powered_on(RigConfig {
        memory_limit: 0,
        ..RigConfig::default()
    });
    let logged = lines(|| {
        for _ in 0..100 {
            rig.probe();
            assert_eq!(rig.read32(reg::STATUS), 15 | 64);
        }
    });
    assert_eq!(logged, 1);
}

#[test]
fn given_rings_and_commands_that_are_wrong_again_and_again_then_the_log_is_quiet() {
    let mut rig = Rig::default();
    let logged = lines(|| {
        for round in 0..50 {
            for code in [0, 0x106, 0x300, u32::MAX] {
                let mut request = [0; 24];
                request[..4].copy_from_slice(&u32::to_le_bytes(code));
                rig.send_bytes(&request, 24);
            }
            rig.send(&Request::new(Command::ResourceUnref {
                resource: ResourceId::new(9).unwrap(),
            }));
            match round % 3 {
                0 => rig.control.offer(SIZE),
                1 => rig.control.set_avail(0x8000),
                _ => rig.cursor.offer(u16::MAX),
            }
            rig.kick();
            rig.kick_cursor();
            assert_eq!(rig.read32(reg::STATUS), 15 | 64);
            rig.probe();
        }
    });
    assert_eq!(logged, 0);
}
