// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! From the keyboard to the guest's serial port: keys pass as they are, but for one that leaves `rondo`.
//!
//! In raw mode even Ctrl-C belongs to the guest. Ctrl-A is therefore an escape, as in QEMU: Ctrl-A x ends `rondo`, Ctrl-A
//! Ctrl-A is one Ctrl-A for the guest, and Ctrl-A before any other key passes both.

const ESCAPE: u8 = 0x01;

/// What is kept between reads of the keyboard: at most one chunk that the serial port had no room for.
#[derive(Debug, Default)]
pub struct Keyboard {
    escaped: bool,
    waiting: Vec<u8>,
}

/// What a chunk of keys asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// All are for the guest.
    ForGuest,
    /// The user wants to leave; what came before is for the guest.
    Leave,
}

impl Keyboard {
    /// Takes what was read from the keyboard.
    pub fn typed(&mut self, bytes: &[u8]) -> Keys {
        for &byte in bytes {
            match (std::mem::take(&mut self.escaped), byte) {
                (true, b'x' | b'X') => return Keys::Leave,
                (true, ESCAPE) => self.waiting.push(ESCAPE),
                (true, other) => self.waiting.extend([ESCAPE, other]),
                (false, ESCAPE) => self.escaped = true,
                (false, other) => self.waiting.push(other),
            }
        }
        Keys::ForGuest
    }

    /// What the guest has not taken yet.
    #[must_use]
    pub fn waiting(&self) -> &[u8] {
        &self.waiting
    }

    /// The guest took the first `count` bytes.
    pub fn taken(&mut self, count: usize) {
        self.waiting.drain(..count.min(self.waiting.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_reach_the_guest_as_they_are() {
        let mut keyboard = Keyboard::default();
        assert_eq!(keyboard.typed(b"ls\r\x03"), Keys::ForGuest);
        assert_eq!(keyboard.waiting(), b"ls\r\x03");
        keyboard.taken(3);
        assert_eq!(keyboard.waiting(), b"\x03");
    }

    #[test]
    fn ctrl_a_x_leaves_even_when_it_comes_in_two_reads() {
        let mut keyboard = Keyboard::default();
        assert_eq!(keyboard.typed(b"a\x01"), Keys::ForGuest);
        assert_eq!(keyboard.typed(b"xb"), Keys::Leave);
        assert_eq!(keyboard.waiting(), b"a");
    }

    #[test]
    fn ctrl_a_twice_is_one_and_before_another_key_both_pass() {
        let mut keyboard = Keyboard::default();
        assert_eq!(keyboard.typed(b"\x01\x01\x01b"), Keys::ForGuest);
        assert_eq!(keyboard.waiting(), b"\x01\x01b");
    }
}
