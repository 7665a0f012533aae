//! Shared types on their way in (from the contract) and out (to it). Values move; nothing is copied that
//! the two sides lay out alike, columns above all.

use millrace_columnar as columnar;
use millrace_model as model;
use millrace_model::comparison;

use super::bindings::millrace::stage::{columns as wit_columns, comparison as wit_comparison};
use super::bindings::millrace::stage::{failure as wit_failure, model as wit};

pub(super) fn failure_out(failure: model::Failure) -> wit_failure::Error {
    use model::Fault;
    use wit_failure::Fault as Out;
    wit_failure::Error {
        fault: match failure.fault {
            Fault::Config => Out::Config,
            Fault::Data => Out::Data,
            Fault::Transient => Out::Transient,
            Fault::Unsupported => Out::Unsupported,
            Fault::Cancelled => Out::Cancelled,
            Fault::Internal => Out::Internal,
        },
        code: failure.code,
        message: failure.message,
        fields: failure.fields,
    }
}

pub(super) fn failure_in(error: wit_failure::Error) -> model::Failure {
    use model::Fault as In;
    use wit_failure::Fault;
    model::Failure {
        fault: match error.fault {
            Fault::Config => In::Config,
            Fault::Data => In::Data,
            Fault::Transient => In::Transient,
            Fault::Unsupported => In::Unsupported,
            Fault::Cancelled => In::Cancelled,
            Fault::Internal => In::Internal,
        },
        code: error.code,
        message: error.message,
        fields: error.fields,
    }
}

pub(super) fn all<A, B>(list: Vec<A>, each: impl Fn(A) -> B) -> Vec<B> {
    list.into_iter().map(each).collect()
}

pub(super) fn array_out(array: columnar::Array) -> wit_columns::Array {
    use columnar::Values;
    use wit_columns::Values as Out;
    wit_columns::Array {
        rows: u32::try_from(array.rows).expect("a batch has far fewer than 2^32 rows"),
        validity: array.validity,
        values: match array.values {
            Values::Bits(v) => Out::Bits(v),
            Values::Int16(v) => Out::Int16(v),
            Values::Int32(v) => Out::Int32(v),
            Values::Int64(v) => Out::Int64(v),
            Values::Float32(v) => Out::Float32(v),
            Values::Float64(v) => Out::Float64(v),
            Values::Fixed { width, data } => Out::Fixed(wit_columns::Fixed { width, data }),
            Values::Varlen { offsets, data } => Out::Varlen(wit_columns::Varlen { offsets, data }),
        },
    }
}

pub(super) fn array_in(array: wit_columns::Array) -> columnar::Array {
    use columnar::Values as In;
    use wit_columns::Values;
    columnar::Array {
        rows: array.rows as usize,
        validity: array.validity,
        values: match array.values {
            Values::Bits(v) => In::Bits(v),
            Values::Int16(v) => In::Int16(v),
            Values::Int32(v) => In::Int32(v),
            Values::Int64(v) => In::Int64(v),
            Values::Float32(v) => In::Float32(v),
            Values::Float64(v) => In::Float64(v),
            Values::Fixed(fixed) => In::Fixed { width: fixed.width, data: fixed.data },
            Values::Varlen(varlen) => In::Varlen { offsets: varlen.offsets, data: varlen.data },
        },
    }
}

pub(super) fn table_name_out(name: model::TableName) -> wit::TableName {
    wit::TableName { schema: name.schema, name: name.name }
}

pub(super) fn table_name_in(name: wit::TableName) -> model::TableName {
    model::TableName { schema: name.schema, name: name.name }
}

fn layout_out(layout: model::Layout) -> wit::Layout {
    use model::Layout;
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

fn layout_in(layout: wit::Layout) -> model::Layout {
    use model::Layout;
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

pub(super) fn column_out(column: model::Column) -> wit::Column {
    wit::Column {
        name: column.name,
        declared: column.declared,
        logical: wit::LogicalType {
            name: column.logical.name,
            params: column.logical.params.into_iter().collect(),
            layout: layout_out(column.logical.layout),
        },
        nullable: column.nullable,
        default_expression: column.default_expression,
        generated_expression: column.generated_expression,
        identity: column.identity,
        collation: column.collation,
        comment: column.comment,
        properties: column.properties.into_iter().collect(),
    }
}

pub(super) fn column_in(column: wit::Column) -> model::Column {
    model::Column {
        name: column.name,
        declared: column.declared,
        logical: model::LogicalType {
            name: column.logical.name,
            params: column.logical.params.into_iter().collect(),
            layout: layout_in(column.logical.layout),
        },
        nullable: column.nullable,
        default_expression: column.default_expression,
        generated_expression: column.generated_expression,
        identity: column.identity,
        collation: column.collation,
        comment: column.comment,
        properties: column.properties.into_iter().collect(),
    }
}

fn index_out(index: model::Index) -> wit::Index {
    wit::Index {
        name: index.name,
        kind: match index.kind {
            model::IndexKind::Primary => wit::IndexKind::Primary,
            model::IndexKind::Unique => wit::IndexKind::Unique,
            model::IndexKind::Plain => wit::IndexKind::Plain,
        },
        method: index.method,
        parts: all(index.parts, |part| wit::IndexPart {
            expression: part.expression,
            is_column: part.is_column,
            descending: part.descending,
            prefix: part.prefix,
        }),
        predicate: index.predicate,
        properties: index.properties.into_iter().collect(),
    }
}

fn index_in(index: wit::Index) -> model::Index {
    model::Index {
        name: index.name,
        kind: match index.kind {
            wit::IndexKind::Primary => model::IndexKind::Primary,
            wit::IndexKind::Unique => model::IndexKind::Unique,
            wit::IndexKind::Plain => model::IndexKind::Plain,
        },
        method: index.method,
        parts: all(index.parts, |part| model::IndexPart {
            expression: part.expression,
            is_column: part.is_column,
            descending: part.descending,
            prefix: part.prefix,
        }),
        predicate: index.predicate,
        properties: index.properties.into_iter().collect(),
    }
}

fn foreign_key_out(key: model::ForeignKey) -> wit::ForeignKey {
    wit::ForeignKey {
        name: key.name,
        columns: key.columns,
        references: table_name_out(key.references),
        referenced_columns: key.referenced_columns,
        on_delete: key.on_delete,
        on_update: key.on_update,
        deferrable: key.deferrable,
    }
}

fn foreign_key_in(key: wit::ForeignKey) -> model::ForeignKey {
    model::ForeignKey {
        name: key.name,
        columns: key.columns,
        references: table_name_in(key.references),
        referenced_columns: key.referenced_columns,
        on_delete: key.on_delete,
        on_update: key.on_update,
        deferrable: key.deferrable,
    }
}

pub(super) fn table_out(table: model::Table) -> wit::Table {
    wit::Table {
        name: table_name_out(table.name),
        columns: all(table.columns, column_out),
        indexes: all(table.indexes, index_out),
        foreign_keys: all(table.foreign_keys, foreign_key_out),
        checks: all(table.checks, |c| wit::Check { name: c.name, expression: c.expression }),
        comment: table.comment,
        estimated_rows: table.estimated_rows,
        estimated_bytes: table.estimated_bytes,
        properties: table.properties.into_iter().collect(),
    }
}

pub(super) fn table_in(table: wit::Table) -> model::Table {
    model::Table {
        name: table_name_in(table.name),
        columns: all(table.columns, column_in),
        indexes: all(table.indexes, index_in),
        foreign_keys: all(table.foreign_keys, foreign_key_in),
        checks: all(table.checks, |c| model::Check { name: c.name, expression: c.expression }),
        comment: table.comment,
        estimated_rows: table.estimated_rows,
        estimated_bytes: table.estimated_bytes,
        properties: table.properties.into_iter().collect(),
    }
}

pub(super) fn database_model_out(database: model::DatabaseModel) -> wit::DatabaseModel {
    wit::DatabaseModel {
        dialect: database.dialect,
        version: database.version,
        tables: all(database.tables, table_out),
        objects: all(database.objects, |o| wit::Object {
            kind: o.kind,
            name: table_name_out(o.name),
            definition: o.definition,
        }),
    }
}

pub(super) fn database_model_in(database: wit::DatabaseModel) -> model::DatabaseModel {
    model::DatabaseModel {
        dialect: database.dialect,
        version: database.version,
        tables: all(database.tables, table_in),
        objects: all(database.objects, |o| model::Object {
            kind: o.kind,
            name: table_name_in(o.name),
            definition: o.definition,
        }),
    }
}

pub(super) fn key_range_in(range: wit_comparison::KeyRange) -> comparison::KeyRange {
    comparison::KeyRange { lower: range.lower, upper: range.upper }
}

pub(super) fn key_range_out(range: &comparison::KeyRange) -> wit_comparison::KeyRange {
    wit_comparison::KeyRange { lower: range.lower.clone(), upper: range.upper.clone() }
}

pub(super) fn digest_in(digest: wit_comparison::Digest) -> comparison::Digest {
    comparison::Digest { rows: digest.rows, hash: digest.hash }
}

pub(super) fn difference_in(difference: wit_comparison::Difference) -> comparison::Difference {
    use wit_comparison::Disparity as Wit;
    comparison::Difference {
        kind: match difference.kind {
            Wit::Missing => comparison::Disparity::Missing,
            Wit::Extra => comparison::Disparity::Extra,
            Wit::Changed => comparison::Disparity::Changed,
            Wit::Rule => comparison::Disparity::Rule,
            Wit::Schema => comparison::Disparity::Schema,
        },
        key: difference.key,
        column: difference.column,
        source: difference.source,
        target: difference.target,
        cause: difference.cause,
    }
}

pub(super) fn row_differences_in(differences: wit_comparison::RowDifferences) -> comparison::RowDifferences {
    comparison::RowDifferences {
        missing: differences.missing,
        extra: differences.extra,
        changed: differences.changed,
        found: all(differences.found, difference_in),
    }
}

pub(super) fn difference_out(difference: comparison::Difference) -> wit_comparison::Difference {
    use wit_comparison::Disparity as Wit;
    wit_comparison::Difference {
        kind: match difference.kind {
            comparison::Disparity::Missing => Wit::Missing,
            comparison::Disparity::Extra => Wit::Extra,
            comparison::Disparity::Changed => Wit::Changed,
            comparison::Disparity::Rule => Wit::Rule,
            comparison::Disparity::Schema => Wit::Schema,
        },
        key: difference.key,
        column: difference.column,
        source: difference.source,
        target: difference.target,
        cause: difference.cause,
    }
}
