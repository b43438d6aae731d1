//! The elements of an XML document, one after the other.
//!
//! Only elements and attributes matter to the formats here. Text is skipped, and so are document types: no entity is
//! expanded, and unknown entities and a bare `&` stay as they are. Names are local names.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::error::{Located, ReportErrorKind, excerpt};

/// How deep elements may nest. Suites nest by folders, classes and `describe` blocks: tens, not hundreds.
pub(crate) const DEPTH_MAX: usize = 256;

/// A document that is being read.
///
/// After each [`Element`], the caller reads its children until there are none, or skips them.
pub(crate) struct Document<'a> {
    text: &'a str,
    reader: Reader<&'a [u8]>,
    /// The elements that are open, outermost first.
    open: Vec<Element<'a>>,
}

/// The start tag of an element.
#[derive(Clone)]
pub(crate) struct Element<'a> {
    tag: BytesStart<'a>,
    offset: usize,
}

enum Node<'a> {
    Open(Element<'a>),
    Close,
    End,
}

impl<'a> Document<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let mut reader = Reader::from_str(text);
        let config = reader.config_mut();
        config.expand_empty_elements = true;
        // Careless runners do not escape what a test printed; text is skipped anyway.
        config.allow_dangling_amp = true;
        Self { text, reader, open: Vec::new() }
    }

    pub(crate) fn root(&mut self) -> Result<Element<'a>, Located> {
        match self.next()? {
            Node::Open(element) => Ok(element),
            Node::Close | Node::End => Err(Located { offset: 0, kind: ReportErrorKind::NoRoot }),
        }
    }

    /// The next element within the one that is open, or nothing when that closes.
    pub(crate) fn child(&mut self) -> Result<Option<Element<'a>>, Located> {
        match self.next()? {
            Node::Open(element) => Ok(Some(element)),
            Node::Close | Node::End => Ok(None),
        }
    }

    /// Skips everything in the element that is open.
    pub(crate) fn skip(&mut self) -> Result<(), Located> {
        let outside = self.open.len();
        while self.open.len() >= outside && outside > 0 {
            self.next()?;
        }
        Ok(())
    }

    /// The text in the element that is open, without elements in it. Closes the element.
    pub(crate) fn text(&mut self) -> Result<String, Located> {
        let start = self.offset();
        self.skip()?;
        let content = self.text.get(start..self.offset()).unwrap_or_default();
        let content = content.rfind("</").and_then(|end| content.get(..end)).unwrap_or_default();
        let data = content.trim().strip_prefix("<![CDATA[").and_then(|data| data.strip_suffix("]]>"));
        Ok(data.map_or_else(|| unescape(content).into_owned(), str::to_owned))
    }

    /// The offset after what has been read.
    pub(crate) fn offset(&self) -> usize {
        position(self.reader.buffer_position())
    }

    fn next(&mut self) -> Result<Node<'a>, Located> {
        loop {
            let offset = position(self.reader.buffer_position());
            let event = self.reader.read_event().map_err(|error| Located {
                offset: position(self.reader.error_position()),
                kind: ReportErrorKind::MalformedXml(excerpt(&error.to_string())),
            })?;
            match event {
                Event::Start(tag) => {
                    let element = Element { tag, offset };
                    if self.open.len() >= DEPTH_MAX {
                        return Err(element.located(ReportErrorKind::ElementsTooDeep { max: DEPTH_MAX }));
                    }
                    self.open.push(element.clone());
                    return Ok(Node::Open(element));
                }
                Event::End(_) => {
                    self.open.pop();
                    return Ok(Node::Close);
                }
                Event::Eof => return self.open.last().map_or(Ok(Node::End), |open| Err(open.unclosed())),
                // Empty elements are expanded.
                Event::Empty(_)
                | Event::DocType(_)
                | Event::Decl(_)
                | Event::Text(_)
                | Event::CData(_)
                | Event::Comment(_)
                | Event::PI(_)
                | Event::GeneralRef(_) => {}
            }
        }
    }
}

fn position(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

impl Element<'_> {
    /// The name without its prefix.
    pub(crate) fn name(&self) -> &str {
        self.tag.local_name().into_inner()
    }

    /// Whether the element is in the default namespace `uri`, as far as it declares one itself.
    pub(crate) fn has_namespace(&self, uri: &str) -> bool {
        self.raw("xmlns").is_some_and(|value| value == uri)
    }

    /// The value of an attribute.
    pub(crate) fn attribute(&self, name: &str) -> Option<Cow<'_, str>> {
        self.raw(name).map(|value| match value {
            Cow::Borrowed(value) => unescape(value),
            Cow::Owned(value) => Cow::Owned(unescape(&value).into_owned()),
        })
    }

    /// The value of an attribute, or nothing.
    pub(crate) fn text(&self, name: &str) -> Cow<'_, str> {
        self.attribute(name).unwrap_or_default()
    }

    fn raw(&self, name: &str) -> Option<Cow<'_, str>> {
        // The parser's check for duplicates would take quadratic time.
        let mut attributes = self.tag.attributes();
        let mut attributes = attributes.with_checks(false).map_while(Result::ok);
        let found = attributes.find(|attribute| attribute.key.local_name().into_inner() == name);
        found.map(|attribute| attribute.value)
    }

    /// The number in an attribute; `None` if there is none, or no number.
    pub(crate) fn number(&self, attribute: &str) -> Option<u64> {
        let value = self.attribute(attribute)?;
        let (whole, fraction) = value.trim().split_once('.').unwrap_or((value.trim(), ""));
        let is_whole = fraction.bytes().all(|digit| digit == b'0');
        whole.parse::<u32>().ok().filter(|_| is_whole).map(u64::from)
    }

    /// The sum of the `attributes` that are numbers. Each has 32 bits, so that sums of any document fit.
    pub(crate) fn sum(&self, attributes: &[&str]) -> u64 {
        attributes.iter().filter_map(|attribute| self.number(attribute)).sum()
    }

    /// Where its tag starts.
    pub(crate) fn offset(&self) -> usize {
        self.offset
    }

    pub(crate) fn located(&self, kind: ReportErrorKind) -> Located {
        Located { offset: self.offset, kind }
    }

    fn unclosed(&self) -> Located {
        self.located(ReportErrorKind::Unclosed { element: excerpt(self.name()) })
    }
}

/// Replaces the entities that XML itself defines, and references to characters.
fn unescape(raw: &str) -> Cow<'_, str> {
    if !raw.contains('&') {
        return Cow::Borrowed(raw);
    }
    let mut text = String::with_capacity(raw.len());
    let mut parts = raw.split('&');
    text.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let entity = part.split_once(';').and_then(|(entity, rest)| Some((character(entity)?, rest)));
        let (character, rest) = entity.unwrap_or(('&', part));
        text.push(character);
        text.push_str(rest);
    }
    Cow::Owned(text)
}

fn character(entity: &str) -> Option<char> {
    match entity {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "apos" => Some('\''),
        "quot" => Some('"'),
        _ => {
            let number = entity.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}
