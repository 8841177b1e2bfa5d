//! `gristmill pack DIR --output X.warc.gz`: packs a folder of HTML files into a WARC.

use crate::failure::{Failure, Outcome};
use crate::request::{runtime, stores};
use anyhow::{Context as _, anyhow};
use gristmill_storage::write::warc::{Page, WarcWriter};
use gristmill_storage::{Format, Item, Lister, Open, PathSource, Pattern, open};
use sha2::{Digest, Sha256};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The folder; all .html, .htm and .html.gz files below it are packed
    dir: PathBuf,
    /// The WARC to write
    #[arg(long, short)]
    output: PathBuf,
    /// What comes before a file's path in its URL, where the page names no canonical URL of its own
    #[arg(long, default_value = "https://pack.example/")]
    base_url: String,
    /// The date of all records
    #[arg(long, default_value = "2024-01-01T00:00:00Z")]
    date: String,
}

pub(crate) fn run(args: Args) -> Outcome {
    if !args.dir.is_dir() {
        return Err(Failure::Request(anyhow!("{} is no folder", args.dir.display())));
    }
    let pages = Pattern {
        text: format!("{}/**/*.{{html,htm,html.gz,htm.gz}}", args.dir.display()),
        format: Some(Format::Html),
    };
    let listing = runtime()?.block_on(Lister::new(&stores()).list(&[pages])).map_err(Failure::request)?;
    let shown = args.output.display().to_string();
    let folder =
        args.output.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(std::path::Path::new("."));
    let file = tempfile::NamedTempFile::new_in(folder)
        .with_context(|| format!("cannot write {shown}"))
        .map_err(Failure::Request)?;
    let mut out = std::io::BufWriter::new(file);
    let info = uuid(b"warcinfo");
    let fields =
        [("software", concat!("gristmill/", env!("CARGO_PKG_VERSION"))), ("format", "WARC File Format 1.0")];
    let mut writer = WarcWriter::new(&mut out, &info, &args.date, &fields).map_err(Failure::job)?;
    for input in listing.inputs().map_err(Failure::job)? {
        let input = input.map_err(Failure::job)?;
        let source = PathSource::open(&input.uri).map_err(Failure::request)?;
        let mut records =
            open(Arc::new(source), &Open::whole(&input.name, input.format)).map_err(Failure::request)?;
        match records.next().map_err(Failure::job)? {
            Some(Item::Html { body, .. }) => {
                let url = canonical(&body).unwrap_or_else(|| format!("{}{}", args.base_url, input.name));
                let page = Page {
                    url: &url,
                    id: &uuid(input.name.as_bytes()),
                    date: &args.date,
                    content_type: "text/html",
                    body: &body,
                };
                writer.page(&page).map_err(Failure::job)?;
            }
            Some(Item::Broken { reason, detail, .. }) => {
                return Err(Failure::Request(anyhow!("{}: {reason}: {detail}", input.uri)));
            }
            Some(_) | None => return Err(Failure::Request(anyhow!("{}: not a page", input.uri))),
        }
    }
    writer.finish().map_err(Failure::job)?;
    let file = out.into_inner().map_err(|e| Failure::job(e.into_error()))?;
    file.persist(&args.output).with_context(|| format!("cannot write {shown}")).map_err(Failure::Job)?;
    writeln!(std::io::stderr(), "{} pages packed into {shown}", listing.files()).map_err(Failure::job)
}

/// A record id that is the same every time: a UUID made of a hash of the name.
fn uuid(name: &[u8]) -> String {
    let digest = Sha256::digest(name);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    // Version 8 (made by the maker's own rule), variant 1: RFC 9562.
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = hex::encode(bytes);
    format!("urn:uuid:{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// The page's own `<link rel="canonical" href="…">`, if it has one near its beginning.
fn canonical(body: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(body.get(..body.len().min(16 << 10))?).into_owned();
    let at = head.find("rel=\"canonical\"")?;
    let start = head[..at].rfind('<')?;
    let tag = head[start..].split('>').next()?;
    let href = tag.split("href=\"").nth(1)?.split('"').next()?;
    href.starts_with("http").then(|| href.to_owned())
}
