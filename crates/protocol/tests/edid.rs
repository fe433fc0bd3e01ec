// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The EDID says what was asked for: read back by an independent parser that follows the rules of Linux' `drm_edid`, and by
//! `edid-decode --check` where it is installed.
#![allow(missing_docs, clippy::cast_possible_truncation, clippy::cast_sign_loss)]

use std::io::Write;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use rondo_protocol::edid::{Edid, EdidError, MAX_REFRESH_HZ, Monitor, PhysicalSize};

/// A mode as a driver reads it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Mode {
    width: u32,
    height: u32,
    h_total: u32,
    v_total: u32,
    clock_khz: u64,
    mm: (u32, u32),
    /// Front porch and width of the horizontal and the vertical sync.
    syncs: [u32; 4],
    /// Whether the horizontal and the vertical sync are positive.
    positive: (bool, bool),
}

impl Mode {
    fn refresh(&self) -> f64 {
        self.clock_khz as f64 * 1000.0 / (f64::from(self.h_total) * f64::from(self.v_total))
    }
}

fn sum(bytes: &[u8]) -> u8 {
    bytes
        .iter()
        .fold(0, |sum: u8, byte| sum.wrapping_add(*byte))
}

/// The detailed timing descriptors and type I timings that are preferred, as `drm_edid` finds them.
fn preferred_modes(edid: &[u8]) -> Vec<Mode> {
    assert_eq!(edid[..8], [0, 255, 255, 255, 255, 255, 255, 0]);
    assert_eq!((edid[18], edid[19]), (1, 4));
    assert_eq!(edid.len(), 128 * (1 + usize::from(edid[126])));
    for block in edid.chunks(128) {
        assert_eq!(sum(block), 0, "block checksum");
    }
    // In EDID 1.4 the first descriptor is a timing, and preferred.
    let d = &edid[54..72];
    let nibbles = |byte: u8| (u32::from(byte >> 4) << 8, u32::from(byte & 15) << 8);
    let (width_high, h_blank_high) = nibbles(d[4]);
    let (height_high, v_blank_high) = nibbles(d[7]);
    let (mm_w_high, mm_h_high) = nibbles(d[14]);
    let (width, h_blank) = (width_high + u32::from(d[2]), h_blank_high + u32::from(d[3]));
    let (height, v_blank) = (
        height_high + u32::from(d[5]),
        v_blank_high + u32::from(d[6]),
    );
    let clock = u64::from(d[0]) | u64::from(d[1]) << 8;
    assert_ne!(clock, 0, "a descriptor without clock is no timing");
    let (h_front, h_sync) = (u32::from(d[8]), u32::from(d[9]));
    let (v_front, v_sync) = (u32::from(d[10] >> 4), u32::from(d[10] & 15));
    assert_eq!(d[11], 0);
    assert!(h_sync > 0 && v_sync > 0 && h_front + h_sync <= h_blank && v_front + v_sync <= v_blank);
    let mut modes = vec![Mode {
        width,
        height,
        h_total: width + h_blank,
        v_total: height + v_blank,
        clock_khz: clock * 10,
        mm: (mm_w_high + u32::from(d[12]), mm_h_high + u32::from(d[13])),
        syncs: [h_front, h_sync, v_front, v_sync],
        positive: (d[17] & 2 != 0, d[17] & 4 != 0),
    }];
    for block in edid.chunks(128).skip(1) {
        assert_eq!(block[0], 0x70);
        let section = &block[1..5 + 1 + usize::from(block[2])];
        assert_eq!(sum(section), 0, "section checksum");
        let mut blocks = &section[4..section.len() - 1];
        while blocks.len() >= 3 {
            let length = usize::from(blocks[2]);
            let (this, rest) = blocks.split_at(3 + length);
            if this[0] == 3 {
                assert_eq!(length % 20, 0);
                for t in this[3..].chunks(20).filter(|t| t[3] & 0x80 != 0) {
                    let word = |at: usize| u32::from(t[at]) + (u32::from(t[at + 1]) << 8);
                    let clock =
                        1 + (u64::from(t[0]) | u64::from(t[1]) << 8 | u64::from(t[2]) << 16);
                    let (width, h_blank) = (word(4) + 1, word(6) + 1);
                    let (height, v_blank) = (word(12) + 1, word(14) + 1);
                    assert!((word(8) & 0x7fff) + 1 + word(10) < h_blank);
                    assert!((word(16) & 0x7fff) + 1 + word(18) < v_blank);
                    modes.push(Mode {
                        width,
                        height,
                        h_total: width + h_blank,
                        v_total: height + v_blank,
                        clock_khz: clock * 10,
                        mm: modes[0].mm,
                        syncs: [
                            (word(8) & 0x7fff) + 1,
                            word(10) + 1,
                            (word(16) & 0x7fff) + 1,
                            word(18) + 1,
                        ],
                        positive: (word(8) & 0x8000 != 0, word(16) & 0x8000 != 0),
                    });
                }
            }
            blocks = rest;
        }
    }
    modes
}

/// The mode that Linux takes: the largest of the preferred ones (`drm_mode_sort`).
fn preferred(edid: &[u8]) -> Mode {
    preferred_modes(edid)
        .into_iter()
        .max_by_key(|mode| u64::from(mode.width) * u64::from(mode.height))
        .unwrap()
}

fn text(edid: &[u8], tag: u8) -> Option<String> {
    (0..4)
        .map(|n| &edid[54 + 18 * n..72 + 18 * n])
        .find(|d| d[..3] == [0, 0, 0] && d[3] == tag)
        .map(|d| {
            String::from_utf8(d[5..].to_vec())
                .unwrap()
                .split('\n')
                .next()
                .unwrap()
                .to_owned()
        })
}

#[test]
fn common_modes_are_preferred_exactly_as_asked() {
    let modes = [
        (640, 480),
        (800, 600),
        (1024, 768),
        (1280, 800),
        (1366, 768),
        (1920, 1080),
        (2560, 1440),
        (3440, 1440),
        (3840, 2160),
        (4095, 2160),
        (4096, 2160),
        (5120, 2880),
        (7680, 4320),
        (8192, 8192),
        (1080, 1920),
        (333, 777),
    ];
    for (width, height) in modes {
        let size = PhysicalSize::at_dpi(width, height, 96);
        let edid = Edid::new(&Monitor {
            width,
            height,
            size: Some(size),
            ..Monitor::default()
        })
        .unwrap();
        let mode = preferred(edid.as_bytes());
        assert_eq!((mode.width, mode.height), (width.into(), height.into()));
        assert!(
            (mode.refresh() - 60.0).abs() < 0.02,
            "{width}x{height}: {} Hz",
            mode.refresh()
        );
        let fits = u32::from(size.width_mm.max(size.height_mm)) <= 2550;
        let mm = if fits {
            (size.width_mm.into(), size.height_mm.into())
        } else {
            (0, 0)
        };
        assert_eq!(mode.mm, mm, "{width}x{height}");
    }
}

#[test]
fn both_blocks_carry_the_syncs_of_reduced_blanking() {
    // CVT 1.1: 48 and 32 pixels, 3 lines, and lines by aspect ratio; horizontal positive, vertical negative.
    let modes = [
        (640, 480, 4),
        (1920, 1080, 5),
        (1280, 800, 6),
        (1280, 1024, 7),
        (1280, 768, 7),
        (1366, 768, 10),
        (6400, 4800, 4),
        (5120, 2880, 5),
        (5120, 3200, 6),
        (5120, 1440, 10),
    ];
    for (width, height, v_sync) in modes {
        let edid = Edid::new(&Monitor {
            width,
            height,
            ..Monitor::default()
        })
        .unwrap();
        let mode = preferred(edid.as_bytes());
        assert_eq!(mode.syncs, [48, 32, 3, v_sync], "{width}x{height}");
        assert_eq!(mode.positive, (true, false), "{width}x{height}");
    }
}

#[test]
fn the_identity_of_the_monitor_is_in_the_base_block() {
    let monitor = Monitor {
        name: "Ronda\u{e9}\n, left head",
        serial: "42",
        serial_number: 0x0102_0304,
        ..Monitor::default()
    };
    let edid = Edid::new(&monitor).unwrap();
    let bytes = edid.as_bytes();
    assert_eq!(text(bytes, 0xfc).unwrap(), "Ronda??, left");
    assert_eq!(text(bytes, 0xff).unwrap(), "42");
    assert_eq!(bytes[12..16], [4, 3, 2, 1]);
    let letters = u16::from_be_bytes([bytes[8], bytes[9]]);
    let letter = |shift: u16| (b'A' - 1 + (letters >> shift & 31) as u8) as char;
    assert_eq!([letter(10), letter(5), letter(0)], ['R', 'D', 'O']);
    // 1280x800 at 96 dpi: 339 mm by 212 mm.
    assert_eq!(bytes[21..23], [34, 21]);

    let nameless = Edid::new(&Monitor {
        name: "",
        serial: "",
        ..monitor
    })
    .unwrap();
    assert_eq!(
        (
            text(nameless.as_bytes(), 0xfc),
            text(nameless.as_bytes(), 0xff)
        ),
        (None, None)
    );
}

#[test]
fn a_size_that_the_fields_cannot_say_is_unknown_rather_than_wrong() {
    for (width_mm, height_mm) in [(9, 500), (500, 9), (2551, 500), (500, 2551), (0, 0)] {
        let size = Some(PhysicalSize {
            width_mm,
            height_mm,
        });
        let edid = Edid::new(&Monitor {
            size,
            ..Monitor::default()
        })
        .unwrap();
        assert_eq!(edid.as_bytes()[21..23], [0, 0]);
        assert_eq!(preferred(edid.as_bytes()).mm, (0, 0));
    }
    assert_eq!(PhysicalSize::at_dpi(65535, 1, 0).width_mm, u16::MAX);
}

#[test]
fn modes_that_cannot_be_are_refused_with_their_numbers() {
    let refuse = |width, height, refresh_hz| {
        Edid::new(&Monitor {
            width,
            height,
            refresh_hz,
            ..Monitor::default()
        })
        .unwrap_err()
    };
    assert_eq!(
        refuse(0, 480, 60),
        EdidError::NoPixels {
            width: 0,
            height: 480
        }
    );
    assert_eq!(
        refuse(640, 0, 60),
        EdidError::NoPixels {
            width: 640,
            height: 0
        }
    );
    assert_eq!(refuse(640, 480, 0), EdidError::BadRefresh { refresh_hz: 0 });
    assert_eq!(
        refuse(640, 480, MAX_REFRESH_HZ + 1),
        EdidError::BadRefresh {
            refresh_hz: MAX_REFRESH_HZ + 1
        }
    );
    assert_eq!(
        refuse(65535, 65535, 60),
        EdidError::TooLarge {
            width: 65535,
            height: 65535,
            refresh_hz: 60
        }
    );
    assert!(
        Edid::new(&Monitor {
            width: 65535,
            height: 65535,
            refresh_hz: 30,
            ..Monitor::default()
        })
        .is_ok()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_mode_reads_back_as_it_was_asked(
        width in prop_oneof![1u16..=5000, 1u16..=u16::MAX],
        height in prop_oneof![1u16..=5000, 1u16..=u16::MAX],
        refresh_hz in prop_oneof![Just(60u32), 1u32..=MAX_REFRESH_HZ],
        dpi in 1u16..400,
    ) {
        let size = Some(PhysicalSize::at_dpi(width, height, dpi));
        match Edid::new(&Monitor { width, height, refresh_hz, size, ..Monitor::default() }) {
            Ok(edid) => {
                let modes = preferred_modes(edid.as_bytes());
                let mode = preferred(edid.as_bytes());
                prop_assert_eq!((mode.width, mode.height), (width.into(), height.into()));
                // The clock is a whole number of 10 kHz steps, at least one: the rate is off by half a step at most.
                let step = 10_000.0 / (f64::from(mode.h_total) * f64::from(mode.v_total));
                prop_assert!((mode.refresh() - f64::from(refresh_hz)).abs() <= step.max(1e-6), "{:?}", mode);
                // An extension is there exactly when the base block cannot hold the mode.
                let fits = width < 4096 && height < 4096 && mode.v_total - mode.height < 4096 && mode.clock_khz <= 655_350;
                prop_assert_eq!(modes.len(), if fits { 1 } else { 2 });
            }
            Err(error) => {
                prop_assert_eq!(error, EdidError::TooLarge { width, height, refresh_hz });
                let pixels = u64::from(width) * u64::from(height) * u64::from(refresh_hz);
                prop_assert!(pixels * 3 > 160_000_000_000, "{} pixels/s fit DisplayID", pixels);
            }
        }
    }
}

/// Runs `edid-decode --check`: its verdict and its report; `None` if it is not installed.
fn edid_decode(edid: &[u8]) -> Option<(bool, String)> {
    let mut child = Command::new("edid-decode")
        .arg("--check")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    child.stdin.take().unwrap().write_all(edid).unwrap();
    let output = child.wait_with_output().unwrap();
    let report = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    Some((
        output.status.success() && report.contains("EDID conformity: PASS"),
        report,
    ))
}

/// Asserts that `edid-decode` passes the monitor's EDID and reads its mode; false if the tool is missing.
fn assert_conformant(monitor: &Monitor<'_>) -> bool {
    let edid = Edid::new(monitor).unwrap();
    let Some((passed, report)) = edid_decode(edid.as_bytes()) else {
        eprintln!(
            "edid-decode is not installed (Debian: apt-get install edid-decode): conformance was not checked"
        );
        return false;
    };
    let mode = format!("{}x{}", monitor.width, monitor.height);
    assert!(passed && report.contains(&mode), "{monitor:?}:\n{report}");
    true
}

#[test]
fn edid_decode_finds_common_modes_conformant() {
    let modes = [
        (640, 480),
        (1280, 800),
        (1366, 768),
        (1920, 1080),
        (3840, 2160),
        (5120, 2880),
        (7680, 4320),
    ];
    for (width, height) in modes {
        for serial in ["", "vm-7"] {
            let size = Some(PhysicalSize::at_dpi(width, height, 110));
            if !assert_conformant(&Monitor {
                width,
                height,
                size,
                serial,
                ..Monitor::default()
            }) {
                return;
            }
        }
    }
}

#[test]
fn edid_decode_finds_odd_modes_conformant() {
    let modes = (
        600u16..=9000,
        480u16..=9000,
        30u32..=240,
        proptest::option::of(50u16..300),
    );
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(64));
    if !assert_conformant(&Monitor::default()) {
        return;
    }
    runner
        .run(&modes, |(width, height, refresh_hz, dpi)| {
            let size = dpi.map(|dpi| PhysicalSize::at_dpi(width, height, dpi));
            assert_conformant(&Monitor {
                width,
                height,
                refresh_hz,
                size,
                ..Monitor::default()
            });
            Ok(())
        })
        .unwrap();
}
