//! Registers the repositories that have a secret of their own.

use badgesmith_aws::clock::Clock;
use badgesmith_domain::registration::{ActiveRegistration, Registration};

use super::RepositoryStore;
use super::output::ImportSummary;
use crate::error::CliError;
use crate::output::Output;
use crate::terminal::Progress;

pub(super) async fn import(store: &RepositoryStore) -> Result<Output, CliError> {
    let names = store.secrets.names().await?;
    let mut summary = ImportSummary::default();
    let mut repositories = Vec::new();
    for name in names {
        match store.secret_names.repository_of(&name) {
            Some((repository, true)) => repositories.push(repository),
            Some((_, false)) => summary.ignored.push(name),
            None => {}
        }
    }
    repositories.sort_by_cached_key(ToString::to_string);
    let mut progress = Progress::new();
    let total = u64::try_from(repositories.len()).unwrap_or(u64::MAX);
    for (done, repository) in repositories.iter().enumerate() {
        let registration = Registration::Active(ActiveRegistration::with_own_secret(Clock::System.now()));
        let name = repository.to_string();
        if store.registrations.put(repository, &registration, None).await? {
            summary.registered.push(name);
        } else if let Registration::Removed(_) = store.find(repository).await?.registration {
            summary.removed.push(name);
        } else {
            summary.unchanged.push(name);
        }
        progress.bar("checked", done + 1, total);
    }
    drop(progress);
    Ok(Output::new(&summary).note("New registrations are usable within 1 minute."))
}
