//! Whether both users may do what a run does.

use std::collections::BTreeSet;

use millrace_model::quantity::counted;
use millrace_model::{Failure, Table};

use super::{Finding, Subject, text};

const CHECK: &str = "privileges";

/// What a run does on the target.
const NEEDED: [&str; 8] = ["SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "INDEX"];

/// What giving a table a foreign key takes besides. MariaDB has the privilege and never asks for it.
const FOR_FOREIGN_KEYS: &str = "REFERENCES";

/// What this run does on a target of this dialect.
fn needed(tables: &[Table], dialect: &str) -> Vec<&'static str> {
    let refers = dialect != "mariadb" && tables.iter().any(|table| !table.foreign_keys.is_empty());
    NEEDED.into_iter().chain(refers.then_some(FOR_FOREIGN_KEYS)).collect()
}

pub(super) async fn check(subject: &Subject<'_>) -> Result<Vec<Finding>, Failure> {
    let mut findings = Vec::new();
    if let Some(source) = &subject.databases.source {
        let problems = source.with_cancel(subject.cancel).server_checks(&subject.tables).await?;
        let problems: Vec<Failure> = problems.into_iter().filter(|p| p.code != "database.too-old").collect();
        if problems.is_empty() {
            let message =
                format!("the source's user may read all of {}", counted(subject.tables.len() as u64, "table"));
            findings.push(Finding::pass(CHECK, message));
        }
        findings.extend(problems.into_iter().map(|problem| Finding::fail(CHECK, problem)));
    }
    if let Some(target) = &subject.databases.target {
        if let Err(failure) = target.require_writable() {
            findings.push(Finding::fail(CHECK, failure));
        }
        let grants = subject.ask_target("SHOW GRANTS").await?;
        let grants: Option<Vec<String>> = grants.map(|rows| rows.iter().map(|row| text(row, 0).to_owned()).collect());
        let needed = needed(&subject.tables, target.dialect());
        findings.push(match grants.map(|grants| missing(needed, &grants, target.database())) {
            None => Finding::pass(CHECK, "the target does not show what its user may do"),
            Some(missing) if missing.is_empty() => {
                Finding::pass(CHECK, format!("the target's user may write to {}", target.database()))
            }
            Some(missing) => {
                let message =
                    format!("the user of database `target` may not {} in {}", missing.join(", "), target.database());
                Finding::fail(CHECK, Failure::config("database.missing-privilege", message))
            }
        });
    }
    Ok(findings)
}

/// Of what is needed in the database, what none of these grants gives. Grants of single tables do not count: a run
/// makes tables. Where a role is granted nobody can tell, and nothing is missing.
fn missing(needed: Vec<&'static str>, grants: &[String], database: &str) -> Vec<&'static str> {
    let mut held = BTreeSet::new();
    for grant in grants {
        let Some(rest) = grant.strip_prefix("GRANT ") else { continue };
        let Some((privileges, rest)) = rest.split_once(" ON ") else { return Vec::new() };
        let Some((place, _)) = rest.split_once(" TO ") else { continue };
        let place: String = place.chars().filter(|c| !matches!(c, '`' | '\\')).collect();
        if place != "*.*" && !place.eq_ignore_ascii_case(&format!("{database}.*")) {
            continue;
        }
        for privilege in privileges.split(',').map(str::trim) {
            if privilege.starts_with("ALL") {
                return Vec::new();
            }
            held.insert(privilege.to_ascii_uppercase());
        }
    }
    needed.into_iter().filter(|needed| !held.contains(*needed)).collect()
}

#[cfg(test)]
mod tests {
    use millrace_model::{ForeignKey, TableName};

    use super::*;

    fn missing_of(grants: &[&str]) -> Vec<&'static str> {
        missing(NEEDED.to_vec(), &grants.iter().map(|g| (*g).to_owned()).collect::<Vec<_>>(), "shop_1")
    }

    #[test]
    fn grants_are_read_as_servers_write_them() {
        assert_eq!(missing_of(&["GRANT ALL PRIVILEGES ON *.* TO 'root' WITH GRANT OPTION"]), [""; 0]);
        let usage = "GRANT USAGE ON *.* TO 'guest'";
        assert_eq!(missing_of(&[usage, "GRANT ALL PRIVILEGES ON `shop_1`.* TO 'guest'"]), [""; 0]);
        assert_eq!(missing_of(&[usage, "GRANT ALL PRIVILEGES ON `shop\\_1`.* TO `guest`@`%`"]), [""; 0]);
        assert_eq!(missing_of(&[usage, "GRANT ALL PRIVILEGES ON `other`.* TO 'guest'"]), NEEDED);
        assert_eq!(
            missing_of(&[usage, "GRANT INSERT, SELECT ON `shop_1`.* TO 'guest'"]),
            ["UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "INDEX"]
        );
        assert_eq!(missing_of(&[usage, "GRANT ALL PRIVILEGES ON `shop_1`.`orders` TO 'guest'"]), NEEDED);
        assert_eq!(missing_of(&[usage, "GRANT `writer`@`%` TO `guest`@`%`"]), [""; 0], "a role may give anything");
    }

    #[test]
    fn a_run_that_makes_foreign_keys_may_refer_to_tables() {
        let key = ForeignKey {
            name: "f".to_owned(),
            columns: vec!["a".to_owned()],
            references: TableName::bare("other"),
            referenced_columns: vec!["b".to_owned()],
            on_delete: String::new(),
            on_update: String::new(),
            deferrable: false,
        };
        let refers = Table { foreign_keys: vec![key], ..Table::default() };
        let plain = Table::default();
        assert_eq!(needed(std::slice::from_ref(&plain), "oceanbase"), NEEDED);
        let both = [plain, refers];
        assert!(needed(&both, "oceanbase").contains(&"REFERENCES"));
        assert_eq!(needed(&both, "mariadb"), NEEDED);
        let granted = format!("GRANT {} ON `shop_1`.* TO 'guest'", NEEDED.join(", "));
        assert_eq!(missing(needed(&both, "mysql"), &[granted], "shop_1"), ["REFERENCES"]);
    }
}
