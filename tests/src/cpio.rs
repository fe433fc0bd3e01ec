// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Archives the Linux kernel unpacks as its initial root: the "newc" form of cpio.
//!
//! Source: `Documentation/driver-api/early-userspace/buffer-format.rst` of Linux. Each member is a header of
//! fourteen numbers as eight hexadecimal digits, the name with its NUL, and the data, the last two padded to four bytes.

/// File type and permission bits of a directory.
const DIRECTORY: u32 = 0o040_755;
/// File type bits of a regular file.
const REGULAR: u32 = 0o100_000;
/// File type and permission bits of a symbolic link.
const LINK: u32 = 0o120_777;
/// File type and permission bits of a character device.
const CHARACTER_DEVICE: u32 = 0o020_600;

/// An archive under construction. Members keep the order in which they were added, so directories come before their contents.
#[derive(Debug, Default)]
pub struct Archive {
    bytes: Vec<u8>,
    members: u32,
}

impl Archive {
    /// An archive with nothing in it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the directory `path` (no leading slash), mode 0755.
    pub fn directory(&mut self, path: &str) {
        self.member(path, DIRECTORY, (0, 0), &[]);
    }

    /// Adds the file `path` with `contents` and the permission bits `mode`.
    pub fn file(&mut self, path: &str, mode: u32, contents: &[u8]) {
        self.member(path, REGULAR | (mode & 0o7777), (0, 0), contents);
    }

    /// Adds a symbolic link `path` to `target`.
    pub fn link(&mut self, path: &str, target: &str) {
        self.member(path, LINK, (0, 0), target.as_bytes());
    }

    /// Adds the character device `path`, as `mknod path c major minor` would.
    pub fn character_device(&mut self, path: &str, major: u32, minor: u32) {
        self.member(path, CHARACTER_DEVICE, (major, minor), &[]);
    }

    /// The finished archive, with its trailer.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.member("TRAILER!!!", 0, (0, 0), &[]);
        self.bytes
    }

    fn member(&mut self, path: &str, mode: u32, device: (u32, u32), contents: &[u8]) {
        self.members += 1;
        let size =
            |bytes: usize| u32::try_from(bytes).expect("a member of an initramfs is under 4 GiB");
        let fields = [
            self.members,
            mode,
            0,
            0,
            1,
            0,
            size(contents.len()),
            0,
            0,
            device.0,
            device.1,
            size(path.len() + 1),
            0,
        ];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes
                .extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(contents);
        self.pad();
    }

    fn pad(&mut self) {
        let padded = self.bytes.len().next_multiple_of(4);
        self.bytes.resize(padded, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::Archive;

    #[test]
    fn given_a_member_when_written_then_header_name_and_data_are_where_the_kernel_looks() {
        let mut archive = Archive::new();
        archive.file("init", 0o755, b"hello");
        let bytes = archive.finish();
        assert_eq!(&bytes[..6], b"070701");
        assert_eq!(
            &bytes[14..22],
            b"000081ed",
            "mode of a regular file with 0755"
        );
        assert_eq!(&bytes[54..62], b"00000005", "size of the data");
        assert_eq!(
            &bytes[94..102],
            b"00000005",
            "size of the name with its NUL"
        );
        assert_eq!(&bytes[110..115], b"init\0");
        assert_eq!(
            &bytes[116..121],
            b"hello",
            "data starts at a multiple of four"
        );
        assert_eq!(
            &bytes[124..130],
            b"070701",
            "the trailer starts at a multiple of four"
        );
        assert!(bytes.windows(11).any(|window| window == b"TRAILER!!!\0"));
        assert_eq!(bytes.len() % 4, 0);
    }
}
