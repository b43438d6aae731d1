//! The elements of an XML document, one after the other.
//!
//! Only elements and attributes matter to the formats here; text is passed over. Namespaces are
//! ignored: names are local names.

use std::borrow::Cow;

use quick_xml::events::{BytesDecl, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::error::{Fault, Problem, excerpt};

/// How deep elements may nest. Suites nest by folders, classes and `describe` blocks: tens, not hundreds.
pub(super) const DEPTH_MAX: usize = 256;

/// A document that is being read.
///
/// Whoever gets an [`Element`] reads its children until there are none, or skips them.
pub(super) struct Document<'a> {
    reader: Reader<&'a [u8]>,
    /// The elements that are open, outermost first.
    open: Vec<Element<'a>>,
}

/// The start tag of an element.
#[derive(Clone)]
pub(super) struct Element<'a> {
    tag: BytesStart<'a>,
    offset: usize,
}

enum Node<'a> {
    Open(Element<'a>),
    Close,
    End,
}

impl<'a> Document<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let mut reader = Reader::from_str(text);
        let config = reader.config_mut();
        config.expand_empty_elements = true;
        // Careless runners do not escape what a test printed; text is passed over anyway.
        config.allow_dangling_amp = true;
        Self { reader, open: Vec::new() }
    }

    /// The root element.
    pub(super) fn root(&mut self) -> Result<Element<'a>, Fault> {
        match self.next()? {
            Node::Open(element) => Ok(element),
            Node::Close | Node::End => Err(Fault { offset: 0, problem: Problem::NoRoot }),
        }
    }

    /// The next element within the one that is open, or nothing when that closes.
    pub(super) fn child(&mut self) -> Result<Option<Element<'a>>, Fault> {
        match self.next()? {
            Node::Open(element) => Ok(Some(element)),
            Node::Close | Node::End => Ok(None),
        }
    }

    /// Passes over all that is in the element that is open.
    pub(super) fn skip(&mut self) -> Result<(), Fault> {
        let outside = self.open.len();
        while self.open.len() >= outside && outside > 0 {
            self.next()?;
        }
        Ok(())
    }

    /// Checks that nothing but comments follows.
    pub(super) fn end(&mut self) -> Result<(), Fault> {
        match self.next()? {
            Node::Open(element) => Err(element.fault(Problem::SecondRoot)),
            Node::Close | Node::End => Ok(()),
        }
    }

    fn next(&mut self) -> Result<Node<'a>, Fault> {
        loop {
            let offset = position(self.reader.buffer_position());
            let event = self.reader.read_event().map_err(|error| Fault {
                offset: position(self.reader.error_position()),
                problem: Problem::MalformedXml(excerpt(&error.to_string())),
            })?;
            match event {
                Event::Start(tag) => {
                    let element = Element { tag, offset };
                    if self.open.len() >= DEPTH_MAX {
                        return Err(element.fault(Problem::ElementsTooDeep));
                    }
                    self.open.push(element.clone());
                    return Ok(Node::Open(element));
                }
                Event::End(_) => {
                    self.open.pop();
                    return Ok(Node::Close);
                }
                Event::Eof => return self.open.last().map_or(Ok(Node::End), |open| Err(open.unclosed())),
                Event::DocType(_) => return Err(Fault { offset, problem: Problem::DocumentType }),
                Event::Decl(declaration) => {
                    check_encoding(&declaration).map_err(|problem| Fault { offset, problem })?;
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
/// declared by .NET programs that write to a string first and save that as UTF-8.
fn check_encoding(declaration: &BytesDecl<'_>) -> Result<(), Problem> {
    const READ: [&str; 9] =
        ["utf-8", "utf8", "utf-16", "utf16", "us-ascii", "ascii", "iso-8859-", "windows-125", "latin"];
    let encoding = match declaration.encoding() {
        Some(Ok(encoding)) => encoding.to_ascii_lowercase(),
        Some(Err(error)) => return Err(Problem::MalformedXml(excerpt(&error.to_string()))),
        None => return Ok(()),
    };
    if READ.iter().any(|read| encoding.starts_with(read)) {
        Ok(())
    } else {
        Err(Problem::Encoding(excerpt(&encoding)))
    }
}

impl Element<'_> {
    /// The name without its prefix.
    pub(super) fn name(&self) -> &str {
        self.tag.local_name().into_inner()
    }

    /// The value of an attribute. Only what XML itself defines is unescaped.
    pub(super) fn attribute(&self, name: &str) -> Result<Option<Cow<'_, str>>, Fault> {
        let malformed = |error: String| self.fault(Problem::MalformedXml(excerpt(&error)));
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

    /// The value of an attribute that must be there.
    pub(super) fn required(&self, attribute: &'static str) -> Result<Cow<'_, str>, Fault> {
        let missing = || Problem::MissingAttribute { element: excerpt(self.name()), attribute };
        self.attribute(attribute)?.ok_or_else(|| self.fault(missing()))
    }

    /// The sum of those of `attributes` that are there. Each is a number of 32 bits, so that sums of any
    /// document fit.
    pub(super) fn count(&self, attributes: &[&'static str]) -> Result<u64, Fault> {
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

    /// An attribute's value is not what the format defines.
    pub(super) fn unexpected(&self, attribute: &'static str, value: &str, expected: &'static str) -> Fault {
        let element = excerpt(self.name());
        self.fault(Problem::Attribute { element, attribute, value: excerpt(value), expected })
    }

    pub(super) fn fault(&self, problem: Problem) -> Fault {
        Fault { offset: self.offset, problem }
    }

    fn unclosed(&self) -> Fault {
        self.fault(Problem::Unclosed { element: excerpt(self.name()) })
    }
}
