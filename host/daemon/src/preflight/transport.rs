//! How both databases are spoken with: what was agreed when they were opened.

use millrace_database::Transport;

use super::{Finding, Subject};

const CHECK: &str = "transport";

pub(super) fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let source = subject.databases.source.as_ref().map(|source| judge("source", source.transport()));
    let target = subject.databases.target.as_ref().map(|target| judge("target", target.transport()));
    source.into_iter().chain(target).collect()
}

fn judge(database: &str, transport: &Transport) -> Finding {
    let message = format!("the {database} is spoken with through {transport}");
    match transport {
        Transport::Plain { local: false, chosen: false } => Finding::warn(CHECK, "preflight.plain-text", message),
        _ => Finding::pass(CHECK, message),
    }
}

#[cfg(test)]
mod tests {
    use millrace_database::Certificate;

    use super::super::Verdict;
    use super::*;

    #[test]
    fn plain_text_that_nobody_asked_for_is_told() {
        let plain = |local, chosen| judge("source", &Transport::Plain { local, chosen }).verdict;
        assert_eq!(plain(false, false), Verdict::Warn);
        assert_eq!(plain(false, true), Verdict::Pass);
        assert_eq!(plain(true, false), Verdict::Pass);
        let encrypted =
            Transport::Encrypted { protocol: Some("TLSv1.3".into()), certificate: Certificate::NotVerified };
        let finding = judge("target", &encrypted);
        assert_eq!(finding.verdict, Verdict::Pass);
        assert_eq!(finding.message, "the target is spoken with through TLSv1.3, its certificate not verified");
    }
}
