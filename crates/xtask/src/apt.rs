// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Debian's package tools over package lists of our own, so that the machine's own sources and lists stay as they are.
//!
//! Other releases' packages (a newer QEMU from backports, an older kernel) come from the archive that the machine already uses: its
//! address and key are copied from the machine's sources at run time, only the suite differs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::programs;

/// Where the machine's sources are listed.
const SOURCES_FOLDER: &str = "/etc/apt/sources.list.d";
/// Where they are listed in the older, one-file form.
const SOURCES_FILE: &str = "/etc/apt/sources.list";

/// The Debian release this machine runs, from `/etc/os-release`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Its codename, such as `bookworm`.
    pub codename: String,
}

impl Release {
    /// The machine's release, or nothing when it is not Debian.
    pub fn of_machine() -> Option<Self> {
        Self::parse(&fs::read_to_string("/etc/os-release").ok()?)
    }

    fn parse(os_release: &str) -> Option<Self> {
        let field = |name: &str| {
            let value = os_release
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
            Some(value.trim_matches('"').to_owned())
        };
        (field("ID")? == "debian").then_some(())?;
        Some(Self {
            codename: field("VERSION_CODENAME")?,
        })
    }
}

/// One archive of packages: where it is and which key signs it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Archive {
    uri: String,
    signed_by: Option<String>,
}

/// Package lists of our own.
#[derive(Debug)]
pub struct Apt {
    folder: PathBuf,
}

impl Apt {
    /// Lists only `suites` of the machine's archive; the lists lie in `folder`.
    ///
    /// # Errors
    /// When the machine's sources name no archive of its release, or the archive does not answer.
    pub fn of_suites(folder: &Path, release: &Release, suites: &[&str]) -> Result<Self> {
        let apt = Self::empty(folder)?;
        apt.add_suites(release, suites)?;
        apt.update()?;
        Ok(apt)
    }

    /// Lists what the machine lists, and `suites` too; the lists lie in `folder`.
    ///
    /// # Errors
    /// As [`Apt::of_suites`].
    pub fn of_machine_and_suites(
        folder: &Path,
        release: &Release,
        suites: &[&str],
    ) -> Result<Self> {
        let apt = Self::empty(folder)?;
        for (index, file) in source_files().iter().enumerate() {
            let extension = file
                .extension()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            fs::copy(
                file,
                apt.parts().join(format!("machine-{index}.{extension}")),
            )?;
        }
        if !suites.is_empty() {
            apt.add_suites(release, suites)?;
        }
        apt.update()?;
        Ok(apt)
    }

    fn empty(folder: &Path) -> Result<Self> {
        let apt = Self {
            folder: folder.to_path_buf(),
        };
        let _ = fs::remove_dir_all(apt.parts());
        for inner in [
            apt.parts(),
            folder.join("lists/partial"),
            folder.join("cache/archives/partial"),
        ] {
            fs::create_dir_all(&inner)
                .with_context(|| format!("cannot create {}", inner.display()))?;
        }
        Ok(apt)
    }

    fn parts(&self) -> PathBuf {
        self.folder.join("sources")
    }

    fn add_suites(&self, release: &Release, suites: &[&str]) -> Result<()> {
        let archive = archive_of(release)?;
        let mut stanza = format!(
            "Types: deb\nURIs: {}\nSuites: {}\nComponents: main\n",
            archive.uri,
            suites.join(" ")
        );
        if let Some(key) = archive.signed_by {
            stanza.push_str(&format!("Signed-By: {key}\n"));
        }
        fs::write(self.parts().join("suites.sources"), stanza)?;
        Ok(())
    }

    fn update(&self) -> Result<()> {
        programs::output(self.command("apt-get").args([
            "-o",
            "APT::Update::Error-Mode=any",
            "update",
        ]))
        .context("cannot read the package lists (is the machine's package archive reachable?)")?;
        Ok(())
    }

    /// The fields of each version of `package`, newest first.
    ///
    /// # Errors
    /// When the package is not in the lists.
    pub fn versions(&self, package: &str) -> Result<Vec<Fields>> {
        let text = programs::output(self.command("apt-cache").args(["show", package]))?;
        Ok(text
            .split("\n\n")
            .filter(|stanza| !stanza.trim().is_empty())
            .map(|s| Fields(s.to_owned()))
            .collect())
    }

    /// Downloads packages (`name`, `name=version` or `name/suite`) and unpacks them under `root`, without installing them.
    ///
    /// # Errors
    /// When a download or an unpacking fails.
    pub fn unpack(&self, packages: &[String], root: &Path) -> Result<()> {
        let downloads = self.folder.join("downloads");
        let _ = fs::remove_dir_all(&downloads);
        fs::create_dir_all(&downloads)?;
        programs::output(
            self.command("apt-get")
                .arg("download")
                .args(packages)
                .current_dir(&downloads),
        )
        .with_context(|| format!("cannot download {}", packages.join(", ")))?;
        for entry in fs::read_dir(&downloads)? {
            programs::output(Command::new("dpkg").arg("-x").arg(entry?.path()).arg(root))?;
        }
        fs::remove_dir_all(&downloads)?;
        Ok(())
    }

    /// Installs packages on the machine, from `suite` where one is named. Waits for a package tool that is already running.
    ///
    /// # Errors
    /// When the installation fails, or the lock of the package database is not free for five minutes.
    pub fn install(&self, packages: &[&str], suite: Option<&str>) -> Result<()> {
        let mut command = self.command("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command.args([
            "-o",
            "DPkg::Lock::Timeout=300",
            "install",
            "--yes",
            "--no-install-recommends",
        ]);
        if let Some(suite) = suite {
            command.args(["--target-release", suite]);
        }
        programs::output(command.args(packages))
            .with_context(|| format!("cannot install {}", packages.join(", ")))?;
        Ok(())
    }

    /// Removes the lists, which are large and soon out of date.
    ///
    /// # Errors
    /// When the folder cannot be removed.
    pub fn forget(self) -> Result<()> {
        fs::remove_dir_all(&self.folder)
            .with_context(|| format!("cannot remove {}", self.folder.display()))
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let folder = self.folder.display();
        for setting in [
            "Dir::Etc::sourcelist=/dev/null".to_owned(),
            format!("Dir::Etc::sourceparts={folder}/sources"),
            format!("Dir::State::lists={folder}/lists"),
            format!("Dir::Cache={folder}/cache"),
            // Downloads under a private folder are out of reach of apt's own unprivileged user.
            "APT::Sandbox::User=root".to_owned(),
        ] {
            command.args(["-o", &setting]);
        }
        command.env("LC_ALL", "C");
        command
    }
}

/// The fields of one package in a list.
#[derive(Debug)]
pub struct Fields(String);

impl Fields {
    /// The value of the one-line field `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        field(&self.0, name)
    }
}

fn field<'a>(stanza: &'a str, name: &str) -> Option<&'a str> {
    stanza
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .map(str::trim)
}

fn source_files() -> Vec<PathBuf> {
    let listed = fs::read_dir(SOURCES_FOLDER)
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect());
    let mut files: Vec<PathBuf> = listed.unwrap_or_default();
    files.push(PathBuf::from(SOURCES_FILE));
    files.retain(|file| {
        file.is_file()
            && file
                .extension()
                .is_some_and(|e| e == "list" || e == "sources")
    });
    files.sort();
    files
}

fn archive_of(release: &Release) -> Result<Archive> {
    for file in source_files() {
        let text =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let found = if file
            .extension()
            .is_some_and(|extension| extension == "sources")
        {
            archive_in_stanzas(&text, &release.codename)
        } else {
            archive_in_lines(&text, &release.codename)
        };
        if let Some(archive) = found {
            return Ok(archive);
        }
    }
    bail!(
        "no file under /etc/apt names the archive of Debian {}",
        release.codename
    )
}

/// Looks through sources in the form of stanzas of fields.
fn archive_in_stanzas(text: &str, codename: &str) -> Option<Archive> {
    let plain: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    plain.join("\n").split("\n\n").find_map(|stanza| {
        let enabled = field(stanza, "Enabled") != Some("no");
        let listed = field(stanza, "Suites")?
            .split_whitespace()
            .any(|suite| suite == codename);
        let uri = field(stanza, "URIs")?.split_whitespace().next()?.to_owned();
        (enabled && listed).then(|| Archive {
            uri,
            signed_by: field(stanza, "Signed-By").map(str::to_owned),
        })
    })
}

/// Looks through sources in the form of lines: `deb [options] URI suite component...`.
fn archive_in_lines(text: &str, codename: &str) -> Option<Archive> {
    text.lines().find_map(|line| {
        let rest = line.trim().strip_prefix("deb ")?.trim_start();
        let (options, rest) = match rest.strip_prefix('[') {
            Some(inside) => inside.split_once(']')?,
            None => ("", rest),
        };
        let mut words = rest.split_whitespace();
        let (uri, suite) = (words.next()?, words.next()?);
        let signed_by = options
            .split_whitespace()
            .find_map(|option| option.strip_prefix("signed-by="));
        (suite == codename).then(|| Archive {
            uri: uri.to_owned(),
            signed_by: signed_by.map(str::to_owned),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::{Archive, Release, archive_in_lines, archive_in_stanzas};

    #[test]
    fn given_os_release_when_it_is_debian_then_the_codename_is_read() {
        let debian = "ID=debian\nVERSION_CODENAME=bookworm\nVERSION_ID=\"12\"\n";
        assert_eq!(
            Release::parse(debian),
            Some(Release {
                codename: "bookworm".to_owned()
            })
        );
        assert_eq!(Release::parse("ID=fedora\nVERSION_CODENAME=\"\"\n"), None);
    }

    #[test]
    fn given_stanzas_when_searched_then_the_one_with_the_suite_gives_address_and_key() {
        let text = "Types: deb\nURIs: http://other.invalid/security\nSuites: bookworm-security\nComponents: main\n\n\
                    Types: deb\n# a remark\nURIs: http://archive.invalid/debian\nSuites: bookworm bookworm-updates\n\
                    Components: main\nSigned-By: /key.gpg\n";
        let expected = Archive {
            uri: "http://archive.invalid/debian".to_owned(),
            signed_by: Some("/key.gpg".to_owned()),
        };
        assert_eq!(archive_in_stanzas(text, "bookworm"), Some(expected));
        assert_eq!(archive_in_stanzas(text, "trixie"), None);
    }

    #[test]
    fn given_lines_when_searched_then_options_are_understood() {
        let text = "# deb http://no.invalid/debian bookworm main\n\
                    deb [arch=amd64 signed-by=/key.gpg] http://archive.invalid/debian bookworm main\n";
        let expected = Archive {
            uri: "http://archive.invalid/debian".to_owned(),
            signed_by: Some("/key.gpg".to_owned()),
        };
        assert_eq!(archive_in_lines(text, "bookworm"), Some(expected));
    }
}
