// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Guests boot and draw; the screenshot at the end is compared with the picture that the guest drew last, to the pixel.

use rondo_guest::pattern;
use rondo_tests::picture::Picture;
use tempfile::tempdir;

use crate::{assert_went_well, machine_time, run_guest};

/// What a screen of this size shows after so many frames of the test pattern.
fn expected(width: u32, height: u32, frames: u64) -> Picture {
    let at = |value: usize| u32::try_from(value).unwrap();
    Picture::from_fn(width as usize, height as usize, |x, y| {
        pattern::pixel(width, height, at(x), at(y), frames - 1)
    })
}

/// Draws the test pattern with these words on the command line and checks the screenshot at the end.
#[track_caller]
fn draws(words: &str, (width, height): (u32, u32), frames: u64, flags: &[&str]) {
    let _machine = machine_time::together();
    let place = tempdir().unwrap();
    let gpu = format!("width={width},height={height}");
    let mut all = vec!["--gpu", &gpu, "--screenshot", "end.png"];
    all.extend_from_slice(flags);
    let ended = run_guest(
        place.path(),
        &format!("pattern=test frames={frames} {words}"),
        &all,
    );
    assert_went_well(&ended);
    let screenshot = Picture::read_png(&place.path().join("end.png")).unwrap();
    screenshot
        .must_equal(&expected(width, height, frames))
        .unwrap();
}

#[test]
fn given_full_frames_when_the_guest_ends_then_the_screenshot_is_the_last_one() {
    draws("damage=full", (1280, 800), 30, &[]);
}

#[test]
fn given_partial_damage_when_the_guest_ends_then_every_update_is_in_the_screenshot() {
    draws("damage=partial", (1280, 800), 150, &[]);
}

#[test]
fn given_a_size_that_nothing_divides_when_it_draws_then_no_stride_is_wrong() {
    draws("damage=full", (641, 479), 20, &[]);
    draws("damage=partial", (641, 479), 100, &[]);
}

#[test]
fn given_backing_in_pages_out_of_order_when_it_draws_then_each_page_is_found() {
    draws("backing=scattered damage=partial", (641, 479), 100, &[]);
}

#[test]
fn given_a_guest_blob_when_it_draws_without_transfers_then_the_screenshot_is_its_memory() {
    draws("blob=1 damage=full", (1280, 800), 30, &[]);
    draws(
        "blob=1 backing=scattered damage=partial",
        (641, 479),
        100,
        &[],
    );
}

#[test]
fn given_long_batches_and_a_deep_queue_when_it_draws_then_frames_stay_in_order() {
    draws("batch=64 depth=64 damage=partial", (640, 480), 300, &[]);
}

#[test]
fn given_no_indirect_descriptors_or_event_index_or_both_when_it_draws_then_it_is_the_same_picture()
{
    draws("indirect=0 event_idx=0", (640, 480), 20, &[]);
    draws("indirect=0 event_idx=1", (640, 480), 20, &[]);
    draws("indirect=1 event_idx=1", (640, 480), 20, &[]);
}

#[test]
fn given_one_to_four_processors_when_they_start_then_each_answers_and_the_picture_is_right() {
    for cpus in ["1", "2", "3", "4"] {
        draws(&format!("cpus={cpus}"), (640, 480), 10, &["--cpus", cpus]);
    }
}

#[test]
fn given_a_device_reset_again_and_again_when_probed_anew_then_it_draws_as_on_the_first_day() {
    draws("mode=reset resets=7", (640, 480), 12, &[]);
}

#[test]
fn given_the_smallest_memory_when_the_guest_boots_then_it_draws() {
    draws("", (640, 480), 5, &["--memory", "32M"]);
}

#[test]
fn given_a_probe_when_the_guest_looks_then_it_finds_the_display_that_was_asked_for() {
    let _machine = machine_time::together();
    let place = tempdir().unwrap();
    let ended = run_guest(
        place.path(),
        "mode=probe",
        &["--gpu", "width=1440,height=900,scanouts=2"],
    );
    assert_went_well(&ended);
    assert!(
        ended.stdout.contains("scanouts=2 capsets=0"),
        "the guest said: {}",
        ended.stdout
    );
    assert!(
        ended.stdout.contains("width=1440 height=900"),
        "the guest said: {}",
        ended.stdout
    );
}

#[test]
fn given_a_report_when_the_guest_has_drawn_so_many_frames_then_it_says_so() {
    let _machine = machine_time::together();
    let place = tempdir().unwrap();
    let ended = run_guest(
        place.path(),
        "frames=25",
        &["--name", "painter", "--json", "report.json"],
    );
    assert_went_well(&ended);
    let text = std::fs::read_to_string(place.path().join("report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    let vm = &report["vms"][0];
    assert_eq!(report["policy"], "guaranteed");
    assert_eq!(vm["name"], "painter");
    assert_eq!(vm["frames"], 25);
    assert_eq!(vm["guarantee_ppm"], 1_000_000);
    assert_eq!(
        vm["share_ppm"], 1_000_000,
        "a VM alone uses all that is used"
    );
    assert!(vm["start_to_first_frame_ns"].as_u64() > Some(0));
    assert!(vm["longest_unit_ns"].as_u64() > Some(0));
    assert!(vm["guid"].as_str().is_some_and(|guid| guid.len() >= 32));
}
