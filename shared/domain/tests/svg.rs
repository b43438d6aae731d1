//! Badges as SVG: the same bytes as npm's `badge-maker`, whose badges `tests/svg/make.mjs` has made, and XML whatever
//! the parameters are.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on should stop")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use badgesmith_domain::badge::{Badge, Subject};
use badgesmith_domain::package::Provider;
use badgesmith_domain::slots::Summary;
use badgesmith_domain::svg::{self, Style};
use badgesmith_domain::timestamp::Timestamp;
use proptest::prelude::*;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;
use quick_xml::{Reader, XmlVersion};
use serde::Deserialize;

/// A badge that `badge-maker` has drawn.
#[derive(Deserialize)]
struct Reference {
    /// Its JSON for shields.io.
    badge: serde_json::Value,
    parameters: BTreeMap<String, String>,
    svg: String,
}

fn references() -> Vec<Reference> {
    let lines = include_str!("svg/badges.jsonl").lines();
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn style(parameters: &BTreeMap<String, String>) -> Style {
    Style::parse(|name| parameters.get(name).map(String::as_str))
}

fn tests(passed: u64, failed: u64, has_failure: bool) -> Badge {
    let newest = Timestamp::from_unix_milliseconds(0);
    Badge::tests(&Summary { passed, failed, has_failure, is_complete: true, newest })
}

fn version(provider: Provider, text: &str) -> Badge {
    Badge::version(provider, &provider.scheme().parse(text).unwrap())
}

fn badges() -> Vec<Badge> {
    let (nuget, github) = (Provider::NuGet, Provider::GitHub);
    vec![
        tests(190, 0, false),
        tests(u32::MAX.into(), 0, false),
        tests(188, 2, true),
        tests(0, 2, true),
        tests(190, 0, true),
        tests(0, 0, false),
        Badge::too_many_suites(),
        Badge::no_results(),
        Badge::no_recent_results(),
        Badge::not_found(Subject::Tests),
        Badge::unavailable(Subject::Tests),
        version(nuget, "13.0.3"),
        version(nuget, "14.0.0-beta.1"),
        version(nuget, &format!("1.0.0-{}", "preview-".repeat(30))),
        Badge::invalid_range(nuget),
        Badge::pending(nuget),
        version(github, "2.4.0"),
        Badge::not_found(Subject::Package(github)),
    ]
}

#[test]
fn each_badge_is_what_shields_draws_byte_for_byte() {
    let references = references();
    assert!(references.len() >= 500);
    let badges = badges();
    for Reference { badge: json, parameters, svg } in references {
        let is_reference = |badge: &&Badge| serde_json::to_value(badge).unwrap() == json;
        let badge = badges.iter().find(is_reference).unwrap_or_else(|| panic!("no badge is {json}"));
        assert_eq!(svg::draw(badge, &style(&parameters)), svg, "{json} {parameters:?}");
    }
}

#[test]
fn the_images_of_the_pages_are_up_to_date() {
    const IMAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/images");
    let (nuget, github, passed) = (Provider::NuGet, Provider::GitHub, tests(190, 0, false));
    for (name, badge, style) in [
        ("tests-passed", &passed, "flat"),
        ("style-flat-square", &passed, "flat-square"),
        ("style-plastic", &passed, "plastic"),
        ("style-for-the-badge", &passed, "for-the-badge"),
        ("style-social", &passed, "social"),
        ("tests-failed", &tests(188, 2, true), "flat"),
        ("run-failed", &tests(190, 0, true), "flat"),
        ("matrix-passed", &tests(300, 0, false), "flat"),
        ("matrix-failed", &tests(298, 2, true), "flat"),
        ("nuget", &version(nuget, "13.0.3"), "flat"),
        ("nuget-prerelease", &version(nuget, "14.0.0-beta.1"), "flat"),
        ("github", &version(github, "2.4.0"), "flat"),
    ] {
        let image = svg::draw(badge, &Style::parse(|name| (name == "style").then_some(style))) + "\n";
        let path = format!("{IMAGES}/{name}.svg");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, image).unwrap();
        } else {
            let page = std::fs::read_to_string(&path).unwrap_or_default();
            assert_eq!(page, image, "run `UPDATE_DOCS=1 cargo test --workspace --test svg` to update {path}");
        }
    }
}

/// The elements of an SVG, each with the names of its attributes, and the text of its title.
fn outline(svg: &str) -> (Vec<(String, BTreeSet<String>)>, String) {
    // quick-xml does not check the characters: <https://www.w3.org/TR/xml/#charsets>.
    let is_allowed = |c: char| c >= ' ' && !matches!(c, '\u{fffe}' | '\u{ffff}') || "\t\r\n".contains(c);
    assert!(svg.chars().all(is_allowed), "{svg:?}");
    let mut reader = Reader::from_str(svg);
    let (mut elements, mut title, mut in_title) = (Vec::new(), String::new(), false);
    loop {
        match reader.read_event().unwrap_or_else(|error| panic!("{error}: {svg}")) {
            Event::Start(start) | Event::Empty(start) => {
                let attributes = start.attributes().map(|attribute| {
                    let attribute = attribute.unwrap();
                    let value = attribute.normalized_value(XmlVersion::Implicit1_0).unwrap();
                    let is_reference = attribute.key.as_ref() == "href";
                    assert!(!is_reference || value.starts_with("data:image/svg+xml;base64,"), "{svg}");
                    attribute.key.as_ref().to_owned()
                });
                elements.push((start.name().as_ref().to_owned(), attributes.collect()));
                in_title = start.name().as_ref() == "title";
            }
            Event::End(_) => in_title = false,
            Event::Text(text) if in_title => title += &text,
            Event::GeneralRef(entity) if in_title => title += resolve_predefined_entity(&entity).unwrap(),
            Event::Text(_) | Event::GeneralRef(_) => {}
            Event::Eof => return (elements, title),
            other @ (Event::CData(_)
            | Event::Comment(_)
            | Event::Decl(_)
            | Event::PI(_)
            | Event::DocType(_)) => panic!("{other:?}: {svg}"),
        }
    }
}

/// Each attribute that an element has in any badge of `badge-maker`.
static ATTRIBUTES: LazyLock<BTreeSet<(String, String)>> = LazyLock::new(|| {
    let elements = references().into_iter().flat_map(|reference| outline(&reference.svg).0);
    elements.flat_map(|(element, names)| names.into_iter().map(move |name| (element.clone(), name))).collect()
});

/// Parts of markup, and any text.
fn text() -> impl Strategy<Value = String> {
    let markup =
        r#"(["'<>&;#/= a-z]|<script>|<!--|-->|\]\]>|<!\[CDATA\[|&lt;|&#0;|data:|url\(#s\)|onload=){0,12}"#;
    prop_oneof![markup, any::<String>(), "[\\x00-\\x20\u{fffe}\u{ffff}\u{7f}-\u{9f}\u{2028}]{0,8}"]
}

fn parameter(name: &'static str) -> impl Strategy<Value = (String, String)> {
    let value = match name {
        "style" => prop_oneof!["flat|flat-square|plastic|for-the-badge|social", text()].boxed(),
        "logo" => prop_oneof!["nuget|github|jest", text()].boxed(),
        "label" => text().boxed(),
        _ => prop_oneof!["#?[0-9a-f]{3}|white|red", text()].boxed(),
    };
    value.prop_map(move |value| (name.to_owned(), value))
}

proptest! {
    #[test]
    fn no_parameter_adds_an_element_or_an_attribute(
        badge in prop::sample::select(badges()),
        parameters in Style::PARAMETERS.map(parameter).prop_map(BTreeMap::from),
        mask in prop::collection::vec(any::<bool>(), 6),
    ) {
        let given = parameters.into_iter().zip(mask).filter_map(|(parameter, is_given)| is_given.then_some(parameter));
        let mut parameters: BTreeMap<_, _> = given.collect();
        let (elements, title) = outline(&svg::draw(&badge, &style(&parameters)));
        for (element, names) in &elements {
            for name in names {
                prop_assert!(ATTRIBUTES.contains(&(element.clone(), name.clone())), "{element} {name}");
            }
        }
        // A plain label has the same elements.
        if parameters.contains_key("label") {
            let has_label = title.contains(": ");
            parameters.insert("label".to_owned(), if has_label { "x" } else { "" }.to_owned());
        }
        let names = |elements: Vec<(String, _)>| elements.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        prop_assert_eq!(names(elements), names(outline(&svg::draw(&badge, &style(&parameters))).0));
    }
}
