//! Placeholder until the owner of this crate writes its first room.
fn main() {}
