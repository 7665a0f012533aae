//! What is no table: carried by name and definition, so that a plan can say that it is not carried over and
//! what to do about it.

use millrace_plugin_sdk::handle::Catalog;
use millrace_plugin_sdk::model::{Failure, Object, TableName};

use millrace_plugin_sdk::row::Row;

/// Ends a query: no system schema (`n`), nothing that an extension owns.
macro_rules! users_own {
    ($class:literal, $oid:literal) => {
        concat!(
            " n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
              and not exists (select from pg_catalog.pg_depend e
                               where e.classid = 'pg_catalog.",
            $class,
            "'::regclass and e.deptype = 'e' and e.objid = ",
            $oid,
            ")"
        )
    };
}

/// Each gives kind, schema, name, definition. Views are printed while no schema is looked at by itself, so that every
/// name in them stands with its own; the setting ends with the query's transaction.
const QUERIES: &[(&str, &str)] = &[
    (
        "views",
        concat!(
            "with names as materialized (select set_config('search_path', '', true) as path)
         select case c.relkind when 'v' then 'view' else 'materialized-view' end, n.nspname::text, c.relname::text,
                format('CREATE%s VIEW %I.%I%s AS %s', case c.relkind when 'm' then ' MATERIALIZED' else '' end,
                       n.nspname, c.relname,
                       case when c.relkind = 'v' and c.reloptions is not null
                            then ' WITH (' || array_to_string(c.reloptions, ', ') || ')' else '' end,
                       case when names.path is not null then pg_get_viewdef(c.oid) end)
           from names, pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
          where c.relkind in ('v', 'm') and",
            users_own!("pg_class", "c.oid"),
        ),
    ),
    (
        "routines",
        concat!(
            "select 'routine', n.nspname::text, p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')',
                case when p.prokind = 'a'
                     then 'aggregate of ' || format_type(p.prorettype, null)
                     else pg_get_functiondef(p.oid) end
           from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
          where not exists (select from pg_catalog.pg_depend i
                             where i.classid = 'pg_catalog.pg_proc'::regclass and i.objid = p.oid
                               and i.deptype = 'i') and",
            users_own!("pg_proc", "p.oid"),
        ),
    ),
    (
        "triggers",
        concat!(
            "select 'trigger', n.nspname::text, c.relname || '.' || g.tgname, pg_get_triggerdef(g.oid)
           from pg_catalog.pg_trigger g join pg_catalog.pg_class c on c.oid = g.tgrelid
           join pg_catalog.pg_namespace n on n.oid = c.relnamespace
          where not g.tgisinternal and g.tgparentid = 0 and",
            users_own!("pg_class", "c.oid"),
        ),
    ),
    (
        "extensions",
        "select 'extension', n.nspname::text, x.extname::text,
                format('CREATE EXTENSION %I VERSION %L', x.extname, x.extversion)
           from pg_catalog.pg_extension x join pg_catalog.pg_namespace n on n.oid = x.extnamespace
          where x.extname <> 'plpgsql'",
    ),
    (
        "enums",
        concat!(
            "select 'enum', n.nspname::text, y.typname::text,
                format('CREATE TYPE %I.%I AS ENUM (%s)', n.nspname, y.typname,
                       (select string_agg(quote_literal(l.enumlabel), ', ' order by l.enumsortorder)
                          from pg_catalog.pg_enum l where l.enumtypid = y.oid))
           from pg_catalog.pg_type y join pg_catalog.pg_namespace n on n.oid = y.typnamespace
          where y.typtype = 'e' and",
            users_own!("pg_type", "y.oid"),
        ),
    ),
    (
        "domains",
        concat!(
            "select 'domain', n.nspname::text, y.typname::text,
                format('CREATE DOMAIN %I.%I AS %s', n.nspname, y.typname, format_type(y.typbasetype, y.typtypmod))
                || coalesce(' DEFAULT ' || y.typdefault, '') || case when y.typnotnull then ' NOT NULL' else '' end
                || coalesce((select string_agg(format(' CONSTRAINT %I %s', k.conname, pg_get_constraintdef(k.oid)), ''
                                               order by k.conname)
                               from pg_catalog.pg_constraint k where k.contypid = y.oid and k.contype = 'c'), '')
           from pg_catalog.pg_type y join pg_catalog.pg_namespace n on n.oid = y.typnamespace
          where y.typtype = 'd' and",
            users_own!("pg_type", "y.oid"),
        ),
    ),
    (
        "composite types",
        concat!(
            "select 'composite', n.nspname::text, c.relname::text,
                format('CREATE TYPE %I.%I AS (%s)', n.nspname, c.relname,
                       (select string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', '
                                          order by a.attnum)
                          from pg_catalog.pg_attribute a
                         where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped))
           from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
          where c.relkind = 'c' and",
            users_own!("pg_class", "c.oid"),
        ),
    ),
    (
        "range types",
        concat!(
            "select 'range', n.nspname::text, y.typname::text,
                format('CREATE TYPE %I.%I AS RANGE (SUBTYPE = %s)', n.nspname, y.typname,
                       format_type(r.rngsubtype, null))
           from pg_catalog.pg_type y join pg_catalog.pg_namespace n on n.oid = y.typnamespace
           join pg_catalog.pg_range r on r.rngtypid = y.oid
          where",
            users_own!("pg_type", "y.oid"),
        ),
    ),
    (
        "policies",
        concat!(
            "select 'policy', n.nspname::text, c.relname || '.' || p.polname,
                format('CREATE POLICY %I ON %I.%I AS %s FOR %s TO %s', p.polname, n.nspname, c.relname,
                       case when p.polpermissive then 'PERMISSIVE' else 'RESTRICTIVE' end,
                       case p.polcmd when 'r' then 'SELECT' when 'a' then 'INSERT' when 'w' then 'UPDATE'
                                     when 'd' then 'DELETE' else 'ALL' end,
                       (select string_agg(case when o.role = 0 then 'PUBLIC' else pg_get_userbyid(o.role) end, ', ')
                          from unnest(p.polroles) o (role)))
                || coalesce(' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')', '')
                || coalesce(' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')', '')
           from pg_catalog.pg_policy p join pg_catalog.pg_class c on c.oid = p.polrelid
           join pg_catalog.pg_namespace n on n.oid = c.relnamespace
          where",
            users_own!("pg_class", "c.oid"),
        ),
    ),
    (
        "rules",
        concat!(
            "select 'rule', n.nspname::text, c.relname || '.' || r.rulename, pg_get_ruledef(r.oid)
           from pg_catalog.pg_rewrite r join pg_catalog.pg_class c on c.oid = r.ev_class
           join pg_catalog.pg_namespace n on n.oid = c.relnamespace
          where r.rulename <> '_RETURN' and",
            users_own!("pg_class", "c.oid"),
        ),
    ),
    (
        "foreign tables",
        concat!(
            "select 'foreign-table', n.nspname::text, c.relname::text,
                format('CREATE FOREIGN TABLE %I.%I (%s) SERVER %I', n.nspname, c.relname,
                       (select string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', '
                                          order by a.attnum)
                          from pg_catalog.pg_attribute a
                         where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped), s.srvname)
           from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
           join pg_catalog.pg_foreign_table f on f.ftrelid = c.oid
           join pg_catalog.pg_foreign_server s on s.oid = f.ftserver
          where c.relkind = 'f' and not c.relispartition and",
            users_own!("pg_class", "c.oid"),
        ),
    ),
];

/// Everything but sequences, which [`crate::sequences`] reads, and constraints.
pub(crate) fn read(catalog: &dyn Catalog) -> Result<Vec<Object>, Failure> {
    let mut objects = Vec::new();
    for (subject, statement) in QUERIES {
        for values in catalog.query(statement, &[])? {
            let mut row = Row::new(subject, values);
            let kind = row.text()?;
            let name = TableName::new(row.text()?, row.text()?);
            objects.push(Object { kind, name, definition: row.optional()?.unwrap_or_default() });
        }
    }
    Ok(objects)
}
