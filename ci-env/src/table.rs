//! The tables of `docs/ci-systems.md`, generated from what the crate does with an example of each CI system: a variable
//! is a source of a value if a change of the variable changes the value.

mod examples;

use std::collections::HashMap;
use std::path::Path;

use self::examples::{Event, Example, examples};
use crate::{CiRun, MissingReason, Provider, detect};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/ci-systems.md");

impl Event {
    fn run(&self) -> CiRun {
        run(&self.variables, &self.file)
    }

    /// The names of the variables, and of the properties in the file, that are sources of `value`.
    fn sources(&self, value: impl Fn(&CiRun) -> String) -> Vec<String> {
        let expected = value(&self.run());
        let is_other = |run: &CiRun| run.provider == self.run().provider && value(run) != expected;
        let changes = |text: &str, line: &str| text.replacen(line, &format!("{line}0"), 1);
        let mut names = Vec::new();
        for (line, name) in pairs(&self.variables) {
            if is_other(&run(&changes(&self.variables, line), &self.file)) {
                names.push(format!("`{name}`"));
            }
        }
        if self.file.starts_with('{') {
            if is_other(&run(&self.variables, "")) {
                names.push("event file".to_owned());
            }
        } else {
            let properties = pairs(&self.file)
                .filter(|(line, _)| is_other(&run(&self.variables, &changes(&self.file, line))));
            names.extend(properties.map(|(_, name)| format!("`{name}`")));
        }
        names
    }
}

/// The lines `NAME=value`, except those that name the file, each with its name.
fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let lines = text.lines().map(str::trim).filter(|line| !line.ends_with("=/event.json"));
    lines.filter_map(|line| Some((line, line.split_once('=')?.0)))
}

fn run(variables: &str, file: &str) -> CiRun {
    let variables: HashMap<_, _> = variables.lines().filter_map(|line| line.trim().split_once('=')).collect();
    detect(
        |name| variables.get(name).map(|value| (*value).to_owned()),
        |path| (path == Path::new("/event.json") && !file.is_empty()).then(|| file.to_owned()),
    )
}

fn debug(value: impl std::fmt::Debug) -> String {
    format!("{value:?}")
}

/// The variables that suffice to identify the CI system, with their value if it matters.
fn identification(example: &Example) -> String {
    let variables = pairs(&example.push.variables);
    let identifying = variables.filter(|(line, _)| run(line, "").provider == example.provider);
    let texts = identifying.map(|(line, name)| {
        let any_value = run(&format!("{name}=0"), "").provider == example.provider;
        format!("`{}`", if any_value { name } else { line })
    });
    texts.collect::<Vec<_>>().join(" or ")
}

fn branch(event: &Event) -> String {
    format!("`{}`", event.run().branch.unwrap())
}

fn without_key(event: &Event) -> &'static str {
    match event.run().no_secret_reason {
        Some(reason) if reason.is_expected() => "sends nothing",
        _ => "fails",
    }
}

fn row(cells: &[String]) -> String {
    let cells: Vec<_> = cells.iter().map(|cell| if cell.is_empty() { "–" } else { cell }).collect();
    format!("| {} |\n", cells.join(" | "))
}

fn table(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let head: Vec<_> = head.iter().map(|&text| text.to_owned()).collect();
    let rule = format!("|{}\n", "---|".repeat(head.len()));
    let rows: String = rows.map(|cells| row(&cells)).collect();
    format!("{}{rule}{rows}", row(&head))
}

fn pull_requests() -> String {
    let head = [
        "CI system",
        "from `feature/x`",
        "from `main` of a fork",
        "variables",
        "a fork's job without the key",
    ];
    let rows = examples().into_iter().filter_map(|example| {
        let pull_request = example.pull_request?;
        let mut sources = pull_request.sources(|run| debug(&run.branch));
        let fork = example.fork.as_ref();
        for source in fork.map(|fork| fork.sources(|run| debug(&run.branch))).unwrap_or_default() {
            if !sources.contains(&source) {
                sources.push(source);
            }
        }
        let of_fork = fork.map_or("runs in the fork".to_owned(), branch);
        let without_key = fork.map(without_key).unwrap_or_default().to_owned();
        Some(vec![example.name.to_owned(), branch(&pull_request), of_fork, sources.join(", "), without_key])
    });
    table(&head, rows)
}

fn repositories() -> String {
    let head = ["CI system", "detected by", "repository", "branch", "commit"];
    let rows = examples().into_iter().filter(|example| example.has_own_run).map(|example| {
        let sources = |value: fn(&CiRun) -> String| example.push.sources(value).join(", ");
        let repository = sources(|run| debug(&run.repository));
        let branch = sources(|run| debug(&run.branch));
        let commit = sources(|run| debug(&run.commit));
        vec![example.name.to_owned(), identification(&example), repository, branch, commit]
    });
    table(&head, rows)
}

fn runs() -> String {
    let head = ["CI system", "run ID", "attempt", "link", "platform", "suite"];
    let rows = examples().into_iter().filter(|example| example.has_own_run).map(|example| {
        let sources = |value: fn(&CiRun) -> String| example.push.sources(value).join(", ");
        let run_id = sources(|run| debug(&run.run_id));
        let attempt = sources(|run| debug(run.run_attempt));
        let link = sources(|run| debug(&run.run_url));
        let platform = sources(|run| debug(run.platform));
        vec![example.name.to_owned(), run_id, attempt, link, platform, sources(|run| debug(&run.job))]
    });
    table(&head, rows)
}

/// The page with new text between the lines `<!-- NAME -->` and `<!-- end -->`.
fn replace(page: &str, name: &str, text: &str) -> String {
    let start = format!("<!-- {name} -->\n");
    let (before, rest) = page.split_once(&start).unwrap();
    let (_, after) = rest.split_once("<!-- end -->").unwrap();
    format!("{before}{start}\n{text}\n<!-- end -->{after}")
}

#[test]
fn the_tables_of_the_page_match_the_code() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let mut expected = replace(&page, "pull requests", &pull_requests());
    expected = replace(&expected, "repositories", &repositories());
    expected = replace(&expected, "runs", &runs());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(PAGE, &expected).unwrap();
    } else {
        assert_eq!(page, expected, "run `UPDATE_DOCS=1 cargo test -p ci-env` to update {PAGE}");
    }
}

#[test]
fn each_ci_system_has_an_example_of_each_event() {
    for provider in Provider::DETECTED {
        assert!(examples().iter().any(|example| example.provider == provider), "{provider}");
    }
    for Example { name, provider, push, pull_request, fork, tag, .. } in examples() {
        for event in [&push, &tag].into_iter().chain(&pull_request).chain(&fork) {
            assert_eq!(event.run().provider, provider, "{name}");
        }
        assert_eq!(push.run().branch.unwrap().as_str(), "main", "{name}");
        assert_eq!(tag.run().branch, Err(MissingReason::Tag("v1.0".to_owned())), "{name}");
        assert_eq!(push.run().repository.unwrap().to_string(), "acme/kit", "{name}");
    }
}
