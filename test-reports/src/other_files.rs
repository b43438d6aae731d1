//! Files of build tools that are not test reports, but that patterns such as `**/*.xml` match.
//!
//! A file is ignored only if it has no results, or if a report has the same results. Any other file is an error,
//! because a run without its tests would look better than it is.

/// The root element, its first child if that matters (empty if there must be none), and what the file is.
pub(crate) const XML: &[(&str, Option<&str>, &str)] = &[
    ("failsafe-summary", None, "Failsafe's summary of other reports"),
    ("testng-results", None, "TestNG's own results, which its JUnit reports repeat"),
    ("suite", None, "a TestNG suite definition"),
    ("Site", None, "CTest's results for CDash (pass --output-junit to ctest for a report)"),
    ("coverage", None, "a coverage report (Cobertura or Clover)"),
    ("CoverageSession", None, "a coverage report (OpenCover)"),
    ("CoverageDSPriv", None, "a coverage report (Visual Studio)"),
    ("results", Some("modules"), "a coverage report (Visual Studio)"),
    ("results", Some("cppcheck"), "a Cppcheck report"),
    ("report", Some("sessioninfo"), "a coverage report (JaCoCo)"),
    ("report", Some("group"), "a coverage report (JaCoCo)"),
    ("report", Some("package"), "a coverage report (JaCoCo)"),
    ("report", Some("counter"), "a coverage report (JaCoCo)"),
    ("report", Some(""), "a coverage report (JaCoCo)"),
    ("checkstyle", None, "a Checkstyle report"),
    ("pmd", None, "a PMD report"),
    ("pmd-cpd", None, "a PMD report"),
    ("BugCollection", None, "a SpotBugs report"),
    ("issues", None, "an Android Lint report"),
    ("bom", None, "a software bill of materials (CycloneDX)"),
    ("project", None, "a project file (Maven or Ant)"),
    ("phpunit", None, "PHPUnit's configuration"),
    ("RunSettings", None, "settings of dotnet test"),
    ("doc", None, "documentation of a .NET assembly"),
    ("robot", None, "Robot Framework's own results (pass --xunit to robot for a report)"),
    ("events", None, "Open Test Reporting, which JUnit's XML reports repeat"),
    ("testExecutions", None, "test executions for SonarQube, which other reports repeat"),
    ("mutations", None, "a mutation report (PIT)"),
    ("valgrindoutput", None, "a Valgrind report"),
    ("analysis", None, "a report of OWASP Dependency-Check"),
    ("package", None, "a package manifest of ROS"),
];

/// What the file with this root element is, if it is a known file that is not a report.
pub(crate) fn describe(root: &str, first_child: Option<&str>) -> Option<&'static str> {
    let matches = |child: Option<&str>| child.is_none() || child == Some(first_child.unwrap_or_default());
    XML.iter().find(|(name, child, _)| *name == root && matches(*child)).map(|(.., what)| *what)
}
