//! The views of the source: which are made in the target, and which cannot be.
//!
//! A view follows its tables when each part of it means the same in the target. Under its name there may stand nothing, or
//! a view that a run has made and nobody has changed since; whatever else stands there is never replaced.

use std::collections::{BTreeMap, BTreeSet};

use millrace_database::dialect::mysql as dialect;
use millrace_database::dialect::mysql::{ReadableTable, TranslatedView, Views};
use millrace_database::mysql::MadeView;
use millrace_model::plan::{FormerView, NotCarried, ViewPlan};
use millrace_model::schema::{DatabaseModel, Object, TableName};
use millrace_model::{Cancel, Failure, StageKind, Strategy, TablePlan};

use crate::databases::Databases;
use crate::setup::Setup;

/// The first-party converter, which makes no other values of what it converts.
pub(super) const FAITHFUL: &str = "convert-oceanbase";

/// What to do about a view that is not carried.
const WRITE_ANEW: &str = "write the view anew in the target, against the new tables";

/// The views that follow the tables, and what to say of the others.
pub(super) async fn plan(
    setup: &Setup,
    databases: &Databases,
    source: &DatabaseModel,
    tables: &[TablePlan],
    current: &DatabaseModel,
    cancel: &Cancel,
) -> Result<(Vec<ViewPlan>, Vec<NotCarried>), Failure> {
    let copies_only =
        setup.optional_stage(StageKind::Copier).is_some() && setup.optional_stage(StageKind::Switcher).is_none();
    let is_view = |object: &&Object| matches!(object.kind.as_str(), "view" | "materialized-view");
    let (selected, left_out): (Vec<&Object>, Vec<&Object>) =
        source.objects.iter().filter(is_view).partition(|view| setup.pipeline.tables.selects_view(&view.name));
    let mut not_carried: Vec<NotCarried> =
        left_out.into_iter().map(|view| refused(view, "the pipeline leaves it out", WRITE_ANEW)).collect();
    if copies_only {
        let reason = "the pipeline has no switcher, and views read live tables";
        not_carried.extend(selected.into_iter().map(|view| refused(view, reason, WRITE_ANEW)));
        return Ok((Vec::new(), not_carried));
    }
    let names = Names::of(setup, databases, &selected, tables);
    let translated =
        dialect::translate_views(&selected, &readable(tables), &|view| names.of_view(view), &current.dialect);
    not_carried.extend(selected.iter().filter_map(|view| leftover(view, &translated)));
    let made = match &databases.target {
        Some(target) => target.with_cancel(cancel).bookkeeping().made_views().await?,
        None => Vec::new(),
    };
    let standing = Standing { current, made: &made };
    let mut views: Vec<ViewPlan> = Vec::new();
    let mut gone: BTreeSet<TableName> = BTreeSet::new();
    for view in translated.carried {
        let decided = match view.reads.iter().find(|read| gone.contains(read)) {
            Some(read) => Err(format!("it reads the view {read}, which is not carried")),
            None => standing.decide(&view),
        };
        match decided {
            Ok(decision) => views.push(planned(view, decision)),
            Err(reason) => {
                gone.insert(view.target.clone());
                not_carried.push(NotCarried {
                    kind: "view".to_owned(),
                    name: view.source.to_string(),
                    reason,
                    advice: WRITE_ANEW.to_owned(),
                });
            }
        }
    }
    let left = made.iter().filter(|made| made.pipeline == setup.pipeline.name && made.refused.is_empty());
    let left = left.filter(|made| standing.shown(&made.view).is_some() && !views.iter().any(|v| v.target == made.view));
    let left: Vec<ViewPlan> = left.map(left_view).collect();
    views.extend(left);
    Ok((views, not_carried))
}

fn refused(view: &Object, reason: &str, advice: &str) -> NotCarried {
    NotCarried {
        kind: view.kind.clone(),
        name: view.name.to_string(),
        reason: reason.to_owned(),
        advice: advice.to_owned(),
    }
}

/// What is said of a view that could not be translated, and of a materialised one.
fn leftover(view: &Object, translated: &Views) -> Option<NotCarried> {
    let reason = translated.refused.iter().find(|(name, _)| *name == view.name).map(|(_, reason)| reason.as_str());
    if view.kind == "view" {
        return reason.map(|reason| refused(view, reason, WRITE_ANEW));
    }
    let job = "make a table, and let a job fill it with what its query gives";
    let plain = translated.suggested.iter().find(|suggested| suggested.source == view.name);
    let advice = match plain {
        Some(plain) => format!("{job}; or make a plain view of it: {}", plain.statement),
        None => job.to_owned(),
    };
    let why = reason.map(|reason| format!("; its query is not carried either, because {reason}")).unwrap_or_default();
    Some(refused(
        view,
        &format!("rows that are kept, and made anew when somebody asks for it, have no counterpart{why}"),
        &advice,
    ))
}

/// The tables that views may read.
fn readable(tables: &[TablePlan]) -> Vec<ReadableTable<'_>> {
    tables.iter().filter_map(readable_one).collect()
}

fn readable_one(table: &TablePlan) -> Option<ReadableTable<'_>> {
    let altered = table
        .mappings
        .iter()
        .filter(|decision| decision.mapping.converts && decision.converter != FAITHFUL)
        .flat_map(|decision| decision.mapping.sources.clone())
        .collect();
    Some(ReadableTable {
        source: table.source_table.as_ref()?,
        mappings: table.mappings.iter().map(|decision| decision.mapping.clone()).collect(),
        altered,
        target: table.desired.as_ref()?,
    })
}

/// The names of views in the target, or why they can have none.
struct Names {
    names: BTreeMap<TableName, Result<TableName, String>>,
}

impl Names {
    fn of(setup: &Setup, databases: &Databases, views: &[&Object], tables: &[TablePlan]) -> Self {
        let lower_case = databases.target.as_ref().is_none_or(|t| t.lower_case_table_names() != 0);
        let mut taken: BTreeMap<String, String> = tables
            .iter()
            .map(|table| (table.target.name.to_lowercase(), format!("the table {}", table.target)))
            .collect();
        let mut names = BTreeMap::new();
        for view in views {
            let wanted = setup.pipeline.tables.target_name(&view.name).name;
            let spelled = if lower_case { wanted.to_lowercase() } else { wanted };
            let name = dialect::shorten(&spelled, dialect::NAME_CHARACTERS);
            let answer = match taken.get(&name.to_lowercase()) {
                _ if name != name.trim_end() || name.starts_with("millrace_") => {
                    Err(format!("the name {name} is none there"))
                }
                Some(owner) => Err(format!("its name in the target, {name}, is that of {owner}")),
                None => Ok(TableName::bare(name.clone())),
            };
            taken.entry(name.to_lowercase()).or_insert_with(|| format!("the view {}", view.name));
            names.insert(view.name.clone(), answer);
        }
        Self { names }
    }

    fn of_view(&self, view: &TableName) -> Result<TableName, String> {
        self.names.get(view).cloned().unwrap_or_else(|| Err("it has no name there".to_owned()))
    }
}

/// What stands in the target now.
struct Standing<'a> {
    current: &'a DatabaseModel,
    made: &'a [MadeView],
}

struct Decision {
    strategy: Strategy,
    reason: &'static str,
    former: Option<FormerView>,
}

impl Standing<'_> {
    /// The query of the view of this name. None: there is none.
    fn shown(&self, view: &TableName) -> Option<&str> {
        let of_name = |object: &&Object| object.kind == "view" && object.name.name.eq_ignore_ascii_case(&view.name);
        self.current.objects.iter().find(of_name).map(|object| object.definition.as_str())
    }

    fn decide(&self, view: &TranslatedView) -> Result<Decision, String> {
        let made = self.made.iter().find(|made| made.view == view.target);
        if let Some(made) = made.filter(|made| !made.refused.is_empty() && made.statement == view.statement) {
            return Err(format!("it was taken back in run {}: {}", made.run, made.refused));
        }
        let (strategy, reason, former) = match (self.shown(&view.target), made) {
            (None, _) => (Strategy::Create, "not in the target yet", None),
            (Some(shown), Some(made)) if made.refused.is_empty() && (made.shown.is_empty() || made.shown == shown) => {
                if made.statement == view.statement && !made.shown.is_empty() {
                    (Strategy::Keep, "the same in source and target", None)
                } else {
                    let former = FormerView {
                        run: made.run.clone(),
                        statement: made.statement.clone(),
                        shown: shown.to_owned(),
                    };
                    (Strategy::Rebuild, "changed at the source", Some(former))
                }
            }
            (Some(_), Some(made)) if made.refused.is_empty() => {
                return Err(format!(
                    "the target's view {} was changed since run {} made it, and is not replaced",
                    view.target, made.run
                ));
            }
            (Some(_), _) => {
                return Err(format!(
                    "the target has a view {} that no run has made, and it is not replaced",
                    view.target
                ));
            }
        };
        Ok(Decision { strategy, reason, former })
    }
}

fn planned(view: TranslatedView, decision: Decision) -> ViewPlan {
    ViewPlan {
        source: Some(view.source),
        target: view.target,
        strategy: decision.strategy,
        reason: decision.reason.to_owned(),
        statement: view.statement,
        columns: view.columns,
        reads: view.reads.into_iter().collect(),
        former: decision.former,
        notes: view.notes,
    }
}

fn left_view(made: &MadeView) -> ViewPlan {
    ViewPlan {
        source: None,
        target: made.view.clone(),
        strategy: Strategy::Left,
        reason: format!("made by run {}, and not carried any more: it stays as it is", made.run),
        statement: String::new(),
        columns: Vec::new(),
        reads: Vec::new(),
        former: None,
        notes: Vec::new(),
    }
}
