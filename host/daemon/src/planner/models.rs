//! Reads the models of both databases, through the pipeline's model sources.

use millrace_database::CatalogLimits;
use millrace_model::capability::CatalogSession;
use millrace_model::quantity::counted;
use millrace_model::schema::{DatabaseModel, TableName};
use millrace_model::{Cancel, Failure, Fault, SourceIdentity, StageKind};
use millrace_pipeline::DatabaseName;

use crate::databases::Databases;
use crate::setup::{Setup, blocking};

/// The model of one of the pipeline's databases, whole.
pub(crate) async fn load_model(
    setup: &Setup,
    databases: &Databases,
    database: DatabaseName,
    cancel: &Cancel,
) -> Result<DatabaseModel, Failure> {
    let stage =
        setup.stages(StageKind::ModelSource).find(|stage| stage.declaration.database == Some(database)).ok_or_else(
            || Failure::config("pipeline.no-model-source", format!("no stage reads the model of database {database}")),
        )?;
    let document = stage.document(setup)?;
    let limits = CatalogLimits::default();
    let session: Option<Box<dyn CatalogSession>> = match (&document, database) {
        (Some(_), _) => None,
        (None, DatabaseName::Source) => {
            databases.source.as_ref().map(|source| source.with_cancel(cancel).plugin_session(limits))
        }
        (None, DatabaseName::Target) => {
            databases.target.as_ref().map(|target| target.with_cancel(cancel).plugin_session(limits))
        }
    };
    let mut source = stage.plugin.model_source(&stage.context(cancel))?;
    blocking(move || source.load(session, document)).await
}

/// The target's model with everything that is in it.
pub(crate) async fn whole_target(
    setup: &Setup,
    databases: &Databases,
    cancel: &Cancel,
) -> Result<DatabaseModel, Failure> {
    load_model(setup, databases, DatabaseName::Target, cancel).await
}

/// The source's model: the pipeline's tables, and the objects beside them.
pub(crate) async fn selected_source(
    setup: &Setup,
    databases: &Databases,
    cancel: &Cancel,
) -> Result<DatabaseModel, Failure> {
    let mut model = load_model(setup, databases, DatabaseName::Source, cancel).await?;
    refuse_idle_renames(setup, &model)?;
    refuse_idle_includes(setup, &model)?;
    model.tables.retain(|table| setup.pipeline.tables.selects(&table.name));
    let schemas: Vec<String> = model.tables.iter().map(|t| t.name.schema.clone()).collect();
    model.objects.retain(|object| schemas.contains(&object.name.schema));
    model.tables.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(model)
}

/// Refuses a rename of a table that the source does not have: the table that was meant would keep its own name.
fn refuse_idle_renames(setup: &Setup, source: &DatabaseModel) -> Result<(), Failure> {
    let names: Vec<TableName> = source.tables.iter().map(|table| table.name.clone()).collect();
    let idle = setup.pipeline.tables.idle_renames(&names);
    let Some(first) = idle.first() else { return Ok(()) };
    let written: Vec<String> = idle.iter().map(|rename| format!("{} = \"{}\"", rename.table, rename.target)).collect();
    Err(Failure::config(
        "plan.renames-nothing",
        format!(
            "the source has no table for the rename {}; names are compared with their capitals",
            written.join(", ")
        ),
    )
    .with("table", first.table.to_string()))
}

/// Refuses `include` where it names a table that the source does not have, or selects nothing of what it has: whoever
/// wrote it would be told that there is nothing to do.
fn refuse_idle_includes(setup: &Setup, source: &DatabaseModel) -> Result<(), Failure> {
    let selection = &setup.pipeline.tables;
    let names: Vec<TableName> = source.tables.iter().map(|table| table.name.clone()).collect();
    let listed = |patterns: &mut dyn Iterator<Item = String>| patterns.collect::<Vec<_>>().join(", ");
    let idle = selection.idle_includes(&names);
    let missing = listed(&mut idle.iter().filter(|pattern| pattern.names_one_table()).map(ToString::to_string));
    let message = if !missing.is_empty() {
        format!(
            "the source has no table {missing}, which the pipeline includes; names are compared with their capitals"
        )
    } else if !names.is_empty() && !names.iter().any(|name| selection.selects(name)) {
        let include = listed(&mut selection.include.iter().map(ToString::to_string));
        let but = match listed(&mut selection.exclude.iter().map(ToString::to_string)) {
            exclude if exclude.is_empty() => String::new(),
            exclude => format!(" without {exclude}"),
        };
        format!("of the {} of the source, {include}{but} selects none", counted(names.len() as u64, "table"))
    } else {
        return Ok(());
    };
    Err(Failure::config("plan.includes-nothing", message))
}

/// Which tables these are that the model describes. None: it comes from a file, or the source is not reached.
///
/// # Errors
/// `plan.source-changed`, to be tried again, when they were altered while they were looked at.
pub(super) async fn identity(
    setup: &Setup,
    databases: &Databases,
    model: &DatabaseModel,
    cancel: &Cancel,
) -> Result<Option<SourceIdentity>, Failure> {
    let from_file = setup
        .stages(StageKind::ModelSource)
        .any(|stage| stage.declaration.database == Some(DatabaseName::Source) && stage.declaration.file.is_some());
    let (Some(source), false) = (&databases.source, from_file) else { return Ok(None) };
    let names: Vec<TableName> = model.tables.iter().map(|table| table.name.clone()).collect();
    let identity = source.with_cancel(cancel).identity(&names).await?;
    for table in &model.tables {
        let modelled = table.columns.iter().map(|column| column.name.as_str());
        if !identity.table(&table.name).is_some_and(|t| t.columns.iter().map(|c| c.name.as_str()).eq(modelled)) {
            let message = format!("{} was altered while its schema was read", table.name);
            return Err(Failure::new(Fault::Transient, "plan.source-changed", message));
        }
    }
    Ok(Some(identity))
}

/// The target's model without what runs keep there: their books, shadows and backups. A row of the books that gives a
/// table its own live name for a shadow's or backup's hides nothing: what applications use is part of the model.
pub(crate) async fn selected_target(
    setup: &Setup,
    databases: &Databases,
    cancel: &Cancel,
) -> Result<DatabaseModel, Failure> {
    let mut model = load_model(setup, databases, DatabaseName::Target, cancel).await?;
    refuse_other_databases(&model)?;
    let made = match &databases.target {
        Some(target) => target.with_cancel(cancel).bookkeeping().all_made().await?,
        None => Vec::new(),
    };
    let is_made = |name: &TableName| made.iter().any(|made| made.table == *name && made.table != made.live);
    model.tables.retain(|table| !table.name.name.starts_with("millrace_") && !is_made(&table.name));
    model.objects.retain(|object| object.kind != "view" || !made.iter().any(|made| made.table == object.name));
    for table in &mut model.tables {
        table.foreign_keys.retain(|key| !is_made(&key.references));
    }
    Ok(model)
}

/// A table of the target is one of its own database: what is said of another one's would be changed there.
fn refuse_other_databases(model: &DatabaseModel) -> Result<(), Failure> {
    match model.tables.iter().find(|table| !table.name.schema.is_empty()) {
        Some(table) => Err(Failure::config(
            "plan.not-of-the-target",
            format!("the target's model names {}, and a target's tables are those of one database", table.name),
        )
        .with("table", table.name.to_string())),
        None => Ok(()),
    }
}
