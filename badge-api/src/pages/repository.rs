//! `/repos/{owner}/{repo}`: the state of a repository's branches, and the history of one of them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use badgesmith_api::http::{Request, Response};
use badgesmith_aws::dynamodb::{Results, SlotPage, StoreError};
use badgesmith_domain::ids::{Branch, Platform, Repository};
use badgesmith_domain::key::ResultOrder;
use badgesmith_domain::test_result::TestResult;
use badgesmith_domain::timestamp::Timestamp;
use futures_util::future::{try_join, try_join_all};
use maud::{Markup, html};

use super::layout::{age, chip, document, message};
use super::overview::{BranchState, Overview};
use super::path::{branch_path, repository_path};
use super::runs::{RUNS_MAX, Runs};
use super::site::Site;
use super::{branches, failed_tests, recent_results, run_chart, snippets, suites};
use crate::respond::{self, CachePolicy};

/// The maximum size of the page without its head and its foot, in bytes. With them, it has at most 30,000.
const CONTENT_BYTES_MAX: usize = 28_000;
/// The maximum number of slots in the overview. One query reads 1 MB, which is about 1,800 slots.
const OVERVIEW_SLOTS_MAX: usize = 2000;
/// The maximum number of slots of the chosen branch.
const BRANCH_SLOTS_MAX: usize = 1000;
/// The maximum number of results of a platform. With three suites, these are the last 100 runs.
const RESULTS_MAX: usize = 300;

/// The page of a repository. It takes at most five queries: one of all slots, one of the slots of a branch, and one of
/// the history of each platform.
///
/// # Errors
/// [`StoreError`] if DynamoDB fails or an item is corrupt.
pub(super) async fn page(
    results: &Results,
    request: Request<'_>,
    owner: &str,
    repo: &str,
    site: &Site<'_>,
    now: Timestamp,
) -> Result<Response, StoreError> {
    let (Ok(owner), Ok(repo)) = (owner.parse(), repo.parse()) else {
        let text = "An owner and a repository name each have 1 to 100 of the characters A-Z a-z 0-9 . _ -";
        return Ok(respond::page_not_found(message("Not a repository", text)));
    };
    let repository = Repository { owner, repo };
    let query = request.query();
    let asked = match query.get("branch").map(str::parse::<Branch>) {
        None => None,
        Some(Ok(branch)) => Some(branch),
        Some(Err(error)) => {
            let text = format!("The name of the branch is invalid: {error}.");
            return Ok(respond::page_not_found(message("Not a branch", &text)));
        }
    };
    let read = Box::pin(read(results, &repository, asked, now)).await?;
    let path = read.path();
    let is_found = read.chosen.is_some();
    let title = format!(
        "{repository}{}",
        read.branch.as_ref().map(|branch| format!(" · {branch}")).unwrap_or_default()
    );
    let newest = read.newest().map(|newest| newest.min(now));
    let text = document(&title, site.absolute(&path).as_deref(), &read.draw(site, now));
    Ok(if is_found {
        respond::page(request, text, CachePolicy::TestResults, newest)
    } else {
        respond::page_not_found(text)
    })
}

/// What the page shows.
struct RepositoryPage {
    repository: Repository,
    overview: Overview,
    /// The chosen branch, or the default branch. `None` if there is no branch.
    branch: Option<Branch>,
    /// `None` if that branch has no results.
    chosen: Option<BranchState>,
    history: History,
}

/// The last results of a branch.
#[derive(Debug, Default)]
struct History {
    newest_first: Vec<TestResult>,
    /// There may be more results up to this time.
    complete_after: Option<Timestamp>,
}

async fn read(
    results: &Results,
    repository: &Repository,
    asked: Option<Branch>,
    now: Timestamp,
) -> Result<RepositoryPage, StoreError> {
    let slots_of = async |branch: Option<&Branch>| {
        let Some(branch) = branch else { return Ok(None) };
        let page = results.slots(repository, Some(branch), BRANCH_SLOTS_MAX, None).await?;
        Ok(page.and_then(|SlotPage { slots, next }| BranchState::new(slots, next.is_some(), now)))
    };
    let (page, mut chosen) =
        try_join(results.slots(repository, None, OVERVIEW_SLOTS_MAX, None), slots_of(asked.as_ref())).await?;
    let mut overview = Overview::new(page.unwrap_or_default(), now);
    let mut branch = asked;
    if branch.is_none() {
        let of_default =
            overview.branches.iter().find(|state| Some(&state.branch) == overview.default.as_ref());
        chosen = match of_default {
            Some(state) => Some(state.clone()),
            None => slots_of(overview.default.as_ref()).await?,
        };
        // The default branch may have no results.
        chosen = chosen.or_else(|| overview.branches.first().cloned());
        branch = chosen.as_ref().map(|state| state.branch.clone());
    }
    if let Some(state) = &chosen {
        overview.add(state);
    }
    let history = match &chosen {
        Some(state) => history(results, repository, state).await?,
        None => History::default(),
    };
    Ok(RepositoryPage { repository: repository.clone(), overview, branch, chosen, history })
}

/// The last results on each platform that has slots.
async fn history(
    results: &Results,
    repository: &Repository,
    state: &BranchState,
) -> Result<History, StoreError> {
    let mut suites: BTreeMap<Platform, BTreeSet<_>> = BTreeMap::new();
    for slot in &state.slots {
        suites.entry(slot.run.platform).or_default().insert(&slot.run.suite);
    }
    let newest = suites.into_iter().map(|(platform, suites)| {
        let count_max = (suites.len() * RUNS_MAX).min(RESULTS_MAX);
        results.newest(repository, platform, &state.branch, count_max)
    });
    let mut history = History::default();
    for (results, has_more) in try_join_all(newest).await? {
        let oldest = results.last().filter(|_| has_more).map(|result| result.run.timestamp);
        history.complete_after = history.complete_after.max(oldest);
        history.newest_first.extend(results);
    }
    history.newest_first.sort_by_cached_key(|result| Reverse(ResultOrder::of(result)));
    Ok(history)
}

impl RepositoryPage {
    fn path(&self) -> String {
        match &self.branch {
            Some(branch) if self.overview.default.as_ref() != Some(branch) => {
                branch_path(&self.repository, branch)
            }
            Some(_) | None => repository_path(&self.repository),
        }
    }

    /// When the repository last reported.
    fn newest(&self) -> Option<Timestamp> {
        self.overview.branches.iter().chain(&self.chosen).map(|state| state.newest).max()
    }

    fn draw(&self, site: &Site<'_>, now: Timestamp) -> Markup {
        let hero = self.hero(now);
        let branches = branches::draw(&self.repository, &self.overview, self.branch.as_ref(), now);
        let sections = self.chosen.as_ref().map(|state| self.sections(state, now)).unwrap_or_default();
        // The snippets and the last results share what is left of the page.
        let left = CONTENT_BYTES_MAX.saturating_sub(hero.0.len() + branches.0.len() + sections.0.len());
        let last = match &self.branch {
            Some(branch) => snippets::tests(&self.repository, branch, left, site),
            None => self.empty(site),
        };
        let left = left.saturating_sub(last.0.len());
        html! {
            (hero)
            div.columns {
                (branches)
                div {
                    (sections)
                    @if self.chosen.is_some() { (recent_results::draw(&self.history.newest_first, left, now)) }
                    (last)
                }
            }
        }
    }

    fn hero(&self, now: Timestamp) -> Markup {
        html! {
            div.hero {
                p.eyebrow { "Test results" }
                h1 { bdi { (self.repository.owner) } span.slash { "/" } bdi { (self.repository.repo) } }
                p.lead {
                    @match (&self.chosen, &self.branch) {
                        (Some(state), _) => {
                            (chip(&state.badge)) " " span { "on " bdi.ref { (state.branch) } ", " }
                            span.muted { "last result " (age(state.newest, now)) }
                        }
                        (None, Some(branch)) => { "No results on " bdi.ref { (branch) } " yet." }
                        (None, None) => { "No results yet." }
                    }
                }
            }
        }
    }

    fn sections(&self, state: &BranchState, now: Timestamp) -> Markup {
        let History { newest_first, complete_after } = &self.history;
        let runs = Runs::new(newest_first, *complete_after);
        html! {
            (suites::draw(&state.slots, now))
            (run_chart::draw(&runs))
            (failed_tests::draw(&state.slots, newest_first, &runs, now))
        }
    }

    /// The first steps of a repository without results.
    fn empty(&self, site: &Site<'_>) -> Markup {
        let url = site.absolute("").unwrap_or_else(|| "https://HOST".to_owned());
        html! {
            section {
                h2 { "Send the first result" }
                p { "A registered repository sends its results from CI:" }
                pre { code { "badgesmith submit --url " (url) " --repo " (self.repository) " 'results/**/*.xml'" } }
            }
        }
    }
}
