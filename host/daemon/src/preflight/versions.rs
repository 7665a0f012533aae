//! Whether both servers are of versions that are understood.

use millrace_model::Failure;

use super::{Finding, Subject};

const CHECK: &str = "versions";

/// PostgreSQL's oldest that is read, and newest that was tried, as `server_version_num`.
const OLDEST_POSTGRES: u32 = 120_000;
const NEWEST_POSTGRES: u32 = 189_999;

pub(super) fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(source) = &subject.databases.source {
        findings.push(postgres(source.version(), source.version_number()));
    }
    if let Some(target) = &subject.databases.target {
        findings.push(mysql(target.dialect(), target.version(), target.banner()));
    }
    findings
}

fn postgres(version: &str, number: u32) -> Finding {
    if number < OLDEST_POSTGRES {
        let message = format!("the source is PostgreSQL {version}; 12 is the oldest that is read");
        return Finding::fail(CHECK, Failure::unsupported("database.too-old", message));
    }
    if number > NEWEST_POSTGRES {
        let message = format!("the source is PostgreSQL {version}, and 18 is the newest that was tried");
        return Finding::warn(CHECK, "preflight.untested-version", message);
    }
    Finding::pass(CHECK, format!("the source is PostgreSQL {version}"))
}

fn mysql(dialect: &str, version: &str, banner: &str) -> Finding {
    // OceanBase announces MySQL's version first, and its own in the comment.
    let own = if dialect == "oceanbase" { banner } else { version };
    let major = own.split(|c: char| !c.is_ascii_digit() && c != '.').find(|part| !part.is_empty());
    let major: Option<u32> = major.and_then(|v| v.split('.').next()).and_then(|v| v.parse().ok());
    let oldest = match dialect {
        "oceanbase" => 4,
        "mariadb" => 10,
        _ => 8,
    };
    match major {
        Some(major) if major < oldest => Finding::warn(
            CHECK,
            "preflight.untested-version",
            format!("the target is {dialect} {own}, and {oldest} is the oldest that was tried"),
        ),
        _ => Finding::pass(CHECK, format!("the target is {dialect} {version}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn versions_beyond_both_ends_are_told() {
        assert_eq!(postgres("11.22", 110_022).verdict, Verdict::Fail);
        assert_eq!(postgres("12.1", 120_001).verdict, Verdict::Pass);
        assert_eq!(postgres("18.4", 180_004).verdict, Verdict::Pass);
        assert_eq!(postgres("19beta1", 190_000).verdict, Verdict::Warn);
        let seekdb = mysql("oceanbase", "5.7.25-OceanBase seekdb-v1.4.0.0", "OceanBase 4.3.5.3 seekdb (r1.4.0.0)");
        assert_eq!(seekdb.verdict, Verdict::Pass);
        assert_eq!(mysql("oceanbase", "5.7.25-OceanBase", "OceanBase 3.1.4").verdict, Verdict::Warn);
        assert_eq!(mysql("mysql", "5.7.44", "").verdict, Verdict::Warn);
        assert_eq!(mysql("mysql", "8.4.2", "").verdict, Verdict::Pass);
        assert_eq!(mysql("mariadb", "10.11.6-MariaDB", "").verdict, Verdict::Pass);
    }
}
