//! Documents on their way from one pass to the next.
//!
//! A zstd stream (with its checksum) of frames: four little-endian `u32` lengths (identity, record, content type,
//! body; the last two `u32::MAX` where there is no body), the number of units that the document was signed as, then
//! those bytes. A frame whose first length is
//! `u32::MAX` ends the file and holds the number of documents, so that a file cut short is noticed whatever it
//! was cut at. One whose first length is `u32::MAX - 1` holds a length and the name of the input file that the documents after it are of.

use gristmill_pipeline::{Body, Document};
use std::io::{self, BufReader, Read, Write};
use std::sync::Arc;

const NONE: u32 = u32::MAX;
const FILE: u32 = u32::MAX - 1;
/// Fast, and already a third of the size: these files live for one pass.
const ZSTD_LEVEL: i32 = 1;

pub(crate) struct FrameWriter<W: Write> {
    out: zstd::Encoder<'static, W>,
    record: Vec<u8>,
    documents: u64,
    /// Where the last one came from.
    file: Option<Arc<str>>,
}

impl<W: Write> FrameWriter<W> {
    pub(crate) fn new(out: W) -> io::Result<Self> {
        Self::with_level(out, ZSTD_LEVEL)
    }

    pub(crate) fn with_level(out: W, zstd_level: i32) -> io::Result<Self> {
        let mut out = zstd::Encoder::new(out, zstd_level)?;
        out.include_checksum(true)?;
        Ok(Self { out, record: Vec::new(), documents: 0, file: None })
    }

    /// The inner writer: the last few bytes are not in it yet.
    pub(crate) fn get_ref(&self) -> &W {
        self.out.get_ref()
    }

    /// Writes a document that a dedup knows as so many units.
    pub(crate) fn write(&mut self, doc: &Document, units: u32) -> io::Result<()> {
        if let Some(file) = doc.file.as_ref().filter(|file| self.file.as_ref() != Some(file)) {
            self.out.write_all(&FILE.to_le_bytes())?;
            self.out.write_all(&length(file.len())?.to_le_bytes())?;
            self.out.write_all(file.as_bytes())?;
            self.file = Some(Arc::clone(file));
        }
        self.record.clear();
        doc.write_json(&mut self.record);
        // A document that has its text needs its page no more.
        let body = doc.body.as_ref().filter(|_| doc.text.is_none());
        let content_type = body.and_then(|b| b.content_type.as_deref());
        let head = [
            length(doc.id.len())?,
            length(self.record.len())?,
            content_type.map_or(Ok(NONE), |c| length(c.len()))?,
            body.map_or(Ok(NONE), |b| length(b.bytes.len()))?,
            units,
        ];
        let mut bytes = [0; 20];
        for (chunk, number) in bytes.chunks_exact_mut(4).zip(head) {
            chunk.copy_from_slice(&number.to_le_bytes());
        }
        self.out.write_all(&bytes)?;
        self.out.write_all(doc.id.as_bytes())?;
        self.out.write_all(&self.record)?;
        self.out.write_all(content_type.unwrap_or_default().as_bytes())?;
        self.out.write_all(body.map_or(&[], |b| &b.bytes))?;
        self.documents += 1;
        Ok(())
    }

    /// Ends the file; gives the number of documents and the inner writer.
    pub(crate) fn finish(mut self) -> io::Result<(u64, W)> {
        self.out.write_all(&NONE.to_le_bytes())?;
        self.out.write_all(&self.documents.to_le_bytes())?;
        Ok((self.documents, self.out.finish()?))
    }
}

fn length(n: usize) -> io::Result<u32> {
    match u32::try_from(n) {
        Ok(n) if n < FILE => Ok(n),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "a document of more than 4 GiB")),
    }
}

pub(crate) struct FrameReader<R: Read> {
    input: zstd::Decoder<'static, BufReader<R>>,
    record: Vec<u8>,
    documents: u64,
    ended: bool,
    /// Where the next one came from.
    file: Option<Arc<str>>,
}

impl<R: Read> FrameReader<R> {
    pub(crate) fn new(input: R) -> io::Result<Self> {
        Ok(Self {
            input: zstd::Decoder::new(input)?,
            record: Vec::new(),
            documents: 0,
            ended: false,
            file: None,
        })
    }

    /// The next document, and the number of its units.
    pub(crate) fn next(&mut self) -> io::Result<Option<(Document, u32)>> {
        let Some((lengths, units)) = self.head()? else { return Ok(None) };
        Ok(Some((self.document(lengths)?, units)))
    }

    /// The number of the next document's units, and the document itself if that number is `wanted`.
    pub(crate) fn next_if(
        &mut self,
        wanted: impl FnOnce(u32) -> bool,
    ) -> io::Result<Option<(Option<Document>, u32)>> {
        let Some((lengths, units)) = self.head()? else { return Ok(None) };
        if wanted(units) {
            return Ok(Some((Some(self.document(lengths)?), units)));
        }
        self.pass(lengths)?;
        Ok(Some((None, units)))
    }

    /// Passes over a document and gives its identity and the number of its units; none at the end.
    pub(crate) fn skip(&mut self) -> io::Result<Option<(String, u32)>> {
        let Some(([id, lengths @ ..], units)) = self.head()? else { return Ok(None) };
        let id = self.string(id)?;
        self.pass_bytes(
            lengths.iter().filter(|length| **length != NONE).map(|length| u64::from(*length)).sum(),
        )?;
        Ok(Some((id, units)))
    }

    fn document(&mut self, [id, record, content_type, body]: [u32; 4]) -> io::Result<Document> {
        let id = self.string(id)?;
        self.record.clear();
        self.take(record)?;
        let line = std::str::from_utf8(&self.record).map_err(|_| corrupt("a record is not UTF-8"))?;
        let mut doc = Document::from_json(line, String::new).map_err(|e| corrupt(&e.to_string()))?;
        doc.id = id;
        doc.file.clone_from(&self.file);
        if body != NONE {
            let content_type = if content_type == NONE { None } else { Some(self.string(content_type)?) };
            self.record.clear();
            self.take(body)?;
            doc.body = Some(Body { bytes: self.record.clone(), content_type });
        }
        self.documents += 1;
        Ok(doc)
    }

    fn pass(&mut self, lengths: [u32; 4]) -> io::Result<()> {
        let length = lengths.iter().filter(|length| **length != NONE).map(|length| u64::from(*length)).sum();
        self.pass_bytes(length)
    }

    fn pass_bytes(&mut self, length: u64) -> io::Result<()> {
        let skipped = io::copy(&mut self.input.by_ref().take(length), &mut io::sink())?;
        if skipped != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.documents += 1;
        Ok(())
    }

    /// The lengths of the next document's parts, and the number of its units.
    fn head(&mut self) -> io::Result<Option<([u32; 4], u32)>> {
        if self.ended {
            return Ok(None);
        }
        let mut first = self.u32()?;
        while first == FILE {
            let length = self.u32()?;
            self.file = Some(self.string(length)?.into());
            first = self.u32()?;
        }
        if first == NONE {
            let mut count = [0; 8];
            self.input.read_exact(&mut count)?;
            if u64::from_le_bytes(count) != self.documents {
                return Err(corrupt("it holds another number of documents than it says"));
            }
            self.ended = true;
            return Ok(None);
        }
        let lengths = [first, self.u32()?, self.u32()?, self.u32()?];
        Ok(Some((lengths, self.u32()?)))
    }

    fn u32(&mut self) -> io::Result<u32> {
        let mut bytes = [0; 4];
        self.input.read_exact(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    /// Appends `n` bytes to the buffer, which grows only as they arrive.
    fn take(&mut self, n: u32) -> io::Result<()> {
        let read = self.input.by_ref().take(u64::from(n)).read_to_end(&mut self.record)?;
        if read as u64 == u64::from(n) { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    fn string(&mut self, n: u32) -> io::Result<String> {
        self.record.clear();
        self.take(n)?;
        String::from_utf8(self.record.clone()).map_err(|_| corrupt("a name is not UTF-8"))
    }
}

fn corrupt(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the file of documents is corrupt: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let mut writer = FrameWriter::new(Vec::new()).expect("zstd");
        let mut plain = Document::from_json(r#"{"text":"ä","n":1.50}"#, || "x#0".to_owned()).expect("record");
        plain.file = Some("a/x.jsonl".into());
        let mut page = Document::from_json("{}", || "x#1".to_owned()).expect("record");
        page.file = Some("b.warc".into());
        page.body = Some(Body { bytes: vec![0, 255], content_type: Some("text/html".to_owned()) });
        writer.write(&plain, 1).expect("write");
        writer.write(&page, 7).expect("write");
        writer.finish().expect("finish").1
    }

    #[test]
    fn documents_come_back() {
        let bytes = sample();
        let mut reader = FrameReader::new(&bytes[..]).expect("zstd");
        let (plain, units) = reader.next().expect("read").expect("first");
        assert_eq!(units, 1);
        assert_eq!(serde_json::to_string(&plain).expect("JSON"), r#"{"text":"ä","n":1.50}"#);
        assert_eq!((plain.id.as_str(), plain.file.as_deref(), plain.body), ("x#0", Some("a/x.jsonl"), None));
        let (page, units) = reader.next().expect("read").expect("second");
        assert_eq!(units, 7);
        assert_eq!(page.file.as_deref(), Some("b.warc"));
        let body = page.body.expect("body");
        assert_eq!((body.bytes, body.content_type.as_deref()), (vec![0, 255], Some("text/html")));
        assert!(reader.next().expect("read").is_none());
        assert!(reader.next().expect("read").is_none());
    }

    #[test]
    fn documents_can_be_passed_over() {
        let bytes = sample();
        let mut reader = FrameReader::new(&bytes[..]).expect("zstd");
        assert_eq!(reader.skip().expect("first"), Some(("x#0".to_owned(), 1)));
        let (page, _) = reader.next().expect("read").expect("second");
        assert_eq!((page.id.as_str(), page.file.as_deref()), ("x#1", Some("b.warc")));
        assert_eq!(reader.skip().expect("end"), None);
    }

    #[test]
    fn a_file_cut_anywhere_is_an_error() {
        let bytes = sample();
        for end in 0..bytes.len() - 4 {
            let all = FrameReader::new(&bytes[..end]).and_then(|mut reader| {
                while reader.next()?.is_some() {}
                Ok(())
            });
            assert!(all.is_err(), "cut at {end} of {}", bytes.len());
        }
    }
}
