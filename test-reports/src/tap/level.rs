//! A stream or a subtest, and its test points.

use super::line;
use crate::counts::Outcome;

/// A test point that counts, or several without a name.
#[derive(Debug)]
pub(super) struct Point {
    pub(super) name: String,
    pub(super) outcome: Outcome,
    pub(super) number: u64,
    /// Whether it is another attempt of the point before it.
    pub(super) repeats: bool,
}

impl Point {
    fn new(point: &line::Point<'_>) -> Self {
        Self { name: point.description.to_owned(), outcome: point.outcome, number: 1, repeats: false }
    }

    /// Planned points that are missing.
    pub(super) fn missing(number: u64) -> Option<Self> {
        (number > 0).then(|| Self { name: String::new(), outcome: Outcome::Failed, number, repeats: false })
    }
}

#[derive(Debug, Default)]
pub(super) struct Level {
    pub(super) points: Vec<Point>,
    pub(super) number_of_points: u64,
    pub(super) planned: Option<u64>,
    /// Whether the plan came after test points.
    pub(super) is_planned_late: bool,
    /// Whether the plan has a reason to skip everything.
    pub(super) skips_all: bool,
    /// The number of the last test point.
    last: Option<u64>,
    /// The test point whose subtest follows in braces.
    opened: Option<Point>,
}

impl Level {
    /// How many test points of the plan are missing.
    pub(super) fn missing(&self) -> u64 {
        self.planned.unwrap_or_default().saturating_sub(self.number_of_points)
    }

    pub(super) fn is_fulfilled(&self) -> bool {
        self.planned == Some(self.number_of_points)
    }

    /// Whether a point is another attempt of the last one.
    pub(super) fn repeats(&self, point: &line::Point<'_>) -> bool {
        point.number.is_some()
            && point.number == self.last
            && !self.is_planned_late
            && self.points.last().is_some_and(|last| last.name == point.description)
    }

    pub(super) fn skip_all(&mut self) {
        self.skips_all = true;
        let (name, outcome) = (String::new(), Outcome::Skipped);
        self.points.push(Point { name, outcome, number: 1, repeats: false });
    }

    /// Counts a test point, with the subtest before it.
    pub(super) fn point(&mut self, point: &line::Point<'_>, subtest: Option<Vec<Point>>) {
        if subtest.is_none() && self.repeats(point) {
            self.points.push(Point { repeats: true, ..Point::new(point) });
            return;
        }
        self.number_of_points += 1;
        self.last = point.number;
        if point.opens && subtest.is_none() {
            self.opened = Some(Point::new(point));
        } else {
            self.add(Point::new(point), subtest);
        }
    }

    /// Counts a test point and the subtest that it sums up.
    fn add(&mut self, point: Point, subtest: Option<Vec<Point>>) {
        let Some(mut subtest) = subtest.filter(|subtest| !subtest.is_empty()) else {
            self.points.push(point);
            return;
        };
        let failed = |inner: &Point| inner.outcome == Outcome::Failed;
        match point.outcome {
            Outcome::Failed if !subtest.iter().any(failed) => subtest.push(point),
            Outcome::Skipped => {
                for inner in subtest.iter_mut().filter(|inner| failed(inner)) {
                    inner.outcome = Outcome::Skipped;
                }
            }
            Outcome::Passed | Outcome::Failed => {}
        }
        self.points.append(&mut subtest);
    }

    /// Counts the test point that opened this subtest. Without one, returns the subtest.
    pub(super) fn close(&mut self, subtest: Option<Vec<Point>>) -> Option<Vec<Point>> {
        let Some(point) = self.opened.take() else { return subtest };
        self.add(point, subtest);
        None
    }
}
