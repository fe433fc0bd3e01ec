//! Placeholder until the crate's owner writes its first room.
