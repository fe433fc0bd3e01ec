// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Protocol buffers, as much as a trace needs: a message is its fields, appended one after the other.
//!
//! Encoding: protobuf.dev/programming-guides/encoding. Each field is its number and wire type, then its value.

/// Wire types.
const VARINT: u32 = 0;
const I64: u32 = 1;
const LEN: u32 = 2;

/// The encoded fields of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message(Vec<u8>);

impl Message {
    /// What was appended so far.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Forgets all fields, keeps the room.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// An unsigned number, a truth value or an enumeration's number.
    pub fn uint(&mut self, field: u32, value: u64) {
        self.tag(field, VARINT);
        self.varint(value);
    }

    /// A signed number (`int64`: two's complement).
    pub fn int(&mut self, field: u32, value: i64) {
        self.uint(field, value.cast_unsigned());
    }

    /// A floating-point number.
    pub fn double(&mut self, field: u32, value: f64) {
        self.tag(field, I64);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// A text.
    pub fn string(&mut self, field: u32, text: &str) {
        self.tag(field, LEN);
        self.varint(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    /// A message in the message.
    pub fn message(&mut self, field: u32, fill: impl FnOnce(&mut Self)) {
        self.tag(field, LEN);
        let start = self.0.len();
        fill(self);
        // Its length stands before it; messages here are short, so little is moved.
        let length = (self.0.len() - start) as u64;
        let end = self.0.len();
        self.varint(length);
        let prefix = self.0.len() - end;
        if let Some(tail) = self.0.get_mut(start..) {
            tail.rotate_right(prefix);
        }
    }

    fn tag(&mut self, field: u32, wire: u32) {
        self.varint(u64::from(field << 3 | wire));
    }

    fn varint(&mut self, mut value: u64) {
        loop {
            // Seven bits.
            let low = (value & 0x7f) as u8;
            value >>= 7;
            if value == 0 {
                self.0.push(low);
                return;
            }
            self.0.push(low | 0x80);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_encoded_as_the_guide_says() {
        let mut message = Message::default();
        message.uint(1, 150);
        assert_eq!(message.bytes(), [0x08, 0x96, 0x01]);
        message.clear();
        message.uint(1, u64::MAX);
        assert_eq!(message.bytes().len(), 11);
        message.clear();
        message.int(2, -2);
        assert_eq!(
            message.bytes(),
            [
                0x10, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01
            ]
        );
        message.clear();
        message.double(44, 1.0);
        assert_eq!(message.bytes(), [0xe1, 0x02, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f]);
    }

    #[test]
    fn texts_and_messages_have_their_lengths_before_them() {
        let mut message = Message::default();
        message.string(2, "testing");
        assert_eq!(message.bytes(), b"\x12\x07testing");
        message.clear();
        message.message(3, |inner| inner.uint(1, 150));
        assert_eq!(message.bytes(), [0x1a, 0x03, 0x08, 0x96, 0x01]);
        message.clear();
        let long = "x".repeat(300);
        message.message(1, |inner| inner.string(1, &long));
        assert_eq!(message.bytes().len(), 306);
        assert_eq!(message.bytes()[..6], [0x0a, 0xaf, 0x02, 0x0a, 0xac, 0x02]);
    }
}
