//! A page as a browser reads it.

use std::collections::BTreeMap;

use html5gum::{DefaultEmitter, Token, Tokenizer};

/// The elements that begin a line of text.
const LINES: [&str; 14] = [
    "button",
    "dd",
    "dt",
    "figcaption",
    "h1",
    "h2",
    "h3",
    "label",
    "li",
    "option",
    "p",
    "summary",
    "title",
    "tr",
];

/// The elements of a page, in order, and its text.
#[derive(Debug)]
pub struct Page {
    pub elements: Vec<Element>,
    pub text: String,
    /// The text of each heading, paragraph, row and field.
    pub lines: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    pub name: String,
    pub attributes: BTreeMap<String, String>,
}

impl Page {
    /// A comment or a syntax error fails the test.
    pub fn parse(html: &str) -> Self {
        let mut emitter = DefaultEmitter::default();
        // The content of a title or a text area is text.
        emitter.naively_switch_states(true);
        let (mut elements, mut text, mut invalid) = (Vec::new(), String::new(), Vec::new());
        for Ok(token) in Tokenizer::new_with_emitter(html, emitter) {
            match token {
                Token::StartTag(tag) => {
                    let attributes = tag.attributes.iter().map(|(name, value)| (decode(name), decode(value)));
                    let attributes = attributes.collect();
                    elements.push(Element { name: decode(&tag.name), attributes });
                    let starts_line = elements.last().is_some_and(|element| LINES.contains(&&*element.name));
                    text.push(if starts_line { '\n' } else { ' ' });
                }
                Token::EndTag(_) => text.push(' '),
                Token::String(part) => text.push_str(&decode(&part).replace('\n', " ")),
                Token::Doctype(_) => {}
                Token::Comment(_) | Token::Error(_) => invalid.push(format!("{token:?}")),
            }
        }
        assert!(invalid.is_empty(), "{invalid:?} in {html}");
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let lines = text.lines().map(words).filter(|line| !line.is_empty()).collect();
        Self { elements, text: words(&text), lines }
    }

    /// The names of the elements and of their attributes: what a name from outside must not change.
    pub fn skeleton(&self) -> Vec<String> {
        let line = |element: &Element| {
            let names = element.attributes.keys().map(String::as_str).collect::<Vec<_>>().join(" ");
            format!("{} {names}", element.name)
        };
        self.elements.iter().map(line).collect()
    }

    /// The values of an attribute.
    pub fn values(&self, attribute: &str) -> Vec<&str> {
        self.elements.iter().filter_map(|element| Some(element.attributes.get(attribute)?.as_str())).collect()
    }
}

fn decode(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
