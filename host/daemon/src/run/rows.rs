//! A table's way from source columns to target columns: carried by the host, or through a converter.

use std::sync::Arc;

use millrace_columnar::{Array, Batch};
use millrace_model::schema::{Column, Table};
use millrace_model::{Cancel, Failure, Mapping, RejectValues, StageKind, TablePlan};
use millrace_rowcopy::port::{BatchConverter, Converted, Reject};
use millrace_runtime::{ConversionId, Converter, Plugin, StageContext};

use crate::carry::Carry;
use crate::setup::Setup;

/// Which columns of the target's table a conversion gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Columns {
    /// Those of which the source says what should be there: written ones, and generated ones that have a column of the
    /// source behind them. The target computes these itself, and what it computes is compared with the source's value.
    Compared,
    /// Those that a statement may insert into.
    Written,
}

/// How the rows of one table are converted. Made once a run; every worker opens its own [`BatchConverter`].
#[derive(Clone)]
pub(crate) struct TableRows {
    steps: Arc<Vec<Step>>,
    targets: Arc<Vec<Column>>,
    values: RejectValues,
}

enum Step {
    Carry { source: usize, target: usize, carry: Carry },
    Convert(Conversion),
}

struct Conversion {
    plugin: Plugin,
    context: StageContext,
    sources: Vec<usize>,
    source_columns: Vec<Column>,
    targets: Vec<Option<usize>>,
    target_columns: Vec<Column>,
}

impl TableRows {
    /// The way of one table of a plan.
    ///
    /// # Errors
    /// `plan.unreadable` when the plan does not fit itself or the pipeline: it was changed by hand.
    pub(crate) fn new(setup: &Setup, table: &TablePlan, columns: Columns, cancel: &Cancel) -> Result<Self, Failure> {
        let broken = |what: &str| {
            Failure::config("plan.unreadable", format!("the plan of {} does not fit: {what}", table.target))
        };
        let source = table.source_table.as_ref().ok_or_else(|| broken("it has no source table"))?;
        let desired = table.desired.as_ref().ok_or_else(|| broken("it has no desired table"))?;
        let targets = given_columns(desired, table.mappings.iter().map(|decision| &decision.mapping), columns);
        let mut steps = Vec::with_capacity(table.mappings.len());
        let mut in_order = desired.columns.iter();
        for decision in &table.mappings {
            let mapping = &decision.mapping;
            let sources = mapping
                .sources
                .iter()
                .map(|name| source.columns.iter().position(|c| c.name == *name))
                .collect::<Option<Vec<_>>>()
                .ok_or_else(|| broken("a mapping names a column that the source table does not have"))?;
            // The assembled table has the mapped columns in their order, perhaps under shortened names.
            let columns: Vec<&Column> = in_order.by_ref().take(mapping.targets.len()).collect();
            if columns.len() != mapping.targets.len() {
                return Err(broken("its columns are fewer than its mappings say"));
            }
            let positions: Vec<Option<usize>> =
                columns.iter().map(|c| targets.iter().position(|t| t.name == c.name)).collect();
            if mapping.converts {
                let stage = setup
                    .stage_at(decision.stage)
                    .filter(|stage| stage.plugin.kind() == StageKind::Converter)
                    .ok_or_else(|| broken("a mapping names a stage that is no converter"))?;
                steps.push(Step::Convert(Conversion {
                    plugin: stage.plugin.clone(),
                    context: stage.context(cancel),
                    source_columns: sources.iter().map(|&i| source.columns[i].clone()).collect(),
                    sources,
                    targets: positions,
                    target_columns: mapping.targets.clone(),
                }));
            } else if let ([source_position], [Some(target_position)]) = (sources.as_slice(), positions.as_slice()) {
                steps.push(Step::Carry {
                    source: *source_position,
                    target: *target_position,
                    carry: Carry::between(&source.columns[*source_position], columns[0])?,
                });
            }
        }
        let copier = setup.optional_stage(StageKind::Copier);
        let values = copier.map(|stage| stage.declaration.rejects.values).unwrap_or_default();
        Ok(Self { steps: Arc::new(steps), targets: Arc::new(targets), values })
    }

    /// The columns that it gives, in order.
    pub(crate) fn targets(&self) -> &[Column] {
        &self.targets
    }

    /// Opens the table's conversions for one worker.
    pub(crate) fn open(&self) -> Result<Box<dyn BatchConverter>, Failure> {
        let mut open = Vec::new();
        for step in self.steps.iter() {
            if let Step::Convert(conversion) = step {
                let mut converter = conversion.plugin.converter(&conversion.context)?;
                let id = converter.open(&conversion.source_columns, &conversion.target_columns)?;
                open.push((converter, id));
            }
        }
        Ok(Box::new(RowConverter { rows: self.clone(), open }))
    }
}

/// A failure of which no word holds the value.
fn hidden(failure: &Failure, column: &str) -> Failure {
    let reject = Reject {
        key: String::new(),
        column: Some(column.to_owned()),
        value: failure.field("value").map(str::to_owned),
        code: failure.code.clone(),
        reason: String::new(),
    };
    let reject = reject.hidden();
    let hidden = Failure::data(&reject.code, reject.reason).with("column", column);
    match reject.value {
        Some(value) => hidden.with("value", value),
        None => hidden,
    }
}

/// Those of a table's columns that a conversion gives, in their order. The table has the mapped columns in the mappings'
/// order.
fn given_columns<'a>(table: &Table, mappings: impl Iterator<Item = &'a Mapping>, columns: Columns) -> Vec<Column> {
    let mut in_order = table.columns.iter();
    let mut given = Vec::with_capacity(table.columns.len());
    for mapping in mappings {
        // Of several columns that are made of one, or of one that is made of several, none is the source's own.
        let has_counterpart = mapping.sources.len() == 1 && mapping.targets.len() == 1;
        let is_given = |column: &&Column| column.is_written() || (has_counterpart && columns == Columns::Compared);
        given.extend(in_order.by_ref().take(mapping.targets.len()).filter(is_given).cloned());
    }
    given
}

/// The columns that the target computes and nothing of the source can be compared with.
pub(crate) fn uncompared_columns<'a>(
    table: &'a Table,
    mappings: impl Iterator<Item = &'a Mapping>,
) -> impl Iterator<Item = &'a Column> {
    let compared = given_columns(table, mappings, Columns::Compared);
    table.columns.iter().filter(move |column| !compared.iter().any(|c| c.name == column.name))
}

/// One worker's open conversions, in the order of the table's converting steps.
struct RowConverter {
    rows: TableRows,
    open: Vec<(Converter, ConversionId)>,
}

impl BatchConverter for RowConverter {
    fn convert(&mut self, batch: Batch) -> Result<Converted, Failure> {
        let rows = batch.rows;
        let mut sources: Vec<Option<Array>> = batch.columns.into_iter().map(Some).collect();
        let mut targets: Vec<Option<Array>> = vec![None; self.rows.targets.len()];
        let mut rejects = Vec::new();
        let missing = || Failure::internal("plan.unreadable", "a column of the batch is not there".to_owned());
        // Converters borrow their columns; what the host carries is moved afterwards.
        let mut open = self.open.iter_mut();
        for step in self.rows.steps.iter() {
            let Step::Convert(conversion) = step else { continue };
            let (converter, id) = open.next().expect("every conversion was opened");
            let inputs = conversion
                .sources
                .iter()
                .map(|&i| sources.get(i).and_then(Option::as_ref))
                .collect::<Option<Vec<_>>>()
                .ok_or_else(missing)?;
            let converted = converter.convert(*id, &inputs)?;
            for (position, array) in conversion.targets.iter().zip(converted.outputs) {
                if let Some(position) = position {
                    targets[*position] = Some(array);
                }
            }
            let column = conversion.source_columns.first().map(|c| c.name.as_str()).unwrap_or_default();
            let named = converted.rejects.into_iter().map(|(row, failure)| (row, failure.with("column", column)));
            match self.rows.values {
                RejectValues::Keep => rejects.extend(named),
                RejectValues::Digest => rejects.extend(named.map(|(row, failure)| (row, hidden(&failure, column)))),
            }
        }
        for step in self.rows.steps.iter() {
            let Step::Carry { source, target, carry } = step else { continue };
            let array = sources.get_mut(*source).and_then(Option::take).ok_or_else(missing)?;
            targets[*target] = Some(carry.apply(array));
        }
        let columns = targets.into_iter().collect::<Option<Vec<_>>>().ok_or_else(missing)?;
        rejects.sort_by_key(|(row, _)| *row);
        rejects.dedup_by_key(|(row, _)| *row);
        Ok(Converted { batch: Batch { rows, columns }, rejects })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, generated: Option<&str>) -> Column {
        Column { name: name.into(), generated_expression: generated.map(str::to_owned), ..Column::default() }
    }

    #[test]
    fn what_the_target_computes_is_compared_where_the_source_has_it_too() {
        let columns = vec![
            column("a", None),
            column("g", Some("`a` + 1")),
            column("r_lower", None),
            column("r_upper", Some("`r_lower`")),
        ];
        let table = Table { columns: columns.clone(), ..Table::default() };
        let mapping = |source: &str, targets: &[Column]| Mapping {
            sources: vec![source.into()],
            targets: targets.to_vec(),
            converts: true,
            note: None,
        };
        let mappings = [mapping("a", &columns[..1]), mapping("g", &columns[1..2]), mapping("r", &columns[2..])];
        let names = |columns: Columns| -> Vec<String> {
            given_columns(&table, mappings.iter(), columns).into_iter().map(|c| c.name).collect()
        };
        assert_eq!(names(Columns::Compared), ["a", "g", "r_lower"]);
        assert_eq!(names(Columns::Written), ["a", "r_lower"]);
        let left: Vec<&str> = uncompared_columns(&table, mappings.iter()).map(|c| c.name.as_str()).collect();
        assert_eq!(left, ["r_upper"]);
    }
}
