//! Files out of a `.tar.gz` in memory, no more than one looks for.

use super::LangdetectError;
use flate2::read::GzDecoder;
use std::io::Read;

const BLOCK: usize = 512;
/// All that may come out of an archive: langdetect's holds 3 MB.
const MAX_UNPACKED: u64 = 64 << 20;

/// The regular files whose path `wanted` gives a name, with that name.
pub(super) fn files(
    archive: &[u8],
    wanted: impl Fn(&str) -> Option<String>,
) -> Result<Vec<(String, String)>, LangdetectError> {
    let bad = |what: &str| LangdetectError::Archive(what.to_owned());
    let mut rest = GzDecoder::new(archive).take(MAX_UNPACKED);
    let mut found = Vec::new();
    loop {
        let mut header = [0; BLOCK];
        rest.read_exact(&mut header).map_err(|error| bad(&error.to_string()))?;
        // Two blocks of nothing end an archive; one tells.
        if header.iter().all(|byte| *byte == 0) {
            return Ok(found);
        }
        let field = |from: usize, to: usize| {
            let field = header.get(from..to).unwrap_or_default();
            String::from_utf8_lossy(field.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned()
        };
        let (name, prefix) = (field(0, 100), field(345, 500));
        let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        let size = u64::from_str_radix(field(124, 136).trim(), 8)
            .map_err(|_| bad(&format!("{path} has no size")))?;
        let regular = matches!(header[156], b'0' | 0);
        let mut file = rest.by_ref().take(size);
        match wanted(&path).filter(|_| regular) {
            Some(name) => {
                let mut text = String::new();
                file.read_to_string(&mut text).map_err(|error| bad(&format!("{path}: {error}")))?;
                found.push((name, text));
            }
            None => {
                std::io::copy(&mut file, &mut std::io::sink()).map_err(|error| bad(&error.to_string()))?;
            }
        }
        if file.limit() > 0 {
            return Err(bad(&format!("{path} is cut off, or too large")));
        }
        let padding = size.next_multiple_of(BLOCK as u64) - size;
        std::io::copy(&mut rest.by_ref().take(padding), &mut std::io::sink())
            .map_err(|error| bad(&error.to_string()))?;
    }
}
