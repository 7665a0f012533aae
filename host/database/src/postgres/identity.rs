//! What tells a source from another one of the same names: see [`millrace_model::identity`].
//!
//! One query for the server and one for all tables, whatever their number. Both are asked in one transaction, so that
//! they speak of one instant, and of one server where a name leads to several.

use std::collections::HashMap;

use millrace_model::identity::{ServerIdentity, SourceIdentity, TableIdentity};
use millrace_model::{Failure, TableName};
use sqlx::Row;

use super::Postgres;
use super::session::command;
use crate::lease::Lease;

impl Postgres {
    /// What these tables are, and where.
    ///
    /// # Errors
    /// What the database says.
    pub async fn identity(&self, tables: &[TableName]) -> Result<SourceIdentity, Failure> {
        self.bridge().run(identity(self, tables)).await
    }
}

async fn identity(database: &Postgres, tables: &[TableName]) -> Result<SourceIdentity, Failure> {
    let failure = |e| database.place.failure(DOING, &e);
    let mut connection = database.acquire().await?;
    command(&mut connection, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await.map_err(failure)?;
    let identity = read(database, &mut connection, tables).await?;
    command(&mut connection, "ROLLBACK").await.map_err(failure)?;
    connection.give_back();
    Ok(identity)
}

const DOING: &str = "look whether the source is the one that it was";

/// Reads it within the transaction of this connection.
pub(super) async fn read(
    database: &Postgres,
    connection: &mut Lease<sqlx::Postgres>,
    tables: &[TableName],
) -> Result<SourceIdentity, Failure> {
    let failure = |e| database.place.failure(DOING, &e);
    let server = server(connection).await.map_err(failure)?;
    let schemas: Vec<&str> = tables.iter().map(|table| table.schema.as_str()).collect();
    let names: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
    let watch = connection.watch();
    let asking = sqlx::query(TABLES).bind(schemas).bind(names).fetch_all(&mut **connection);
    let rows = watch.answered(asking).await.map_err(failure)?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        let json: &str = row.try_get(0).map_err(failure)?;
        let table: TableIdentity = serde_json::from_str(json).map_err(|e| failure(sqlx::Error::Decode(e.into())))?;
        found.push(table);
    }
    let places: HashMap<&TableName, usize> = tables.iter().zip(0..).collect();
    found.sort_by_key(|table| places.get(&table.name).copied());
    Ok(SourceIdentity { server, tables: found })
}

/// Everything that a server tells about itself. What a role may not ask, or a server in disguise cannot answer, leaves
/// the least that every one of them knows.
async fn server(connection: &mut Lease<sqlx::Postgres>) -> Result<ServerIdentity, sqlx::Error> {
    command(connection, "SAVEPOINT millrace_server").await?;
    match ask_server(connection, SERVER).await {
        Ok(server) => Ok(server),
        Err(sqlx::Error::Database(_)) => {
            command(connection, "ROLLBACK TO SAVEPOINT millrace_server").await?;
            ask_server(connection, SERVER_AT_LEAST).await
        }
        Err(error) => Err(error),
    }
}

async fn ask_server(
    connection: &mut Lease<sqlx::Postgres>,
    query: &'static str,
) -> Result<ServerIdentity, sqlx::Error> {
    let watch = connection.watch();
    let row = watch.answered(sqlx::query(query).fetch_one(&mut **connection)).await?;
    let number = |index: usize| row.try_get::<Option<i64>, _>(index);
    Ok(ServerIdentity {
        database: number(0)?.and_then(|n| u32::try_from(n).ok()).unwrap_or_default(),
        started: row.try_get(1)?,
        system: row.try_get(2)?,
        timeline: number(3)?.and_then(|n| u32::try_from(n).ok()),
        position: number(4)?.and_then(|n| u64::try_from(n).ok()),
    })
}

/// On a primary the timeline that is being written: its control file knows it only after a checkpoint.
const SERVER: &str = "SELECT d.oid::int8, pg_catalog.pg_postmaster_start_time()::text, \
    (SELECT s.system_identifier::text FROM pg_catalog.pg_control_system() AS s), \
    CASE WHEN pg_catalog.pg_is_in_recovery() THEN (SELECT c.timeline_id::int8 FROM pg_catalog.pg_control_checkpoint() AS c) \
    ELSE ('x' || substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8))::bit(32)::int8 END, \
    (CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() \
    ELSE pg_catalog.pg_current_wal_lsn() END - '0/0'::pg_catalog.pg_lsn)::int8 \
    FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database()";

const SERVER_AT_LEAST: &str = "SELECT d.oid::int8, pg_catalog.pg_postmaster_start_time()::text, NULL::text, NULL::int8, \
    NULL::int8 FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database()";

/// Only objects that somebody made after the database was initialised can change: their numbers begin there.
const TABLES: &str = "WITH RECURSIVE
    root AS (
        SELECT w.schema, w.name, c.oid
        FROM unnest($1::text[], $2::text[]) AS w(schema, name)
        JOIN pg_catalog.pg_namespace AS n ON n.nspname = w.schema
        JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.name),
    tree AS (
        SELECT oid AS root, oid FROM root
        UNION SELECT tree.root, i.inhrelid FROM tree JOIN pg_catalog.pg_inherits AS i ON i.inhparent = tree.oid),
    files AS (
        SELECT tree.root, json_agg(json_build_object('relation', c.oid::int8, 'name', n.nspname || '.' || c.relname,
            'file', pg_catalog.pg_relation_filenode(c.oid)::int8) ORDER BY c.oid) AS list
        FROM tree JOIN pg_catalog.pg_class AS c ON c.oid = tree.oid
        JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace GROUP BY tree.root),
    attributes AS (
        SELECT root.oid AS root, a.attnum, a.attname, a.atttypid, a.atttypmod, a.attcollation, a.attnotnull,
            CASE WHEN a.attgenerated <> '' THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) END AS generated
        FROM root JOIN pg_catalog.pg_attribute AS a ON a.attrelid = root.oid AND a.attnum > 0 AND NOT a.attisdropped
        LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.attgenerated <> ''),
    columns AS (
        SELECT root, json_agg(json_build_object('number', attnum, 'name', attname,
            'declared', pg_catalog.format_type(atttypid, atttypmod), 'type', atttypid::int8, 'modifier', atttypmod,
            'collation', attcollation::int8, 'not_null', attnotnull, 'generated', generated) ORDER BY attnum) AS list
        FROM attributes GROUP BY root),
    kind AS (
        SELECT root, atttypid AS oid FROM attributes WHERE atttypid >= 16384
        UNION SELECT kind.root, part.oid FROM kind JOIN pg_catalog.pg_type AS y ON y.oid = kind.oid
        CROSS JOIN LATERAL (
            SELECT y.typelem UNION ALL SELECT y.typbasetype
            UNION ALL SELECT r.rngsubtype FROM pg_catalog.pg_range AS r WHERE r.rngtypid = y.oid
            UNION ALL SELECT a.atttypid FROM pg_catalog.pg_attribute AS a
                WHERE y.typrelid <> 0 AND a.attrelid = y.typrelid AND a.attnum > 0 AND NOT a.attisdropped
        ) AS part(oid) WHERE part.oid >= 16384),
    kinds AS (
        SELECT kind.root, json_agg(json_build_object('number', y.oid::int8, 'name', n.nspname || '.' || y.typname,
            'definition', CASE y.typtype
                WHEN 'e' THEN (SELECT string_agg(pg_catalog.quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)
                    FROM pg_catalog.pg_enum AS e WHERE e.enumtypid = y.oid)
                WHEN 'd' THEN pg_catalog.format_type(y.typbasetype, y.typtypmod)
                    || CASE WHEN y.typnotnull THEN ' not null' ELSE '' END
                WHEN 'c' THEN (SELECT string_agg(a.attnum || ' ' || a.attname || ' '
                    || pg_catalog.format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum)
                    FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = y.typrelid AND a.attnum > 0 AND NOT a.attisdropped)
                WHEN 'r' THEN (SELECT pg_catalog.format_type(r.rngsubtype, NULL) FROM pg_catalog.pg_range AS r
                    WHERE r.rngtypid = y.oid)
            END) ORDER BY y.oid) AS list
        FROM kind JOIN pg_catalog.pg_type AS y ON y.oid = kind.oid
        JOIN pg_catalog.pg_namespace AS n ON n.oid = y.typnamespace GROUP BY kind.root)
    SELECT json_build_object('name', json_build_object('schema', root.schema, 'name', root.name),
        'relation', root.oid::int8, 'columns', coalesce(columns.list, '[]'), 'files', coalesce(files.list, '[]'),
        'types', coalesce(kinds.list, '[]'))::text
    FROM root LEFT JOIN columns ON columns.root = root.oid LEFT JOIN files ON files.root = root.oid
    LEFT JOIN kinds ON kinds.root = root.oid";
