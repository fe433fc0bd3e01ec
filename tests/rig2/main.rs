// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Rig 2: stock Debian kernels boot under `rondo run` and find a GPU that they can trust.
//!
//! The guests run once, all in one emulated machine where the processor here does not virtualise; each test judges one promise.

use std::sync::OnceLock;

use rondo_tests::lab::{Kernel, Lab};
use rondo_tests::linux_jobs::{Job, Outcome, Share};
use rondo_tests::picture::Picture;
use rondo_tests::{console_text, rondo, smpte};

/// Not the size that the driver assumes before it has asked (1024x768), and no multiple of seven, so that the colour bars show their rounding.
const DISPLAY: (usize, usize) = (1280, 800);
/// What the `full` job does, one step after the other.
const STEPS: &str = "probe,console,fb,modetest,rebind,resize";

static SHARE: OnceLock<Result<Share, String>> = OnceLock::new();

fn jobs() -> Vec<Job> {
    let job = |kernel: Kernel, cpus, steps| Job {
        name: job_name(kernel, cpus),
        kernel,
        cpus,
        steps,
        display: DISPLAY,
    };
    Kernel::ALL
        .into_iter()
        .flat_map(|kernel| {
            [
                job(kernel, 2, STEPS),
                job(kernel, 1, "probe"),
                job(kernel, 3, "probe"),
                job(kernel, 4, "probe"),
            ]
        })
        .collect()
}

fn job_name(kernel: Kernel, cpus: u32) -> String {
    format!("{}-{cpus}-cpus", kernel.series())
}

/// What came out of the guest with this kernel and so many processors; the first call runs all guests.
fn outcome(kernel: Kernel, cpus: u32) -> Outcome {
    let share = SHARE.get_or_init(|| {
        let lab = Lab::of_workspace();
        let jobs = jobs();
        let ran = Share::lay_out(&lab, &jobs, &picture()).and_then(|share| {
            share.run(&lab, &rondo::binary()?, jobs.len())?;
            Ok(share)
        });
        ran.map_err(|error| format!("{error:#}"))
    });
    match share {
        Ok(share) => share.outcome(&job_name(kernel, cpus)),
        Err(reason) => panic!("the guests could not run: {reason}"),
    }
}

fn full(kernel: Kernel) -> Outcome {
    outcome(kernel, 2)
}

/// A picture in which every row, column and channel differs from its neighbours.
fn picture() -> Picture {
    Picture::from_fn(DISPLAY.0, DISPLAY.1, |x, y| {
        let at = u32::try_from(y * DISPLAY.0 + x).expect("the display is small");
        at.wrapping_mul(0x9e37_79b1) >> 8
    })
}

fn boots_and_powers_off(kernel: Kernel, cpus: u32) {
    let outcome = outcome(kernel, cpus);
    let place = outcome.folder().display();
    assert!(
        outcome.guest.done,
        "the guest did not get to its end; rondo said: {} (see {place})",
        outcome.rondo_log
    );
    assert_eq!(
        outcome.exit, "0",
        "rondo's exit code after the guest powered off; it said: {}",
        outcome.rondo_log
    );
    assert_eq!(outcome.guest.fact("cpus"), cpus.to_string());
    assert!(
        outcome.guest.fact("kernel").starts_with(kernel.series()),
        "booted {}",
        outcome.guest.fact("kernel")
    );
    assert!(
        outcome.guest.failures.is_empty(),
        "the guest complained: {:?} (see {place})",
        outcome.guest.failures
    );
    assert!(
        outcome.guest.complaints().is_empty(),
        "its kernel complained: {:#?}",
        outcome.guest.complaints()
    );
}

fn binds_the_driver(kernel: Kernel) {
    let guest = full(kernel).guest;
    assert_eq!(
        guest.fact("devices"),
        "1",
        "devices that virtio_gpu is bound to"
    );
    assert_eq!(guest.fact("status"), "connected");
    assert_eq!(guest.fact("mode"), format!("{}x{}", DISPLAY.0, DISPLAY.1));
    assert!(
        guest
            .fact("edid")
            .parse::<u32>()
            .is_ok_and(|size| size >= 128),
        "EDID of {} bytes",
        guest.fact("edid")
    );
}

fn shows_the_console(kernel: Kernel) {
    let screenshot = full(kernel).screenshot("console").unwrap();
    assert_eq!(
        console_text::find_rondo(&screenshot),
        [(2, 1)],
        "where the word RONDO stands on the console"
    );
}

fn shows_the_frame_buffer(kernel: Kernel) {
    let outcome = full(kernel);
    assert_eq!(
        outcome.guest.fact("fb0.stride"),
        (DISPLAY.0 * 4).to_string()
    );
    outcome
        .screenshot("fb")
        .and_then(|screenshot| screenshot.must_equal(&picture()))
        .unwrap();
}

fn shows_the_colour_bars(kernel: Kernel, screenshot: &str) {
    let bars = smpte::bars(DISPLAY.0, DISPLAY.1);
    full(kernel)
        .screenshot(screenshot)
        .and_then(|screenshot| screenshot.must_equal(&bars))
        .unwrap();
}

fn hears_of_the_resize(kernel: Kernel) {
    assert_eq!(full(kernel).guest.fact("resized.mode"), "1024x600");
}

/// The promises, each a test for each kernel.
macro_rules! promises {
    ($module:ident, $kernel:expr) => {
        mod $module {
            use rondo_tests::lab::Kernel;

            const KERNEL: Kernel = $kernel;

            #[test]
            fn given_one_processor_when_it_boots_then_it_probes_in_peace_and_power_off_ends_rondo_with_0() {
                super::boots_and_powers_off(KERNEL, 1);
            }

            #[test]
            fn given_two_processors_when_it_does_everything_then_its_log_is_clean_and_power_off_ends_rondo_with_0() {
                super::boots_and_powers_off(KERNEL, 2);
            }

            #[test]
            fn given_three_processors_when_it_boots_then_it_probes_in_peace_and_power_off_ends_rondo_with_0() {
                super::boots_and_powers_off(KERNEL, 3);
            }

            #[test]
            fn given_four_processors_when_it_boots_then_it_probes_in_peace_and_power_off_ends_rondo_with_0() {
                super::boots_and_powers_off(KERNEL, 4);
            }

            #[test]
            fn given_the_gpu_when_the_driver_binds_then_card0_is_connected_with_its_edid_and_its_mode() {
                super::binds_the_driver(KERNEL);
            }

            #[test]
            fn given_text_on_the_console_when_screenshot_then_it_can_be_read() {
                super::shows_the_console(KERNEL);
            }

            #[test]
            fn given_a_picture_in_the_frame_buffer_when_screenshot_then_every_pixel_is_the_same() {
                super::shows_the_frame_buffer(KERNEL);
            }

            #[test]
            fn given_modetest_when_screenshot_then_every_pixel_of_the_colour_bars_is_right() {
                super::shows_the_colour_bars(KERNEL, "modetest");
            }

            #[test]
            fn given_the_driver_rebound_three_times_when_it_draws_again_then_every_pixel_is_right() {
                super::shows_the_colour_bars(KERNEL, "rebound");
            }

            #[test]
            fn given_a_resize_by_the_host_when_nobody_probes_then_the_guest_hears_of_it() {
                super::hears_of_the_resize(KERNEL);
            }
        }
    };
}

promises!(debian_6_1, Kernel::Debian6_1);
promises!(debian_6_12, Kernel::Debian6_12);
