//! What is no table: carried by name and definition.

use millrace_plugin_sdk::handle::Catalog;
use millrace_plugin_sdk::model::{Failure, Object, TableName};

use crate::tables::BOOKKEEPING;
use millrace_plugin_sdk::row::Row;

/// Each gives kind, name, definition.
const QUERIES: &[(&str, &str)] = &[
    (
        "views",
        "select 'view', table_name, view_definition from information_schema.views where table_schema = database()",
    ),
    (
        "triggers",
        "select 'trigger', concat(event_object_table, '.', trigger_name),
                case when lower(action_statement) like 'trigger %' or lower(action_statement) like 'create %'
                     then action_statement
                     else concat(action_timing, ' ', event_manipulation, ' ON ', event_object_table,
                                 ' FOR EACH ROW ', action_statement) end
           from information_schema.triggers where trigger_schema = database()",
    ),
    (
        "routines",
        "select 'routine', routine_name, concat(routine_type, ' ', coalesce(routine_definition, ''))
           from information_schema.routines where routine_schema = database()",
    ),
];

/// Views, triggers and routines.
pub(crate) fn read(catalog: &dyn Catalog) -> Result<Vec<Object>, Failure> {
    let mut objects = Vec::new();
    for (subject, statement) in QUERIES {
        for values in catalog.query(statement, &[])? {
            let mut row = Row::new(subject, values);
            let kind = row.text()?;
            let name = row.text()?;
            let definition = row.optional()?.unwrap_or_default();
            if !name.starts_with(BOOKKEEPING) {
                objects.push(Object { kind, name: TableName::bare(name), definition });
            }
        }
    }
    Ok(objects)
}
