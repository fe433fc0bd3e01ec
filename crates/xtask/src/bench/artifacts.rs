// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What is measured: `rondo` in release mode, and the guest program that this very build carries inside.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use super::build;

/// The variable by which the VMM's build script names the guest to the compiler.
const GUEST_VARIABLE: &str = "RONDO_GUEST_ELF";

/// A build of `rondo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifacts {
    /// The command.
    pub rondo: PathBuf,
    /// The bare-metal guest, as a file that any VMM can boot.
    pub guest: PathBuf,
}

impl Artifacts {
    /// Builds `rondo` in release mode.
    ///
    /// # Errors
    /// When it does not build, or carries another guest than the file.
    pub fn build() -> Result<Self> {
        let artifacts = Self::from_messages(&build::release("rondo")?)
            .context("cargo did not say where it put rondo and its guest")?;
        artifacts.check_guest()?;
        Ok(artifacts)
    }

    /// Finds both in Cargo's messages, one JSON object a line.
    fn from_messages(messages: &str) -> Option<Self> {
        let (mut rondo, mut guest) = (None, None);
        for message in build::objects(messages) {
            match message["reason"].as_str() {
                Some("compiler-artifact") if message["target"]["name"] == "rondo" => {
                    rondo = message["executable"].as_str().map(PathBuf::from).or(rondo);
                }
                Some("build-script-executed") => {
                    let set = message["env"].as_array().into_iter().flatten();
                    guest = set
                        .filter(|pair| pair[0] == GUEST_VARIABLE)
                        .find_map(|pair| pair[1].as_str().map(PathBuf::from))
                        .or(guest);
                }
                _ => {}
            }
        }
        Some(Self {
            rondo: rondo?,
            guest: guest?,
        })
    }

    /// "The same guest" is the whole point of the comparison, so it is looked up rather than believed.
    fn check_guest(&self) -> Result<()> {
        let read = |path: &PathBuf| {
            fs::read(path).with_context(|| format!("cannot read {}", path.display()))
        };
        let (rondo, guest) = (read(&self.rondo)?, read(&self.guest)?);
        let head = guest.get(..64).unwrap_or_default();
        let carried = rondo
            .windows(head.len().max(1))
            .enumerate()
            .any(|(at, window)| {
                window == head && rondo.get(at..).is_some_and(|rest| rest.starts_with(&guest))
            });
        if !carried {
            bail!(
                "{} does not carry the guest {}: build again",
                self.rondo.display(),
                self.guest.display()
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Artifacts;

    #[test]
    fn given_cargos_messages_when_read_then_the_command_and_its_guest_are_found() {
        let messages = concat!(
            r#"{"reason":"build-script-executed","env":[["OTHER","/x"]]}"#,
            "\n",
            r#"{"reason":"build-script-executed","env":[["RONDO_GUEST_ELF","/t/guest"]]}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"rondo"},"executable":null}"#,
            "\nnot json\n",
            r#"{"reason":"compiler-artifact","target":{"name":"rondo"},"executable":"/t/rondo"}"#,
            "\n",
        );
        let found = Artifacts::from_messages(messages);
        assert_eq!(
            found,
            Some(Artifacts {
                rondo: "/t/rondo".into(),
                guest: "/t/guest".into()
            })
        );
        assert_eq!(Artifacts::from_messages("{}"), None);
    }
}
