//! The formats of test reports.

use std::fmt;

/// The format of a test report. Displays as its common name, for example `JUnit XML`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// `<testsuites>` or `<testsuite>`, which runners of all languages write.
    JUnit,
    /// `<TestRun>` with `<Results>`, from `dotnet test --logger trx` and Visual Studio.
    Trx,
    /// `<test-run>`, from `NUnit` 3 and later.
    NUnit,
    /// `<test-results>`, from `NUnit` 2 and Pester.
    NUnit2,
    /// `<assemblies>` or `<assembly>`, from xUnit.net.
    XUnit,
    /// `<TestRun>` with `<SuccessfulTests>`, from `CppUnit` and `AUnit`.
    CppUnit,
    /// Test Anything Protocol, versions 12 to 14, and the kernel's KTAP.
    Tap,
    /// The text that `cargo test` prints.
    CargoTest,
    /// The text that `cargo nextest run` prints.
    Nextest,
    /// The lines of JSON that libtest prints with `--format json`.
    Libtest,
    /// The lines of JSON that `go test -json` prints.
    GoTest,
    /// The text that `go test -v` prints.
    GoText,
    /// The lines of JSON that `dart test` and `flutter test` print with `--reporter json`.
    Dart,
    /// Common Test Report Format, one object of JSON.
    Ctrf,
    /// The object of JSON that Mocha's reporter `json` writes.
    Mocha,
    /// The object of JSON that `RSpec`'s formatter `json` writes.
    RSpec,
}

impl Format {
    /// The common name.
    pub fn name(self) -> &'static str {
        match self {
            Self::JUnit => "JUnit XML",
            Self::Trx => "TRX",
            Self::NUnit => "NUnit XML",
            Self::NUnit2 => "NUnit 2 XML",
            Self::XUnit => "xUnit.net XML",
            Self::CppUnit => "CppUnit XML",
            Self::Tap => "TAP",
            Self::CargoTest => "cargo test output",
            Self::Nextest => "nextest output",
            Self::Libtest => "libtest JSON",
            Self::GoTest => "go test JSON",
            Self::GoText => "go test output",
            Self::Dart => "Dart test JSON",
            Self::Ctrf => "CTRF",
            Self::Mocha => "Mocha JSON",
            Self::RSpec => "RSpec JSON",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
