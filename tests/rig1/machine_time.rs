// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Who may use the processors: tests that measure shares run alone, the others beside each other.
//!
//! The lock is a file, so that it holds between test processes too.

use std::fs::{self, File};

use rondo_tests::lab::Lab;

fn lock_file() -> File {
    let lab = Lab::of_workspace();
    fs::create_dir_all(lab.folder()).unwrap();
    File::create(lab.folder().join("machine-time.lock")).unwrap()
}

/// The machine for this test alone, until the value is dropped.
#[must_use]
pub fn alone() -> File {
    let file = lock_file();
    file.lock().unwrap();
    file
}

/// The machine together with other tests that do not mind.
#[must_use]
pub fn together() -> File {
    let file = lock_file();
    file.lock_shared().unwrap();
    file
}
