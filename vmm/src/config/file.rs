// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! One TOML file is one VM.

use std::fs;
use std::path::Path;

use super::{ConfigError, VmOptions};

/// Reads a VM's file. Its paths are meant from its own folder.
///
/// # Errors
/// It cannot be read, or is not TOML, or has a key or a value that a VM does not have; the message names the line.
pub fn read_vm_file(path: &Path) -> Result<VmOptions, ConfigError> {
    let text = fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let options: VmOptions = toml::from_str(&text).map_err(|error| ConfigError::Malformed {
        path: path.to_owned(),
        message: located(&text, &error),
    })?;
    Ok(options.relative_to(path.parent().unwrap_or_else(|| Path::new(""))))
}

/// The name of a VM whose file gives it none: the file's own, without its folder and extension.
#[must_use]
pub fn named_after(file: &Path) -> String {
    file.file_stem().map_or_else(
        || "vm".to_owned(),
        |stem| stem.to_string_lossy().into_owned(),
    )
}

/// The parser's message in one line, with the number of the line that it is about.
fn located(text: &str, error: &toml::de::Error) -> String {
    let message = error.message().replace('\n', " ");
    match error.span() {
        Some(span) => {
            let line = text
                .bytes()
                .take(span.start)
                .filter(|byte| *byte == b'\n')
                .count()
                + 1;
            format!("line {line}: {message}")
        }
        None => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<VmOptions, ConfigError> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("vm.toml");
        fs::write(&path, text).expect("the file is written");
        read_vm_file(&path)
    }

    #[test]
    fn a_files_keys_are_the_flags_names() {
        let options = read(
            "name = \"agent\"\nkernel = \"/boot/vmlinuz\"\ncpus = 2\nmemory = \"256M\"\n\
             [gpu]\nwidth = 800\nheight = 600\nguarantee = \"25%\"\nslice = \"1ms\"\n",
        )
        .expect("all keys are known");
        let vm = options.resolve("vm").expect("all values are legal");
        assert_eq!((vm.name.as_str(), vm.cpus), ("agent", 2));
        assert_eq!(vm.gpu.map(|gpu| gpu.width), Some(800));
    }

    #[test]
    fn a_gpu_can_be_text_as_in_the_flag() {
        let options = read("kernel = \"k\"\ngpu = \"width=640,height=480\"\n").expect("known");
        let vm = options.resolve("vm").expect("legal");
        assert_eq!(vm.gpu.map(|gpu| gpu.height), Some(480));
    }

    #[test]
    fn a_bad_key_or_value_is_one_line_that_names_file_and_line() {
        for (text, says) in [
            ("kernel = \"k\"\nmemroy = \"1G\"\n", "line 2"),
            ("kernel = \"k\"\nmemory = \"lots\"\n", "512M"),
            ("kernel = \"k\"\n[gpu]\nwdth = 3\n", "wdth"),
            ("kernel = ", "line 1"),
        ] {
            let message = read(text).expect_err(says).to_string();
            assert!(message.contains(says), "{message}");
            assert!(message.contains("vm.toml"), "{message}");
            assert_eq!(message.lines().count(), 1, "{message}");
        }
    }
}
