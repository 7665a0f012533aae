//! Whether the users may do far more than a run does: what goes wrong with such a user goes wrong everywhere.

use millrace_model::Failure;

use super::{Finding, Subject, text};

const CHECK: &str = "rights";

const CODE: &str = "preflight.superuser";

pub(super) async fn check(subject: &Subject<'_>) -> Result<Vec<Finding>, Failure> {
    let mut found = Vec::new();
    let query = "SELECT rolname, rolsuper::text FROM pg_catalog.pg_roles WHERE rolname = current_user";
    if let Some(rows) = subject.ask_source(query).await?
        && let Some(row) = rows.first()
        && text(row, 1) == "true"
    {
        found.push(format!("the source's user {} is a superuser, and a run only reads there", text(row, 0)));
    }
    if let Some(rows) = subject.ask_target("SHOW GRANTS").await?
        && rows.iter().any(|row| gives_everything(text(row, 0)))
    {
        found.push("the target's user may do everything in every database, and a run needs one database".to_owned());
    }
    if found.is_empty() {
        return Ok(vec![Finding::pass(CHECK, "no user has rights over everything")]);
    }
    Ok(vec![Finding::warn(CHECK, CODE, found.join("; "))])
}

fn gives_everything(grant: &str) -> bool {
    grant.starts_with("GRANT ALL PRIVILEGES ON *.* ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_of_one_database_is_not_one_of_everything() {
        assert!(gives_everything("GRANT ALL PRIVILEGES ON *.* TO 'root' WITH GRANT OPTION"));
        assert!(!gives_everything("GRANT ALL PRIVILEGES ON `shop`.* TO 'guest'"));
        assert!(!gives_everything("GRANT USAGE ON *.* TO 'guest'"));
    }
}
