// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Promises of the command-line reader.
#![allow(clippy::unwrap_used)]

use super::*;

#[test]
fn given_an_empty_line_the_defaults_hold() {
    let options = Options::parse("").unwrap();
    assert_eq!(options.name, "guest");
    assert_eq!((options.width, options.height), (None, None));
    assert_eq!((options.depth, options.batch, options.frames), (8, 2, 0));
    assert_eq!(options.mode, Mode::Draw);
    assert_eq!(options.exit, Exit::I8042);
    assert!(options.devices().is_empty());
}

#[test]
fn given_linux_and_qemu_device_words_each_device_is_found_in_order() {
    let options = Options::parse(
        "virtio_mmio.device=4K@0xd0000000:5 quiet virtio_mmio.device=512@0xfeb00e00:12",
    )
    .unwrap();
    assert_eq!(
        options.devices(),
        [
            MmioDevice {
                base: 0xd000_0000,
                size: 4096,
                irq: 5
            },
            MmioDevice {
                base: 0xfeb0_0e00,
                size: 512,
                irq: 12
            },
        ]
    );
}

#[test]
fn given_a_load_every_word_arrives() {
    let line = "name=blue width=640 height=480 frames=100 damage=partial batch=64 depth=4 burst_ms=10 idle_ms=20 repaint_ms=16 mode=reset resets=7 \
                backing=scattered blob=1 cursor=1 seconds=5 pattern=test indirect=0 event_idx=1 cpus=4 commands=9 exit=acpi:0x604";
    let options = Options::parse(line).unwrap();
    assert_eq!(options.name, "blue");
    assert_eq!((options.width, options.height), (Some(640), Some(480)));
    assert_eq!(
        (options.frames, options.seconds, options.commands),
        (100, 5, 9)
    );
    assert_eq!(
        (options.damage, options.batch, options.depth),
        (Damage::Partial, 64, 4)
    );
    assert_eq!((options.burst_ms, options.idle_ms), (10, 20));
    assert_eq!(options.repaint_ms, 16);
    assert_eq!((options.mode, options.resets), (Mode::Reset, 7));
    assert_eq!(
        (options.backing, options.pattern),
        (Backing::Scattered, Pattern::Test)
    );
    assert!(options.blob && options.cursor && options.event_idx && !options.indirect);
    assert_eq!(options.cpus, 4);
    assert_eq!(options.exit, Exit::Acpi(0x604));
}

#[test]
fn given_words_of_others_they_are_passed_over() {
    let options = Options::parse("console=ttyS0 reboot=t panic=-1 quiet").unwrap();
    assert_eq!(options.name, "guest");
}

#[test]
fn given_a_known_word_with_a_bad_value_the_word_is_named() {
    for word in [
        "width=0",
        "width=99999",
        "damage=some",
        "depth=0",
        "batch=257",
        "frames=many",
        "name=",
        "blob=2",
        "exit=acpi:zz",
        "virtio_mmio.device=4K@0xd0000000",
        "virtio_mmio.device=4K@0xffffffffff:5",
    ] {
        assert_eq!(Options::parse(word).unwrap_err(), BadOption { word });
    }
}

#[test]
fn given_more_devices_than_are_looked_at_the_rest_is_left_out() {
    let line = "virtio_mmio.device=512@0xfeb00000:5 ".repeat(MAX_DEVICES + 3);
    assert_eq!(Options::parse(&line).unwrap().devices().len(), MAX_DEVICES);
}
