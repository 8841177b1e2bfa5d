//! A WARC from pages at hand: one gzip member a record, as Common Crawl writes them (ISO 28500, annex D).

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::{GZIP_LEVEL, HashingWriter, Written};

/// A page to be written as a `response` record.
#[derive(Clone, Debug)]
pub struct Page<'a> {
    /// `WARC-Target-URI`.
    pub url: &'a str,
    /// `WARC-Record-ID` without the angle brackets: `urn:uuid:…`.
    pub id: &'a str,
    /// `WARC-Date`: `2024-05-18T05:40:08Z`.
    pub date: &'a str,
    /// HTTP `Content-Type`.
    pub content_type: &'a str,
    /// The page.
    pub body: &'a [u8],
}

/// Writes `warcinfo` and `response` records. Dates and ids are the caller's, so that the bytes are the same every time.
pub struct WarcWriter<W: Write> {
    inner: HashingWriter<W>,
    warcinfo: String,
    rows: u64,
}

impl<W: Write> WarcWriter<W> {
    /// Begins with a `warcinfo` record of these `name: value` fields.
    pub fn new(inner: W, id: &str, date: &str, fields: &[(&str, &str)]) -> io::Result<Self> {
        let mut writer = Self { inner: HashingWriter::new(inner), warcinfo: id.to_owned(), rows: 0 };
        let mut body = String::new();
        for (name, value) in fields {
            body.push_str(name);
            body.push_str(": ");
            body.push_str(&one_line(value));
            body.push_str("\r\n");
        }
        let headers = [
            ("WARC-Type", "warcinfo"),
            ("WARC-Date", date),
            ("WARC-Record-ID", &format!("<{id}>")),
            ("Content-Type", "application/warc-fields"),
        ];
        writer.record(&headers, &[body.as_bytes()])?;
        Ok(writer)
    }

    /// Adds a page as a `response` record with a small HTTP head.
    pub fn page(&mut self, page: &Page<'_>) -> io::Result<()> {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n",
            one_line(page.content_type),
            page.body.len()
        );
        let (id, info) = (format!("<{}>", page.id), format!("<{}>", self.warcinfo));
        let headers = [
            ("WARC-Type", "response"),
            ("WARC-Date", page.date),
            ("WARC-Record-ID", &id),
            ("WARC-Warcinfo-ID", &info),
            ("WARC-Target-URI", page.url),
            ("Content-Type", "application/http; msgtype=response"),
        ];
        self.record(&headers, &[head.as_bytes(), page.body])?;
        self.rows += 1;
        Ok(())
    }

    fn record(&mut self, headers: &[(&str, &str)], body: &[&[u8]]) -> io::Result<()> {
        let mut member = GzEncoder::new(&mut self.inner, Compression::new(GZIP_LEVEL));
        member.write_all(b"WARC/1.0\r\n")?;
        for (name, value) in headers {
            write!(member, "{name}: {}\r\n", one_line(value))?;
        }
        let len: usize = body.iter().map(|part| part.len()).sum();
        write!(member, "Content-Length: {len}\r\n\r\n")?;
        for part in body {
            member.write_all(part)?;
        }
        member.write_all(b"\r\n\r\n")?;
        member.finish()?;
        Ok(())
    }

    /// Ends the file; the rows are its pages.
    pub fn finish(mut self) -> io::Result<(W, Written)> {
        self.inner.flush()?;
        let (inner, mut written) = self.inner.into_parts();
        written.rows = self.rows;
        Ok((inner, written))
    }
}

/// A header's value must not end its line.
fn one_line(value: &str) -> String {
    value.replace(['\r', '\n'], " ")
}
