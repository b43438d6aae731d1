//! The output of `badgesmith doctor`.

use std::fmt;

use serde::Serialize;

use crate::terminal::{Paint, printable};

#[derive(Serialize)]
pub(super) struct Report {
    pub(super) checks: Vec<Check>,
}

#[derive(Serialize)]
pub(super) struct Check {
    #[serde(rename = "check")]
    pub(super) name: &'static str,
    pub(super) ok: bool,
    /// Whether the service works, but the operator should act.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) warning: bool,
    /// What was found, or what is wrong.
    pub(super) detail: String,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.checks.iter().map(|check| check.name.len()).max().unwrap_or_default();
        for (number, Check { name, ok, warning, detail }) in self.checks.iter().enumerate() {
            let mark = match (ok, warning) {
                (false, _) => Paint::Red.on("FAILED"),
                (true, true) => Paint::Yellow.on("WARN  "),
                (true, false) => Paint::Green.on("ok    "),
            };
            let line_break = if number == 0 { "" } else { "\n" };
            write!(f, "{line_break}{mark}  {name:width$}  {}", printable(detail))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_has_a_line_for_each_check() {
        let report = Report {
            checks: vec![
                Check {
                    name: "credentials",
                    ok: true,
                    warning: false,
                    detail: "access key AKIA, region us-east-1".to_owned(),
                },
                Check {
                    name: "deletion protection",
                    ok: true,
                    warning: true,
                    detail: "off for t".to_owned(),
                },
                Check { name: "clock", ok: false, warning: false, detail: "no\u{7} answer".to_owned() },
            ],
        };
        insta::assert_snapshot!(report, @r"
        ok      credentials          access key AKIA, region us-east-1
        WARN    deletion protection  off for t
        FAILED  clock                no� answer
        ");
        insta::assert_json_snapshot!(report, @r#"
        {
          "checks": [
            {
              "check": "credentials",
              "ok": true,
              "detail": "access key AKIA, region us-east-1"
            },
            {
              "check": "deletion protection",
              "ok": true,
              "warning": true,
              "detail": "off for t"
            },
            {
              "check": "clock",
              "ok": false,
              "detail": "no\u0007 answer"
            }
          ]
        }
        "#);
    }
}
