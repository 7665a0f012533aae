//! Whether locking accounts would keep their owners from writing: not where one of their sessions could be on a server
//! that lists it to nobody.

use millrace_model::{Failure, StageKind};
use millrace_pipeline::FencePolicy;

use super::{Finding, Subject};

const CHECK: &str = "fence";

pub(super) async fn check(subject: &Subject<'_>) -> Result<Vec<Finding>, Failure> {
    let Some(stage) = subject.setup.optional_stage(StageKind::Switcher) else { return Ok(Vec::new()) };
    let cutover = &stage.declaration.cutover;
    let (Some(target), false) = (&subject.databases.target, cutover.accounts.is_empty()) else { return Ok(Vec::new()) };
    if matches!(cutover.fence, FencePolicy::Tables | FencePolicy::None) {
        return Ok(Vec::new());
    }
    let target = target.with_cancel(subject.cancel);
    Ok(vec![judge(cutover.fence, target.accounts_unsafe().await?)])
}

/// `risk`: why the accounts are no fence.
fn judge(policy: FencePolicy, risk: Option<String>) -> Finding {
    const CODE: &str = "switch.no-fence";
    let Some(risk) = risk else {
        return Finding::pass(
            CHECK,
            "the sessions of the accounts that are locked for the switch can be listed and ended",
        );
    };
    let message = format!("locking accounts would not keep writers off: {risk}");
    match policy {
        FencePolicy::Accounts => Finding::fail(CHECK, Failure::unsupported(CODE, message)),
        _ => Finding::warn(CHECK, CODE, format!("{message}; the accounts are left alone")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_fence_that_cannot_hold_is_refused_where_it_is_asked_for_and_told_elsewhere() {
        let risk = || Some("the sessions of other users are not listed".to_owned());
        assert_eq!(judge(FencePolicy::Accounts, risk()).verdict, Verdict::Fail);
        assert_eq!(judge(FencePolicy::Auto, risk()).verdict, Verdict::Warn);
        assert_eq!(judge(FencePolicy::Accounts, None).verdict, Verdict::Pass);
    }
}
