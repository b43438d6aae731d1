//! `/`: what the service is, and forms that lead to the pages of repositories and packages.

use badgesmith_api::http::{Query, Request, Response};
use badgesmith_domain::ids::{Branch, ParseError, Repository};
use badgesmith_domain::package::{Package, PackageName, PackageType};
use maud::{Markup, html};

use super::layout::document;
use super::path::{branch_path, package_path, repository_path};
use super::site::Site;
use crate::respond::{self, CachePolicy};

/// The values of the field `registry`, and their labels.
const REGISTRIES: [(&str, &str); 4] = [
    ("nuget", "NuGet"),
    ("github", "GitHub Packages: NuGet"),
    ("npm", "GitHub Packages: npm"),
    ("container", "GitHub Packages: containers"),
];
/// Live badges of a package that everyone knows.
const EXAMPLES: [(&str, &str); 3] = [
    ("The highest version", "packages/nuget/Newtonsoft.Json"),
    ("The highest version of a range", "packages/nuget/Newtonsoft.Json?version=%5B12.0,13.0%29"),
    ("Another style", "packages/nuget/Newtonsoft.Json?style=for-the-badge"),
];

/// A field of a form, and what is wrong with it.
type FieldError = (&'static str, ParseError);

/// The start page or, for a submitted form, a redirect to the page that it names.
pub(super) fn page(request: Request<'_>, site: &Site<'_>) -> Response {
    let query = request.query();
    let target = if query.get("owner").or(query.get("repo")).is_some() {
        Some(repository(&query))
    } else if query.get("package").is_some() {
        Some(package(&query))
    } else {
        None
    };
    match target {
        Some(Ok(path)) => respond::redirect(&path),
        Some(Err(error)) => respond::page_invalid(draw(&query, Some(error), site)),
        None => respond::page(request, draw(&query, None, site), CachePolicy::Brief, None),
    }
}

/// The path of the page of a repository or branch.
fn repository(query: &Query<'_>) -> Result<String, FieldError> {
    let owner = query.get("owner").unwrap_or_default().trim().parse().map_err(|error| ("owner", error))?;
    let repo = query.get("repo").unwrap_or_default().trim().parse().map_err(|error| ("repo", error))?;
    let repository = Repository { owner, repo };
    match query.get("branch").map(str::trim).filter(|branch| !branch.is_empty()) {
        None => Ok(repository_path(&repository)),
        Some(branch) => {
            let branch: Branch = branch.parse().map_err(|error| ("branch", error))?;
            Ok(branch_path(&repository, &branch))
        }
    }
}

/// The path of the page of a package.
fn package(query: &Query<'_>) -> Result<String, FieldError> {
    let name = query.get("package").unwrap_or_default().trim();
    let package_type = match query.get("registry").unwrap_or("nuget") {
        "nuget" => {
            let parsed = name.parse().map_err(|error| ("package", error))?;
            return Ok(package_path(&Package::NuGet(None, parsed), name));
        }
        "github" => PackageType::NuGet,
        other => other.parse().map_err(|error| ("registry", error))?,
    };
    let organization = query.get("org").unwrap_or_default().trim();
    let organization = organization.parse().map_err(|error| ("org", error))?;
    let parsed = PackageName::of(package_type, name).map_err(|error| ("package", error))?;
    Ok(package_path(&Package::GitHub(organization, package_type, parsed), name))
}

fn draw(query: &Query<'_>, error: Option<FieldError>, site: &Site<'_>) -> String {
    let content = html! {
        div.hero {
            h1 { "Badges that add up your tests" }
            p.lead {
                "CI jobs send their test results to this service. A badge adds up all jobs of a branch, and is green only if "
                "all of them succeed. Behind it is a page that says what failed, where, and since when."
            }
        }
        @if let Some((field, error)) = error { p.error role="alert" { (label(field)) ": " (error) "." } }
        div.cards {
            (tests_form(query))
            (package_form(query))
        }
        section {
            h2 #examples { "Examples" }
            ul.examples {
                @for (text, path) in EXAMPLES {
                    li { img src={ "/svg/" (path) } alt=(text); span { (text) } code { (site.url(&format!("/svg/{path}"))) } }
                }
            }
        }
    };
    document("Badges for test results and package versions", site.absolute("/").as_deref(), &content)
}

fn tests_form(query: &Query<'_>) -> Markup {
    html! {
        section.card {
            h2 #tests { "Test results" }
            form action="/" {
                (field(query, "owner", true)) (field(query, "repo", true)) (field(query, "branch", false))
                button { "Show the results" }
            }
        }
    }
}

fn package_form(query: &Query<'_>) -> Markup {
    let chosen = query.get("registry");
    html! {
        section.card {
            h2 #package { "Package version" }
            form action="/" {
                label { span { (label("registry")) } select name="registry" {
                    @for (value, name) in REGISTRIES {
                        option value=(value) selected[chosen == Some(value)] { (name) }
                    }
                } }
                (field(query, "org", false)) (field(query, "package", true))
                button { "Show the versions" }
            }
        }
    }
}

fn field(query: &Query<'_>, name: &str, required: bool) -> Markup {
    html! {
        label {
            span { (label(name)) }
            input name=(name) value=(query.get(name).unwrap_or_default()) required[required] maxlength="255" autocomplete="off" spellcheck="false";
        }
    }
}

/// The label of a field.
fn label(field: &str) -> &'static str {
    match field {
        "owner" => "Owner",
        "repo" => "Repository",
        "branch" => "Branch (optional)",
        "registry" => "Registry",
        "org" => "Organization or user (GitHub)",
        _ => "Package",
    }
}
