//! Extracts pages that come over standard input and answers on standard output, for comparison tools in any language.
//!
//! `extract_stream [--version 1|2] [--all-text] [--no-formatting] [--no-bullets] [--no-alt] [--links] [--forms]
//! [--noscript] [--no-comments] [--no-post-meta] [--hidden] [--skip SELECTOR]… [--repeat N] [--decode]`
//!
//! A page is its length in bytes (four bytes, little end first) and its UTF-8. An answer is the same of its text, or the
//! length FFFFFFFF and then the reason in that form. With `--decode` pages may be any bytes, and an answer is the name of
//! the encoding that is detected, a line feed, and the decoded page. With `--repeat N` all pages are read first and extracted N times over;
//! the answers are none, and the seconds of each round go to standard error.

#![allow(clippy::print_stderr)]

use std::io::{self, BufReader, BufWriter, Read, Write};
use std::time::Instant;

use gristmill_extract::charset::{self, Charset};
use gristmill_extract::{
    Algorithm, Extractor, Format, JustextOptions, MainOptions, Options, StopWords, Version,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut options = Options::default();
    let mut repeat = None;
    let mut decode = false;
    let mut extractor_name = "resiliparse";
    let mut justext = JustextOptions::default();
    let mut main_options = MainOptions::default();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
        match arg.as_str() {
            "--version" => {
                options.version = if value()? == "2" { Version::V2_0_1 } else { Version::V0_14_7 };
            }
            "--all-text" => options.main_content = false,
            "--no-formatting" => options.preserve_formatting = false,
            "--no-bullets" => options.list_bullets = false,
            "--no-alt" => options.alt_texts = false,
            "--links" => options.links = true,
            "--forms" => options.form_fields = true,
            "--noscript" => options.noscript = true,
            "--no-comments" => options.comments = false,
            "--no-post-meta" => options.post_meta = false,
            "--hidden" => options.hidden_elements = true,
            "--skip" => options.skip_elements.push(value()?),
            "--main" => extractor_name = "main",
            "--justext" => extractor_name = "justext",
            "--any-language" => justext.stop_words = StopWords::Any,
            "--all-paragraphs" => justext.all_paragraphs = true,
            "--markdown" => main_options.format = Format::Markdown,
            "--comments" => main_options.comments = true,
            "--decode" => decode = true,
            "--repeat" => repeat = Some(value()?.parse::<usize>()?),
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    main_options.links = options.links;
    let algorithm = match extractor_name {
        "main" => Algorithm::Main(main_options),
        "justext" => Algorithm::Justext(justext),
        _ => Algorithm::Resiliparse(options),
    };
    let mut extractor = Extractor::with(vec![algorithm])?;
    let mut input = BufReader::with_capacity(1 << 20, io::stdin().lock());
    let mut output = BufWriter::with_capacity(1 << 20, io::stdout().lock());
    if let Some(rounds) = repeat {
        let mut pages = Vec::new();
        while let Some(page) = read_page(&mut input)? {
            pages.push(page);
        }
        for _ in 0..rounds {
            let start = Instant::now();
            let bytes: usize =
                pages.iter().map(|page| extractor.extract(page).map_or(0, |text| text.len())).sum();
            eprintln!(
                "{:.4} s for {} pages, {bytes} bytes of text",
                start.elapsed().as_secs_f64(),
                pages.len()
            );
        }
        return Ok(());
    }
    if decode {
        while let Some(body) = read_body(&mut input)? {
            let (text, name) = charset::decode(&body, None, Charset::Detect)?;
            write_text(&mut output, &format!("{name}\n{text}"))?;
            output.flush()?;
        }
        return Ok(());
    }
    while let Some(page) = read_page(&mut input)? {
        match extractor.extract(&page) {
            Ok(text) => write_text(&mut output, &text)?,
            Err(why) => {
                output.write_all(&u32::MAX.to_le_bytes())?;
                write_text(&mut output, why.reason())?;
            }
        }
        output.flush()?;
    }
    Ok(())
}

fn read_body(input: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match input.read_exact(&mut length) {
        Err(end) if end.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let mut page = vec![0; u32::from_le_bytes(length) as usize];
    input.read_exact(&mut page)?;
    Ok(Some(page))
}

fn read_page(input: &mut impl Read) -> io::Result<Option<String>> {
    let Some(body) = read_body(input)? else { return Ok(None) };
    let page = String::from_utf8(body);
    page.map(Some).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "a page is not UTF-8"))
}

fn write_text(output: &mut impl Write, text: &str) -> io::Result<()> {
    output.write_all(&(text.len() as u32).to_le_bytes())?;
    output.write_all(text.as_bytes())
}
