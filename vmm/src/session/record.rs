// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! `--record`: the scheduler's journal in a file, from the first VM to the last, for `rondo-simulator replay`.

use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;
use std::sync::Arc;

use rondo_adapter::journal::{JournalSink, JournalWriter};

use crate::cli::Failure;

/// A journal that fills.
#[derive(Debug)]
pub struct Record {
    path: PathBuf,
    writer: Arc<JournalWriter>,
}

impl Record {
    /// Makes the file, or empties it.
    ///
    /// # Errors
    /// It cannot be written, or the host has no thread left.
    pub fn create(path: PathBuf) -> Result<Self, Failure> {
        let file = match File::create(&path) {
            Ok(file) => file,
            Err(source) => return Err(Failure::Write { path, source }),
        };
        let writer =
            JournalWriter::new(Box::new(BufWriter::new(file))).map_err(|source| Failure::Host {
                action: "start a thread",
                source,
            })?;
        Ok(Self {
            path,
            writer: Arc::new(writer),
        })
    }

    /// What the scheduler's calls are told to.
    pub fn sink(&self) -> Arc<dyn JournalSink> {
        Arc::clone(&self.writer) as Arc<dyn JournalSink>
    }

    /// Writes what is left. To be called when the VMs are gone, so that the journal has everything.
    ///
    /// # Errors
    /// It could not be written to its end.
    pub fn finish(self) -> Result<(), Failure> {
        match self.writer.finish() {
            Ok(true) => Ok(()),
            Ok(false) => {
                log::warn!(
                    "the journal {} ends early, since its disk was too slow; what there is can be replayed",
                    self.path.display()
                );
                Ok(())
            }
            Err(source) => Err(Failure::Write {
                path: self.path,
                source,
            }),
        }
    }
}
