//! Asks the pipeline's converters what becomes of each column: the first that claims a column has it.

use std::collections::{BTreeMap, BTreeSet};

use millrace_database::postgres::Postgres;
use millrace_model::plan::{MappingDecision, Statement};
use millrace_model::schema::{DatabaseModel, Table};
use millrace_model::{Cancel, Failure, Mapping, Profile, ProfileRequest, StageKind};
use millrace_runtime::Converter;

use crate::carry::Carry;
use crate::databases::Databases;
use crate::setup::{LoadedStage, Setup, blocking};

/// The pipeline's converters, each opened once for all tables; by the position of their stages.
#[derive(Default)]
pub(super) struct Converters(BTreeMap<usize, Converter>);

impl Converters {
    fn take(&mut self, stage: &LoadedStage, cancel: &Cancel) -> Result<Converter, Failure> {
        match self.0.remove(&stage.position) {
            Some(converter) => Ok(converter),
            None => stage.plugin.converter(&stage.context(cancel)),
        }
    }
}

/// One decision for every column of the table, in the order of the columns; and the queries that were asked to make them.
pub(super) async fn decide(
    setup: &Setup,
    databases: &Databases,
    converters: &mut Converters,
    table: &Table,
    dialect: &str,
    cancel: &Cancel,
) -> Result<(Vec<MappingDecision>, Vec<Statement>), Failure> {
    let mut unclaimed: BTreeSet<String> = table.columns.iter().map(|c| c.name.clone()).collect();
    let mut decisions = Vec::new();
    let mut queries = Vec::new();
    for stage in setup.stages(StageKind::Converter) {
        let allowed: BTreeSet<String> =
            unclaimed.iter().filter(|column| stage.may_claim(&table.name, column)).cloned().collect();
        if allowed.is_empty() {
            continue;
        }
        for decision in ask(stage, databases, converters, table, dialect, &allowed, &mut queries, cancel).await? {
            let sources = &decision.mapping.sources;
            if sources.is_empty() || !sources.iter().all(|name| unclaimed.contains(name) && allowed.contains(name)) {
                continue;
            }
            for name in sources {
                unclaimed.remove(name);
            }
            decisions.push(decision);
        }
    }
    if let Some(name) = unclaimed.first() {
        let column = table.column(name).expect("unclaimed columns are the table's");
        return Err(Failure::config(
            "plan.unclaimed-column",
            format!("no converter of the pipeline knows what to do with {}.{name} ({})", table.name, column.declared),
        )
        .with("table", table.name.to_string())
        .with("column", name));
    }
    let position =
        |decision: &MappingDecision| table.columns.iter().position(|c| decision.mapping.sources.contains(&c.name));
    decisions.sort_by_key(position);
    Ok((decisions, queries))
}

#[allow(clippy::too_many_arguments)] // all that a decision depends on
async fn ask(
    stage: &LoadedStage,
    databases: &Databases,
    converters: &mut Converters,
    table: &Table,
    dialect: &str,
    allowed: &BTreeSet<String>,
    queries: &mut Vec<Statement>,
    cancel: &Cancel,
) -> Result<Vec<MappingDecision>, Failure> {
    let mut converter = converters.take(stage, cancel)?;
    let (asked_table, asked_dialect) = (table.clone(), dialect.to_owned());
    let (mut converter, requests) = blocking(move || {
        let requests = converter.profiles(&asked_table, &asked_dialect)?;
        Ok((converter, requests))
    })
    .await?;
    let requests: Vec<_> = requests.into_iter().filter(|r| allowed.contains(&r.column)).collect();
    if databases.source.is_some() && requests.iter().any(|r| !r.measures.is_empty()) {
        let sql = Postgres::profile_sql(table, &requests);
        queries.push(Statement { purpose: "profile".to_owned(), sql, undo: None });
    }
    let profiles = match &databases.source {
        Some(source) => source.with_cancel(cancel).profile(table, &requests).await?,
        None => requests.iter().filter_map(|request| exported_profile(table, request)).collect(),
    };
    let (asked_table, asked_dialect, found) = (table.clone(), dialect.to_owned(), profiles.clone());
    let (converter, mappings) = blocking(move || {
        let mappings = converter.map_table(&asked_table, &found, &asked_dialect)?;
        Ok((converter, mappings))
    })
    .await?;
    converters.0.insert(stage.position, converter);
    Ok(mappings
        .into_iter()
        .map(|mapping| MappingDecision {
            converter: stage.plugin.description().name.clone(),
            stage: stage.position,
            asked: requests.iter().filter(|r| mapping.sources.contains(&r.column)).cloned().collect(),
            found: profiles.iter().filter(|p| mapping.sources.contains(&p.column)).cloned().collect(),
            mapping,
        })
        .collect())
}

/// The property of a column under which an exported model carries what profiling found.
const PROFILE: &str = "profile";

fn exported_profile(table: &Table, request: &ProfileRequest) -> Option<Profile> {
    let text = table.column(&request.column)?.properties.get(PROFILE)?;
    serde_json::from_str(text).ok()
}

/// Writes what the pipeline's converters ask of the values into the model, so that a plan made where the source
/// cannot be reached decides as one made beside it.
pub(crate) async fn add_profiles(
    setup: &Setup,
    source: &Postgres,
    model: &mut DatabaseModel,
    cancel: &Cancel,
) -> Result<(), Failure> {
    let dialect = model.dialect.clone();
    for table in &mut model.tables {
        let mut requests: Vec<ProfileRequest> = Vec::new();
        for stage in setup.stages(StageKind::Converter) {
            let mut converter = stage.plugin.converter(&stage.context(cancel))?;
            let (asked, dialect) = (table.clone(), dialect.clone());
            for request in blocking(move || converter.profiles(&asked, &dialect)).await? {
                match requests.iter_mut().find(|r| r.column == request.column) {
                    Some(known) => known.measures.extend(request.measures),
                    None => requests.push(request),
                }
            }
        }
        for request in &mut requests {
            request.measures.sort_unstable();
            request.measures.dedup();
        }
        for profile in source.with_cancel(cancel).profile(table, &requests).await? {
            let text = serde_json::to_string(&profile).expect("a profile is plain data");
            if let Some(column) = table.columns.iter_mut().find(|c| c.name == profile.column) {
                column.properties.insert(PROFILE.to_owned(), text);
            }
        }
    }
    Ok(())
}

/// Every mapping that leaves its values to the host is one that the host can carry out.
pub(super) fn check_carried(table: &Table, mappings: &[Mapping]) -> Result<(), Failure> {
    for mapping in mappings.iter().filter(|m| !m.converts) {
        match (mapping.sources.as_slice(), mapping.targets.as_slice()) {
            (_, []) => {}
            ([source], [target]) => {
                let source = table.column(source).ok_or_else(|| unknown_column(table, source))?;
                Carry::between(source, target).map_err(|f| f.with("table", table.name.to_string()))?;
            }
            (sources, targets) => {
                return Err(Failure::config(
                    "plan.cannot-carry",
                    format!(
                        "{} columns of {} become {} without a conversion; only one can become one",
                        sources.len(),
                        table.name,
                        targets.len()
                    ),
                ));
            }
        }
    }
    Ok(())
}

fn unknown_column(table: &Table, column: &str) -> Failure {
    Failure::internal("plan.unknown-column", format!("a converter maps {column}, which {} does not have", table.name))
}
