//! How a pipeline lets writers be kept off while names are swapped, and what a plan says about it.

use millrace_database::mysql::{FenceMeans, Locks};
use millrace_model::StageKind;
use millrace_model::plan::FenceOutlook;
use millrace_pipeline::FencePolicy;

use crate::databases::Databases;
use crate::setup::Setup;

/// How the pipeline lets writers be kept off.
pub(crate) fn means(setup: &Setup) -> FenceMeans {
    let Some(stage) = setup.optional_stage(StageKind::Switcher) else { return FenceMeans::default() };
    let cutover = &stage.declaration.cutover;
    let accounts = cutover.accounts.clone();
    match cutover.fence {
        FencePolicy::Auto => FenceMeans { locks: Locks::Safe, accounts, required: false },
        FencePolicy::Tables => FenceMeans { locks: Locks::Held, accounts: Vec::new(), required: true },
        FencePolicy::Accounts => FenceMeans { locks: Locks::Never, accounts, required: true },
        FencePolicy::None => FenceMeans::default(),
    }
}

/// What the plan says about the fence. None: nothing is switched, or the target was not asked.
pub(crate) fn outlook(setup: &Setup, databases: &Databases) -> Option<FenceOutlook> {
    let stage = setup.optional_stage(StageKind::Switcher)?;
    let target = databases.target.as_ref()?;
    let cutover = &stage.declaration.cutover;
    let hook = stage.declaration.before.is_some();
    let weaker = if !cutover.accounts.is_empty() {
        format!("locking the accounts {} and ending their sessions", cutover.accounts.join(", "))
    } else if hook {
        "the before hook, and then nothing but the rename itself".to_owned()
    } else {
        "nothing but the rename itself".to_owned()
    };
    let atomic = "the rename is atomic, and waits for open transactions without keeping others from writing";
    let said = |means: &str, why: String| Some(FenceOutlook { means: means.to_owned(), why });
    match (cutover.fence, target.locks_unsafe()) {
        (FencePolicy::None, _) => said(&weaker, format!("the pipeline asks for no fence; {atomic}")),
        (FencePolicy::Accounts, _) => said(&weaker, "the pipeline asks for it".to_owned()),
        (FencePolicy::Tables, Some(risk)) => {
            said("table locks", format!("the pipeline asks for them. Mind that {risk}"))
        }
        (FencePolicy::Tables, None) => {
            said("table locks", "the pipeline asks for them; they are proven by a rehearsal first".to_owned())
        }
        (FencePolicy::Auto, Some(risk)) => said(&weaker, format!("table locks are not used, because {risk}")),
        (FencePolicy::Auto, None) => {
            said("table locks", format!("they are proven by a rehearsal first; if they do not hold, by {weaker}"))
        }
    }
}
