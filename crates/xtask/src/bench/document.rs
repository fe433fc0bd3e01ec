// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Documents with parts that are a program's output, each between `<!-- begin NAME -->` and `<!-- end NAME -->`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// Writes parts of a document anew, given by name; all else stays.
///
/// # Errors
/// When the document cannot be read or written, or lacks the marks.
pub fn write_parts<'a>(
    path: &Path,
    parts: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<()> {
    let shown = path.display();
    let mut text = fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
    for (name, part) in parts {
        text = with_part(&text, name, part).with_context(|| shown.to_string())?;
    }
    fs::write(path, text).with_context(|| format!("cannot write {shown}"))
}

/// The document with another text between `<!-- begin NAME -->` and `<!-- end NAME -->`.
fn with_part(document: &str, name: &str, part: &str) -> Result<String> {
    let (begin, end) = (
        format!("<!-- begin {name} -->\n"),
        format!("<!-- end {name} -->"),
    );
    let Some((before, rest)) = document.split_once(&begin) else {
        bail!("there is no line '{}'", begin.trim_end());
    };
    let Some((_, after)) = rest.split_once(&end) else {
        bail!("there is no line '{end}' behind '{}'", begin.trim_end());
    };
    Ok(format!("{before}{begin}{part}{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::with_part;

    #[test]
    fn given_a_document_when_a_part_is_written_then_everything_else_stays() {
        let document = "a\n<!-- begin x -->\nold\n<!-- end x -->\nb\n";
        let new = with_part(document, "x", "new\n").unwrap();
        assert_eq!(new, "a\n<!-- begin x -->\nnew\n<!-- end x -->\nb\n");
        assert!(with_part(document, "y", "").is_err());
    }
}
