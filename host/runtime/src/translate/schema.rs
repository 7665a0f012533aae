//! Schemas.

use millrace_model::{
    Check, Column, DatabaseModel, ForeignKey, Index, IndexKind, IndexPart, Layout, LogicalType, Object, Properties,
    Table, TableName,
};

use crate::contract::model as wit;
use crate::fault::Broken;
use crate::intake::Intake;

fn properties_to_guest(properties: &Properties) -> Vec<(String, String)> {
    properties.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn properties_from_guest(intake: Intake, properties: Vec<(String, String)>) -> Result<Properties, Broken> {
    let pairs = intake.list("properties", properties, |(name, value)| {
        Ok((intake.text("property", name)?, intake.text("property's value", value)?))
    })?;
    Ok(pairs.into_iter().collect())
}

pub(crate) fn table_name_to_guest(name: &TableName) -> wit::TableName {
    wit::TableName { schema: name.schema.clone(), name: name.name.clone() }
}

pub(crate) fn table_name_from_guest(intake: Intake, name: wit::TableName) -> Result<TableName, Broken> {
    Ok(TableName { schema: intake.text("schema", name.schema)?, name: intake.text("table", name.name)? })
}

fn layout_to_guest(layout: Layout) -> wit::Layout {
    match layout {
        Layout::Bits => wit::Layout::Bits,
        Layout::Int16 => wit::Layout::Int16,
        Layout::Int32 => wit::Layout::Int32,
        Layout::Int64 => wit::Layout::Int64,
        Layout::Float32 => wit::Layout::Float32,
        Layout::Float64 => wit::Layout::Float64,
        Layout::Fixed => wit::Layout::Fixed,
        Layout::Varlen => wit::Layout::Varlen,
    }
}

fn layout_from_guest(layout: wit::Layout) -> Layout {
    match layout {
        wit::Layout::Bits => Layout::Bits,
        wit::Layout::Int16 => Layout::Int16,
        wit::Layout::Int32 => Layout::Int32,
        wit::Layout::Int64 => Layout::Int64,
        wit::Layout::Float32 => Layout::Float32,
        wit::Layout::Float64 => Layout::Float64,
        wit::Layout::Fixed => Layout::Fixed,
        wit::Layout::Varlen => Layout::Varlen,
    }
}

pub(crate) fn column_to_guest(column: &Column) -> wit::Column {
    wit::Column {
        name: column.name.clone(),
        declared: column.declared.clone(),
        logical: wit::LogicalType {
            name: column.logical.name.clone(),
            params: properties_to_guest(&column.logical.params),
            layout: layout_to_guest(column.logical.layout),
        },
        nullable: column.nullable,
        default_expression: column.default_expression.clone(),
        generated_expression: column.generated_expression.clone(),
        identity: column.identity,
        collation: column.collation.clone(),
        comment: column.comment.clone(),
        properties: properties_to_guest(&column.properties),
    }
}

pub(crate) fn column_from_guest(intake: Intake, column: wit::Column) -> Result<Column, Broken> {
    Ok(Column {
        name: intake.text("column", column.name)?,
        declared: intake.text("declared type", column.declared)?,
        logical: LogicalType {
            name: intake.text("logical type", column.logical.name)?,
            params: properties_from_guest(intake, column.logical.params)?,
            layout: layout_from_guest(column.logical.layout),
        },
        nullable: column.nullable,
        default_expression: intake.optional_text("default", column.default_expression)?,
        generated_expression: intake.optional_text("generated expression", column.generated_expression)?,
        identity: column.identity,
        collation: intake.optional_text("collation", column.collation)?,
        comment: intake.optional_text("comment", column.comment)?,
        properties: properties_from_guest(intake, column.properties)?,
    })
}

fn index_to_guest(index: &Index) -> wit::Index {
    wit::Index {
        name: index.name.clone(),
        kind: match index.kind {
            IndexKind::Primary => wit::IndexKind::Primary,
            IndexKind::Unique => wit::IndexKind::Unique,
            IndexKind::Plain => wit::IndexKind::Plain,
        },
        method: index.method.clone(),
        parts: index
            .parts
            .iter()
            .map(|part| wit::IndexPart {
                expression: part.expression.clone(),
                is_column: part.is_column,
                descending: part.descending,
                prefix: part.prefix,
            })
            .collect(),
        predicate: index.predicate.clone(),
        properties: properties_to_guest(&index.properties),
    }
}

fn index_from_guest(intake: Intake, index: wit::Index) -> Result<Index, Broken> {
    Ok(Index {
        name: intake.text("index", index.name)?,
        kind: match index.kind {
            wit::IndexKind::Primary => IndexKind::Primary,
            wit::IndexKind::Unique => IndexKind::Unique,
            wit::IndexKind::Plain => IndexKind::Plain,
        },
        method: intake.text("index method", index.method)?,
        parts: intake.list("index parts", index.parts, |part| {
            Ok(IndexPart {
                expression: intake.text("index part", part.expression)?,
                is_column: part.is_column,
                descending: part.descending,
                prefix: part.prefix,
            })
        })?,
        predicate: intake.optional_text("predicate", index.predicate)?,
        properties: properties_from_guest(intake, index.properties)?,
    })
}

fn foreign_key_to_guest(key: &ForeignKey) -> wit::ForeignKey {
    wit::ForeignKey {
        name: key.name.clone(),
        columns: key.columns.clone(),
        references: table_name_to_guest(&key.references),
        referenced_columns: key.referenced_columns.clone(),
        on_delete: key.on_delete.clone(),
        on_update: key.on_update.clone(),
        deferrable: key.deferrable,
    }
}

fn foreign_key_from_guest(intake: Intake, key: wit::ForeignKey) -> Result<ForeignKey, Broken> {
    Ok(ForeignKey {
        name: intake.text("foreign key", key.name)?,
        columns: intake.list("columns", key.columns, |c| intake.text("column", c))?,
        references: table_name_from_guest(intake, key.references)?,
        referenced_columns: intake.list("columns", key.referenced_columns, |c| intake.text("column", c))?,
        on_delete: intake.text("action", key.on_delete)?,
        on_update: intake.text("action", key.on_update)?,
        deferrable: key.deferrable,
    })
}

pub(crate) fn table_to_guest(table: &Table) -> wit::Table {
    wit::Table {
        name: table_name_to_guest(&table.name),
        columns: table.columns.iter().map(column_to_guest).collect(),
        indexes: table.indexes.iter().map(index_to_guest).collect(),
        foreign_keys: table.foreign_keys.iter().map(foreign_key_to_guest).collect(),
        checks: table
            .checks
            .iter()
            .map(|check| wit::Check { name: check.name.clone(), expression: check.expression.clone() })
            .collect(),
        comment: table.comment.clone(),
        estimated_rows: table.estimated_rows,
        estimated_bytes: table.estimated_bytes,
        properties: properties_to_guest(&table.properties),
    }
}

fn table_from_guest(intake: Intake, table: wit::Table) -> Result<Table, Broken> {
    Ok(Table {
        name: table_name_from_guest(intake, table.name)?,
        columns: intake.list("columns", table.columns, |c| column_from_guest(intake, c))?,
        indexes: intake.list("indexes", table.indexes, |i| index_from_guest(intake, i))?,
        foreign_keys: intake.list("foreign keys", table.foreign_keys, |k| foreign_key_from_guest(intake, k))?,
        checks: intake.list("checks", table.checks, |check| {
            Ok(Check { name: intake.text("check", check.name)?, expression: intake.text("check", check.expression)? })
        })?,
        comment: intake.optional_text("comment", table.comment)?,
        estimated_rows: table.estimated_rows,
        estimated_bytes: table.estimated_bytes,
        properties: properties_from_guest(intake, table.properties)?,
    })
}

pub(crate) fn database_to_guest(model: &DatabaseModel) -> wit::DatabaseModel {
    wit::DatabaseModel {
        dialect: model.dialect.clone(),
        version: model.version.clone(),
        tables: model.tables.iter().map(table_to_guest).collect(),
        objects: model
            .objects
            .iter()
            .map(|object| wit::Object {
                kind: object.kind.clone(),
                name: table_name_to_guest(&object.name),
                definition: object.definition.clone(),
            })
            .collect(),
    }
}

pub(crate) fn database_from_guest(intake: Intake, model: wit::DatabaseModel) -> Result<DatabaseModel, Broken> {
    Ok(DatabaseModel {
        dialect: intake.text("dialect", model.dialect)?,
        version: intake.text("version", model.version)?,
        tables: intake.list("tables", model.tables, |t| table_from_guest(intake, t))?,
        objects: intake.list("objects", model.objects, |object| {
            Ok(Object {
                kind: intake.text("kind of object", object.kind)?,
                name: table_name_from_guest(intake, object.name)?,
                definition: intake.text("definition", object.definition)?,
            })
        })?,
    })
}
