//! Names as the target compares them.

use std::collections::BTreeMap;

use millrace_database::dialect::mysql::{self as dialect, Assembled};
use millrace_model::schema::{Table, TableName};
use millrace_model::{Cancel, Failure};

use crate::databases::Databases;

/// Refuses tables and columns that would have one name in the target, and gives indexes names of their own. The target is
/// asked which characters it takes for one only where a name has others than those of ASCII.
pub(super) async fn settle(
    databases: &Databases,
    sources: &[Table],
    assembled: &mut [Assembled],
    cancel: &Cancel,
) -> Result<(), Failure> {
    for (source, made) in sources.iter().zip(assembled.iter_mut()) {
        let name = &source.name.name;
        if name.ends_with(' ') && !made.table.name.name.ends_with(' ') {
            made.notes
                .push(format!("{name:?} is named {}: the target takes no blanks at a name's end", made.table.name));
        }
    }
    let is_plain = |made: &Assembled| {
        let table = &made.table;
        let columns = table.columns.iter().map(|column| &column.name);
        let mut names = columns.chain(table.indexes.iter().map(|index| &index.name)).chain([&table.name.name]);
        names.all(|name| name.is_ascii())
    };
    let Some(target) = databases.target.as_ref().filter(|_| !assembled.iter().all(is_plain)) else { return Ok(()) };
    let folded = target.with_cancel(cancel).general_ci_folding().await?.folder();
    let names: Vec<TableName> = sources.iter().map(|table| table.name.clone()).collect();
    let mut taken: BTreeMap<String, &TableName> = BTreeMap::new();
    for (made, source) in assembled.iter().zip(&names) {
        if let Some(other) = taken.insert(folded(&made.table.name.name), source) {
            let message =
                format!("{other} and {source} would have one name in the target, which does not tell accents apart");
            return Err(Failure::config("plan.tables-collide", message).with("table", source.to_string()));
        }
    }
    dialect::settle_names(assembled, &names, &folded)
}
