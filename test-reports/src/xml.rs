//! The elements of an XML document, one after the other.
//!
//! Only elements and attributes matter to the formats here; text is skipped. Namespaces are
//! ignored: names are local names.

use std::borrow::Cow;

use quick_xml::events::{BytesDecl, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use crate::error::{Located, ReportErrorKind, excerpt};

/// How deep elements may nest. Suites nest by folders, classes and `describe` blocks: tens, not hundreds.
pub(crate) const DEPTH_MAX: usize = 256;

/// A document that is being read.
///
/// After each [`Element`], the caller reads its children until there are none, or skips them.
pub(crate) struct Document<'a> {
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
        Self { reader, open: Vec::new() }
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

    /// Checks that nothing but comments follows.
    pub(crate) fn end(&mut self) -> Result<(), Located> {
        match self.next()? {
            Node::Open(element) => Err(element.located(ReportErrorKind::SecondRoot)),
            Node::Close | Node::End => Ok(()),
        }
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
                Event::DocType(_) => return Err(Located { offset, kind: ReportErrorKind::DocumentType }),
                Event::Decl(declaration) => {
                    check_encoding(&declaration).map_err(|kind| Located { offset, kind })?;
                }
                // Empty elements are expanded.
                Event::Empty(_)
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

/// The text is decoded before its declaration is read, so that the declaration can only be checked.
/// Encodings that extend ASCII by single bytes are fine: all that counts is ASCII. `utf-16` is often
/// declared by .NET programs that write to a string first and save it as UTF-8.
fn check_encoding(declaration: &BytesDecl<'_>) -> Result<(), ReportErrorKind> {
    const READ: [&str; 9] =
        ["utf-8", "utf8", "utf-16", "utf16", "us-ascii", "ascii", "iso-8859-", "windows-125", "latin"];
    let encoding = match declaration.encoding() {
        Some(Ok(encoding)) => encoding.to_ascii_lowercase(),
        Some(Err(error)) => return Err(ReportErrorKind::MalformedXml(excerpt(&error.to_string()))),
        None => return Ok(()),
    };
    if READ.iter().any(|read| encoding.starts_with(read)) {
        Ok(())
    } else {
        Err(ReportErrorKind::Encoding(excerpt(&encoding)))
    }
}

impl Element<'_> {
    /// The name without its prefix.
    pub(crate) fn name(&self) -> &str {
        self.tag.local_name().into_inner()
    }

    /// The value of an attribute. Only the entities that XML itself defines are unescaped.
    pub(crate) fn attribute(&self, name: &str) -> Result<Option<Cow<'_, str>>, Located> {
        let malformed = |error: String| self.located(ReportErrorKind::MalformedXml(excerpt(&error)));
        // The parser's check for duplicates would take quadratic time.
        for attribute in self.tag.attributes().with_checks(false) {
            let attribute = attribute.map_err(|error| malformed(error.to_string()))?;
            if attribute.key.local_name().into_inner() == name {
                let value = attribute.normalized_value(XmlVersion::Implicit1_0);
                return value.map(Some).map_err(|error| malformed(error.to_string()));
            }
        }
        Ok(None)
    }

    /// The value of a required attribute.
    pub(crate) fn required(&self, attribute: &'static str) -> Result<Cow<'_, str>, Located> {
        let missing = || ReportErrorKind::MissingAttribute { element: excerpt(self.name()), attribute };
        self.attribute(attribute)?.ok_or_else(|| self.located(missing()))
    }

    /// The sum of those `attributes` that exist. Each is a number of 32 bits, so that sums of any
    /// document fit.
    pub(crate) fn count(&self, attributes: &[&'static str]) -> Result<u64, Located> {
        let mut sum = 0;
        for attribute in attributes {
            if let Some(value) = self.attribute(attribute)? {
                let count: u32 = value
                    .trim()
                    .parse()
                    .map_err(|_| self.unexpected(attribute, &value, "a number from 0 to 4294967295"))?;
                sum += u64::from(count);
            }
        }
        Ok(sum)
    }

    /// The error of a value that the format does not define.
    pub(crate) fn unexpected(&self, attribute: &'static str, value: &str, expected: &'static str) -> Located {
        let element = excerpt(self.name());
        self.located(ReportErrorKind::Attribute { element, attribute, value: excerpt(value), expected })
    }

    pub(crate) fn located(&self, kind: ReportErrorKind) -> Located {
        Located { offset: self.offset, kind }
    }

    fn unclosed(&self) -> Located {
        self.located(ReportErrorKind::Unclosed { element: excerpt(self.name()) })
    }
}
