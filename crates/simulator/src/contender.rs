// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The names of all who can decide: the policies that Rondo ships, and what they are compared with.

/// Somebody who decides who runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Contender {
    /// Rondo's `guaranteed`.
    Guaranteed,
}

impl Contender {
    /// All of them, in the order of the tables.
    pub const ALL: &[Self] = &[Self::Guaranteed];

    /// Its name on the command line and in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Guaranteed => "guaranteed",
        }
    }
}
