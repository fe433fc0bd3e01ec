// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! A kernel image: where it comes from, and what kind of file it is.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::PathBuf;

use vm_memory::bitmap::BitmapSlice;
use vm_memory::{ReadVolatile, VolatileMemoryError, VolatileSlice};

use super::BootError;

/// Where a kernel comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum KernelSource {
    /// A file of the host.
    File(PathBuf),
    /// A program inside this one: a bare-metal guest.
    Embedded {
        /// For messages.
        name: String,
        /// The image.
        bytes: Cow<'static, [u8]>,
    },
}

impl fmt::Debug for KernelSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Embedded { name, bytes } => {
                write!(f, "Embedded({name:?}, {} bytes)", bytes.len())
            }
        }
    }
}

/// The formats that can be booted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Elf,
    BzImage,
}

#[derive(Debug)]
enum Bytes<'a> {
    File(File),
    Memory(Cursor<&'a [u8]>),
}

/// An open image.
#[derive(Debug)]
pub(super) struct Image<'a> {
    name: String,
    bytes: Bytes<'a>,
    size: u64,
}

/// Bytes at the start of an image that tell its format: they reach to the end of a bzImage's setup header.
const HEAD: usize = 0x280;

impl<'a> Image<'a> {
    pub fn open(source: &'a KernelSource) -> Result<Self, BootError> {
        match source {
            KernelSource::File(path) => {
                let name = path.display().to_string();
                let opened = File::open(path).and_then(|file| {
                    let metadata = file.metadata()?;
                    if metadata.is_file() {
                        Ok((file, metadata.len()))
                    } else {
                        Err(io::Error::other("not a regular file"))
                    }
                });
                let (file, size) = opened.map_err(|source| BootError::OpenKernel {
                    kernel: name.clone(),
                    source,
                })?;
                Ok(Self {
                    name,
                    bytes: Bytes::File(file),
                    size,
                })
            }
            KernelSource::Embedded { name, bytes } => Ok(Self {
                name: name.clone(),
                size: bytes.len() as u64,
                bytes: Bytes::Memory(Cursor::new(bytes)),
            }),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    pub fn damaged(&self, defect: &'static str) -> BootError {
        BootError::DamagedKernel {
            kernel: self.name.clone(),
            defect,
        }
    }

    /// Reads `length` bytes at `offset`. `defect` is what is wrong with the file when it has fewer.
    pub fn read_at(
        &mut self,
        offset: u64,
        length: usize,
        defect: &'static str,
    ) -> Result<Vec<u8>, BootError> {
        let end = offset.checked_add(length as u64);
        if end.is_none_or(|end| end > self.size) {
            return Err(self.damaged(defect));
        }
        let mut bytes = vec![0; length];
        self.seek(SeekFrom::Start(offset))
            .and_then(|_| self.read_exact(&mut bytes))
            .map_err(|source| BootError::ReadKernel {
                kernel: self.name.clone(),
                source,
            })?;
        Ok(bytes)
    }

    /// Recognises the image by its first bytes.
    pub fn format(&mut self) -> Result<Format, BootError> {
        if self.size == 0 {
            return Err(BootError::EmptyKernel {
                kernel: self.name.clone(),
            });
        }
        let length = usize::try_from(self.size.min(HEAD as u64)).unwrap_or(HEAD);
        let head = self.read_at(0, length, "it ends within its header")?;
        recognise(&head).map_err(|found| BootError::NotAKernel {
            kernel: self.name.clone(),
            found,
        })
    }
}

fn recognise(head: &[u8]) -> Result<Format, &'static str> {
    let at = |offset: usize, magic: &[u8]| {
        head.get(offset..)
            .is_some_and(|rest| rest.starts_with(magic))
    };
    const ELF64_LITTLE_ENDIAN: &[u8] = &[2, 1];
    const MACHINE_X86_64: &[u8] = &[62, 0];
    if at(0, b"\x7FELF") {
        return match (at(4, ELF64_LITTLE_ENDIAN), at(18, MACHINE_X86_64)) {
            (true, true) => Ok(Format::Elf),
            (true, false) => Err("an ELF program for another processor"),
            (false, _) => Err("an ELF program that is not 64-bit little-endian"),
        };
    }
    if at(0x202, b"HdrS") && at(0x1FE, &[0x55, 0xAA]) {
        return Ok(Format::BzImage);
    }
    Err(match () {
        () if at(0x38, b"ARM\x64") => "a kernel for 64-bit ARM",
        () if at(0x30, b"RISCV") => "a kernel for RISC-V",
        () if at(0, &[0x1F, 0x8B]) => "a gzip file",
        () if at(0, &[0x28, 0xB5, 0x2F, 0xFD]) => "a zstd file",
        () if at(0, b"\xFD7zXZ\0") => "an xz file",
        () if at(0, b"BZh") => "a bzip2 file",
        () if at(0, b"070701") || at(0, b"070702") => "a cpio archive (an initrd?)",
        () if at(0, b"MZ") => "a Windows or EFI program",
        () if at(0, b"#!") => "a script",
        () => "an unknown kind of file",
    })
}

impl Read for Image<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.bytes {
            Bytes::File(file) => file.read(buffer),
            Bytes::Memory(cursor) => cursor.read(buffer),
        }
    }
}

impl Seek for Image<'_> {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        match &mut self.bytes {
            Bytes::File(file) => file.seek(position),
            Bytes::Memory(cursor) => cursor.seek(position),
        }
    }
}

impl ReadVolatile for Image<'_> {
    fn read_volatile<B: BitmapSlice>(
        &mut self,
        buffer: &mut VolatileSlice<'_, B>,
    ) -> Result<usize, VolatileMemoryError> {
        match &mut self.bytes {
            Bytes::File(file) => file.read_volatile(buffer),
            Bytes::Memory(cursor) => cursor.read_volatile(buffer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_the_first_bytes_of_files_that_people_mistake_for_kernels_then_each_is_named() {
        let with = |offset: usize, magic: &[u8]| {
            let mut head = vec![0; HEAD];
            head[offset..offset + magic.len()].copy_from_slice(magic);
            recognise(&head)
        };
        assert_eq!(with(0, &[0x1F, 0x8B]), Err("a gzip file"));
        assert_eq!(with(0, b"070701"), Err("a cpio archive (an initrd?)"));
        assert_eq!(with(0x38, b"ARM\x64"), Err("a kernel for 64-bit ARM"));
        assert_eq!(with(0, b"MZ"), Err("a Windows or EFI program"));
        assert_eq!(
            with(0, b"\x7FELF\x01\x01"),
            Err("an ELF program that is not 64-bit little-endian")
        );
        assert_eq!(
            with(0, b"\x7FELF\x02\x01"),
            Err("an ELF program for another processor")
        );
        assert_eq!(with(5, b"x"), Err("an unknown kind of file"));
        assert_eq!(recognise(b"x"), Err("an unknown kind of file"));
    }
}
