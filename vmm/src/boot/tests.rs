// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Wrong files: each gives the one sentence that helps, and nothing is written outside the guest's memory.

use std::borrow::Cow;
use std::path::PathBuf;

use super::*;
use crate::memory;

/// A minimal ELF image: one segment of `code` at `address` that takes `memory_size` bytes.
fn elf(address: u64, code: &[u8], memory_size: u64) -> Vec<u8> {
    let mut image = Vec::new();
    image.extend(b"\x7FELF\x02\x01\x01");
    image.resize(16, 0);
    image.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    image.extend(address.to_le_bytes());
    image.extend(64_u64.to_le_bytes());
    image.extend([0; 12]);
    for half in [64_u16, 56, 1, 64, 0, 0] {
        image.extend(half.to_le_bytes());
    }
    image.extend(1_u32.to_le_bytes());
    image.extend(7_u32.to_le_bytes());
    for field in [120, address, address, code.len() as u64, memory_size, 4] {
        image.extend(field.to_le_bytes());
    }
    image.extend(code);
    image
}

/// A bzImage whose kernel unpacks to `pref_address` and needs `init_size` bytes there.
fn bzimage(version: u16, flags: u16, pref_address: u64, init_size: u32) -> Vec<u8> {
    let mut image = vec![0; 0x800];
    let mut put =
        |offset: usize, bytes: &[u8]| image[offset..offset + bytes.len()].copy_from_slice(bytes);
    put(0x1F1, &[1]);
    put(0x1FE, &[0x55, 0xAA, 0xEB, 0x6A]);
    put(0x202, b"HdrS");
    put(0x206, &version.to_le_bytes());
    put(0x211, &[1]);
    put(0x214, &0x10_0000_u32.to_le_bytes());
    put(0x22C, &0x7FFF_FFFF_u32.to_le_bytes());
    put(0x230, &0x20_0000_u32.to_le_bytes());
    put(0x236, &flags.to_le_bytes());
    put(0x238, &255_u32.to_le_bytes());
    put(0x258, &pref_address.to_le_bytes());
    put(0x260, &init_size.to_le_bytes());
    image
}

fn good_bzimage() -> Vec<u8> {
    bzimage(0x20F, 1, 0x100_0000, 0x40_0000)
}

struct Attempt {
    kernel: KernelSource,
    initrd: Option<PathBuf>,
    command_line: String,
}

impl Attempt {
    fn embedded(bytes: Vec<u8>) -> Self {
        let kernel = KernelSource::Embedded {
            name: "vmlinux".into(),
            bytes: Cow::Owned(bytes),
        };
        Self {
            kernel,
            initrd: None,
            command_line: String::new(),
        }
    }

    fn load(&self) -> Result<EntryState, BootError> {
        let memory_size = MemorySize::MIN;
        let memory = memory::create(memory_size).unwrap();
        let config = BootConfig {
            kernel: &self.kernel,
            initrd: self.initrd.as_deref(),
            command_line: &CommandLine::new(&*self.command_line),
            memory_size,
            rsdp: layout::ACPI_START,
        };
        load(&config, &memory)
    }

    fn sentence(&self) -> String {
        self.load().unwrap_err().to_string()
    }
}

fn refusal(bytes: Vec<u8>) -> String {
    Attempt::embedded(bytes).sentence()
}

#[test]
fn given_good_images_then_they_load() {
    let elf = Attempt::embedded(elf(0x10_0000, &[0xF4], 1))
        .load()
        .unwrap();
    assert_eq!(elf, EntryState::Linux64 { entry: 0x10_0000 });
    let bzimage = Attempt::embedded(good_bzimage()).load().unwrap();
    assert_eq!(bzimage, EntryState::Linux64 { entry: 0x10_0200 });
}

#[test]
fn given_a_kernel_that_is_missing_or_a_directory_then_the_path_is_named() {
    let mut attempt = Attempt::embedded(Vec::new());
    attempt.kernel = KernelSource::File("/nonexistent/vmlinuz".into());
    let sentence = attempt.sentence();
    assert!(
        sentence.starts_with("cannot open the kernel /nonexistent/vmlinuz: No such file"),
        "{sentence}"
    );
    attempt.kernel = KernelSource::File("/proc".into());
    assert_eq!(
        attempt.sentence(),
        "cannot open the kernel /proc: not a regular file; check the path and its permissions"
    );
}

#[test]
fn given_an_empty_or_foreign_file_then_the_sentence_says_what_it_is() {
    assert_eq!(
        refusal(Vec::new()),
        "the kernel vmlinux is empty: give a vmlinux (ELF) or a bzImage"
    );
    assert_eq!(
        refusal(b"#!/bin/sh\n".to_vec()),
        "vmlinux is not a kernel but a script: give a vmlinux (ELF) or a bzImage for x86-64"
    );
}

#[test]
fn given_an_image_cut_anywhere_then_it_is_refused_and_never_panics() {
    for image in [elf(0x10_0000, &[0x90; 64], 64), good_bzimage()] {
        let needed = if image.starts_with(b"\x7FELF") {
            image.len()
        } else {
            0x401
        };
        for length in 0..needed {
            assert!(
                Attempt::embedded(image[..length].to_vec()).load().is_err(),
                "cut at {length}"
            );
        }
    }
}

#[test]
fn given_segments_at_impossible_places_then_they_are_refused_before_anything_is_loaded() {
    assert_eq!(
        refusal(elf(0x8000, &[0x90], 1)),
        "the kernel vmlinux wants to be loaded at 0x8000, below 1 MiB: link it higher"
    );
    assert_eq!(
        refusal(elf(0xD000_0000, &[0x90], 1)),
        "the kernel vmlinux wants memory up to 0xd0000001, which is above 3 GiB: link it lower"
    );
    assert!(refusal(elf(u64::MAX, &[0x90], 1)).contains("leaves the address space"));
    assert!(
        refusal(elf(0x10_0000, &[0x90; 8], 4)).contains("more bytes in the file than in memory")
    );
}

#[test]
fn given_a_kernel_larger_than_the_memory_then_the_sentence_says_how_much_it_needs() {
    assert_eq!(
        refusal(elf(0x10_0000, &[0x90], 0x300_0000)),
        "memory = 32 MiB is too small for the kernel vmlinux: give the VM more than 49 MiB"
    );
    assert_eq!(
        refusal(bzimage(0x20F, 1, 0x100_0000, 0x2AB_0000)),
        "memory = 32 MiB is too small for the kernel vmlinux: give the VM more than 59 MiB"
    );
}

#[test]
fn given_a_bzimage_without_a_64_bit_entry_then_its_protocol_is_named() {
    let sentence = "the kernel vmlinux cannot be entered in 64-bit mode";
    assert!(
        refusal(bzimage(0x20A, 1, 0x100_0000, 1))
            .starts_with(&format!("{sentence} (boot protocol 2.10)"))
    );
    assert!(
        refusal(bzimage(0x20F, 0, 0x100_0000, 1))
            .starts_with(&format!("{sentence} (boot protocol 2.15)"))
    );
}

#[test]
fn given_a_bzimage_that_takes_a_short_command_line_then_its_own_limit_counts() {
    let mut attempt = Attempt::embedded(good_bzimage());
    attempt.command_line = "x".repeat(255);
    attempt.load().unwrap();
    attempt.command_line.push('x');
    assert_eq!(
        attempt.sentence(),
        "the kernel command line is 256 bytes long, and this kernel takes at most 255: shorten it"
    );
}

#[test]
fn given_an_initrd_that_is_missing_empty_or_too_large_then_the_path_is_named() {
    let mut attempt = Attempt::embedded(good_bzimage());
    attempt.initrd = Some("/nonexistent/initrd".into());
    assert!(
        attempt
            .sentence()
            .starts_with("cannot open the initrd /nonexistent/initrd: No such file")
    );

    let initrd = tempfile::NamedTempFile::new().unwrap();
    let path = initrd.path().display().to_string();
    attempt.initrd = Some(initrd.path().to_owned());
    assert_eq!(
        attempt.sentence(),
        format!("the initrd {path} is empty: give a cpio archive or leave the initrd out")
    );

    // The kernel needs 16 to 20 MiB, so 12 MiB are left.
    initrd.as_file().set_len(12 << 20).unwrap();
    attempt.load().unwrap();
    initrd.as_file().set_len((12 << 20) + 1).unwrap();
    assert_eq!(
        attempt.sentence(),
        format!(
            "the initrd {path} (12582913 bytes) does not fit: the VM's 32 MiB leave 12582912 bytes beside the kernel; \
             give the VM more memory or shrink the initrd"
        )
    );
}
