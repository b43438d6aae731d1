//! Logos of registries, CI systems and test tools, from <https://simpleicons.org> (CC0).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::paint::{Brightness, Paint};

/// A logo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Logo {
    /// The name that `simple-icons` has for it.
    slug: &'static str,
    /// The color of the brand.
    color: &'static str,
    svg: &'static str,
}

const LOGOS: [Logo; 20] = [
    Logo { slug: "cucumber", color: "#23D96C", svg: include_str!("logos/cucumber.svg") },
    Logo { slug: "cypress", color: "#69D3A7", svg: include_str!("logos/cypress.svg") },
    Logo { slug: "docker", color: "#2496ED", svg: include_str!("logos/docker.svg") },
    Logo { slug: "dotnet", color: "#512BD4", svg: include_str!("logos/dotnet.svg") },
    Logo { slug: "github", color: "#181717", svg: include_str!("logos/github.svg") },
    Logo { slug: "githubactions", color: "#2088FF", svg: include_str!("logos/githubactions.svg") },
    Logo { slug: "gitlab", color: "#FC6D26", svg: include_str!("logos/gitlab.svg") },
    Logo { slug: "go", color: "#00ADD8", svg: include_str!("logos/go.svg") },
    Logo { slug: "jasmine", color: "#8A4182", svg: include_str!("logos/jasmine.svg") },
    Logo { slug: "jest", color: "#C21325", svg: include_str!("logos/jest.svg") },
    Logo { slug: "junit5", color: "#25A162", svg: include_str!("logos/junit5.svg") },
    Logo { slug: "mocha", color: "#8D6748", svg: include_str!("logos/mocha.svg") },
    Logo { slug: "nodedotjs", color: "#5FA04E", svg: include_str!("logos/nodedotjs.svg") },
    Logo { slug: "npm", color: "#CB3837", svg: include_str!("logos/npm.svg") },
    Logo { slug: "nuget", color: "#004880", svg: include_str!("logos/nuget.svg") },
    Logo { slug: "pytest", color: "#0A9EDC", svg: include_str!("logos/pytest.svg") },
    Logo { slug: "python", color: "#3776AB", svg: include_str!("logos/python.svg") },
    Logo { slug: "selenium", color: "#43B02A", svg: include_str!("logos/selenium.svg") },
    Logo { slug: "testcafe", color: "#36B6E5", svg: include_str!("logos/testcafe.svg") },
    Logo { slug: "vitest", color: "#00FF74", svg: include_str!("logos/vitest.svg") },
];

impl Logo {
    /// The logo with this slug, in any case.
    pub(super) fn parse(slug: &str) -> Option<Self> {
        LOGOS.into_iter().find(|logo| logo.slug.eq_ignore_ascii_case(slug))
    }

    /// The logo as a `data:` URI, in `paint` or else in the color of the brand. A color that would be lost on the label
    /// gives way to a neutral one.
    pub(super) fn data_uri(self, paint: Option<&Paint>, is_social: bool) -> String {
        let brightness = Paint::hex(self.color.into()).brightness();
        let fill = match paint {
            Some(paint) => paint.to_string(),
            None if is_social && brightness >= Brightness::LIGHT_MIN => "#333".to_owned(),
            None if !is_social && brightness <= Brightness::DARK_MAX => "whitesmoke".to_owned(),
            None => self.color.to_owned(),
        };
        let svg = self.svg.replacen("<svg", &format!("<svg fill=\"{fill}\""), 1);
        format!("data:image/svg+xml;base64,{}", STANDARD.encode(svg))
    }
}
