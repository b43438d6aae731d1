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
    /// What was found, or what is wrong.
    pub(super) detail: String,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.checks.iter().map(|check| check.name.len()).max().unwrap_or_default();
        for (number, Check { name, ok, detail }) in self.checks.iter().enumerate() {
            let mark = if *ok { Paint::Green.on("ok    ") } else { Paint::Red.on("FAILED") };
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
                    detail: "access key AKIA, region us-east-1".to_owned(),
                },
                Check { name: "clock", ok: false, detail: "no\u{7} answer".to_owned() },
            ],
        };
        insta::assert_snapshot!(report, @r"
        ok      credentials  access key AKIA, region us-east-1
        FAILED  clock        no� answer
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
              "check": "clock",
              "ok": false,
              "detail": "no\u0007 answer"
            }
          ]
        }
        "#);
    }
}
