// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The kernel command line.

use vm_memory::{Bytes, GuestAddress};

use super::BootError;
use crate::layout::{self, boot};
use crate::memory::GuestMemory;

/// The parameter by which kernels without ACPI find a virtio-mmio device: `virtio_mmio.device=4K@0xd0000000:5` (Linux
/// `drivers/virtio/virtio_mmio.c`).
#[must_use]
pub fn virtio_mmio_parameter(address: u64, gsi: u32) -> String {
    format!(
        "virtio_mmio.device={}K@{address:#x}:{gsi}",
        layout::VIRTIO_MMIO_SIZE / 1024
    )
}

/// A command line in the making.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandLine(String);

impl CommandLine {
    /// Starts with what the user wrote.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Adds a kernel parameter: at the end, or before the `--` behind which the words are init's.
    pub fn add(&mut self, parameter: &str) {
        let words: Vec<&str> = self.0.split(' ').collect();
        let place = words.iter().position(|word| *word == "--");
        self.0 = match place {
            Some(place) => [&words[..place], &[parameter], &words[place..]]
                .concat()
                .join(" "),
            None if self.0.is_empty() => parameter.to_owned(),
            None => format!("{} {parameter}", self.0),
        };
    }

    /// The text so far.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Writes the line with its terminating zero. `limit` is what the kernel takes, without the zero.
    pub(super) fn write(&self, memory: &GuestMemory, limit: usize) -> Result<(), BootError> {
        let limit = limit.min(boot::COMMAND_LINE_SIZE - 1);
        let length = self.0.len();
        if length > limit {
            return Err(BootError::CommandLineTooLong { length, limit });
        }
        if let Some(at) = self.0.find('\0') {
            return Err(BootError::CommandLineZero { at });
        }
        let mut bytes = self.0.clone().into_bytes();
        bytes.push(0);
        memory
            .write_slice(&bytes, GuestAddress(boot::COMMAND_LINE))
            .map_err(|source| BootError::Write {
                structure: "command line",
                source,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{self, MemorySize};

    #[test]
    fn given_a_window_then_the_parameter_is_in_linux_format() {
        assert_eq!(
            virtio_mmio_parameter(0xD000_0000, 5),
            "virtio_mmio.device=4K@0xd0000000:5"
        );
    }

    #[test]
    fn given_words_for_init_then_kernel_parameters_go_before_them() {
        let mut line = CommandLine::new("console=ttyS0 -- single --");
        line.add("a=1");
        line.add("b=2");
        assert_eq!(line.as_str(), "console=ttyS0 a=1 b=2 -- single --");
        let mut plain = CommandLine::new("quiet");
        plain.add("a=--");
        plain.add("b");
        assert_eq!(plain.as_str(), "quiet a=-- b");
        let mut empty = CommandLine::default();
        empty.add("a");
        assert_eq!(empty.as_str(), "a");
    }

    #[test]
    fn given_a_line_at_the_limit_then_it_is_written_with_its_zero_and_one_byte_more_is_refused() {
        let memory = memory::create(MemorySize::MIN).unwrap();
        memory
            .write_slice(&[0xFF; 4096], GuestAddress(boot::COMMAND_LINE))
            .unwrap();
        CommandLine::new("x".repeat(2047))
            .write(&memory, 5000)
            .unwrap();
        let mut bytes = [0; 2049];
        memory
            .read_slice(&mut bytes, GuestAddress(boot::COMMAND_LINE))
            .unwrap();
        assert_eq!((bytes[2046], bytes[2047], bytes[2048]), (b'x', 0, 0xFF));
        let error = CommandLine::new("x".repeat(2048))
            .write(&memory, 5000)
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "the kernel command line is 2048 bytes long, and this kernel takes at most 2047: shorten it"
        );
        assert!(
            CommandLine::new("x".repeat(256))
                .write(&memory, 255)
                .is_err()
        );
    }

    #[test]
    fn given_a_zero_in_the_line_then_it_is_refused() {
        let memory = memory::create(MemorySize::MIN).unwrap();
        let error = CommandLine::new("a\0b").write(&memory, 100).unwrap_err();
        assert!(matches!(error, BootError::CommandLineZero { at: 1 }));
    }
}
