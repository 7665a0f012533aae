//! What a plugin may ask a catalog: one query over the server's own catalogs, by functions that only look.
//!
//! A model source says its queries in SQL, and a transaction that can only read does not keep SQL from everything: it may
//! read any table that the account can, end sessions, take locks, wait, read files of the server. So each query is parsed,
//! and refused unless every relation in it is the catalog's and every function is on a list. A list of what is forbidden
//! would always lack something.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, Expr, Ident, ObjectName, ObjectNamePart, Query, Select, SetExpr, ShowCreateObject, Statement,
    TableFactor, Visit, Visitor, visit_relations,
};
use sqlparser::dialect::{Dialect, MySqlDialect, PostgreSqlDialect};
use sqlparser::parser::Parser;

use crate::dialect::mysql::PURE;

/// What may be asked in one dialect.
struct Allowed {
    /// Schemas whose relations may be read.
    schemas: &'static [&'static str],
    /// Relations of these schemas that may not: they hold passwords, what people ask, or values of rows.
    secret: &'static [&'static str],
    /// Whether a relation without a schema is the catalog's.
    unqualified: fn(&str) -> bool,
    /// In lists, each in any order.
    functions: &'static [&'static [&'static str]],
}

const POSTGRES: Allowed = Allowed {
    schemas: &["pg_catalog", "information_schema"],
    secret: &[
        "pg_authid",
        "pg_shadow",
        "pg_user_mapping",
        "pg_user_mappings",
        "pg_largeobject",
        "pg_statistic",
        "pg_statistic_ext_data",
        "pg_stats",
        "pg_stats_ext",
        "pg_stats_ext_exprs",
        "pg_stat_activity",
        "pg_stat_ssl",
        "pg_subscription",
        "pg_file_settings",
        "pg_hba_file_rules",
        "pg_ident_file_mappings",
        "user_mapping_options",
    ],
    // The catalog comes first in every search path.
    unqualified: |name| name.starts_with("pg_"),
    functions: &[&[
        "abs",
        "acldefault",
        "aclexplode",
        "array",
        "array_agg",
        "array_append",
        "array_cat",
        "array_length",
        "array_lower",
        "array_position",
        "array_positions",
        "array_remove",
        "array_to_json",
        "array_to_string",
        "array_upper",
        "bool_and",
        "bool_or",
        "btrim",
        "cardinality",
        "char_length",
        "chr",
        "coalesce",
        "col_description",
        "concat",
        "concat_ws",
        "count",
        "current_catalog",
        "current_database",
        "current_role",
        "current_schema",
        "current_schemas",
        "current_setting",
        "current_user",
        "dense_rank",
        "encode",
        "every",
        "first_value",
        "format",
        "format_type",
        "generate_series",
        "generate_subscripts",
        "greatest",
        "has_any_column_privilege",
        "has_column_privilege",
        "has_database_privilege",
        "has_schema_privilege",
        "has_sequence_privilege",
        "has_table_privilege",
        "information_schema._pg_expandarray",
        "_pg_expandarray",
        "initcap",
        "int4",
        "int8",
        "json_agg",
        "json_array_elements",
        "json_array_elements_text",
        "json_build_array",
        "json_build_object",
        "json_object_agg",
        "jsonb_agg",
        "jsonb_array_elements",
        "jsonb_array_elements_text",
        "jsonb_build_array",
        "jsonb_build_object",
        "jsonb_object_agg",
        "lag",
        "last_value",
        "lead",
        "least",
        "left",
        "length",
        "lower",
        "lpad",
        "ltrim",
        "max",
        "md5",
        "min",
        "mod",
        "nullif",
        "obj_description",
        "octet_length",
        "pg_char_to_encoding",
        "pg_collation_is_visible",
        "pg_column_size",
        "pg_encoding_to_char",
        "pg_function_is_visible",
        "pg_get_constraintdef",
        "pg_get_expr",
        "pg_get_function_arguments",
        "pg_get_function_identity_arguments",
        "pg_get_function_result",
        "pg_get_functiondef",
        "pg_get_indexdef",
        "pg_get_keywords",
        "pg_get_partition_constraintdef",
        "pg_get_partkeydef",
        "pg_get_ruledef",
        "pg_get_sequence_data",
        "pg_get_serial_sequence",
        "pg_get_statisticsobjdef",
        "pg_get_triggerdef",
        "pg_get_userbyid",
        "pg_get_viewdef",
        "pg_index_column_has_property",
        "pg_index_has_property",
        "pg_indexam_has_property",
        "pg_indexes_size",
        "pg_is_in_recovery",
        "pg_opclass_is_visible",
        "pg_operator_is_visible",
        "pg_options_to_table",
        "pg_partition_ancestors",
        "pg_partition_root",
        "pg_partition_tree",
        "pg_relation_filenode",
        "pg_relation_is_publishable",
        "pg_relation_size",
        "pg_sequence_last_value",
        "pg_sequence_parameters",
        "pg_size_pretty",
        "pg_table_is_visible",
        "pg_table_size",
        "pg_total_relation_size",
        "pg_ts_config_is_visible",
        "pg_type_is_visible",
        "pg_typeof",
        "position",
        "quote_ident",
        "quote_literal",
        "quote_nullable",
        "rank",
        "regexp_match",
        "regexp_matches",
        "regexp_replace",
        "regexp_split_to_array",
        "regexp_split_to_table",
        "repeat",
        "replace",
        "reverse",
        "right",
        "row",
        "row_number",
        "row_to_json",
        "rpad",
        "rtrim",
        "session_user",
        "shobj_description",
        "split_part",
        "starts_with",
        "string_agg",
        "string_to_array",
        "strpos",
        "substr",
        "substring",
        "sum",
        "text",
        "to_char",
        "to_json",
        "to_jsonb",
        "to_regclass",
        "to_regnamespace",
        "to_regproc",
        "to_regtype",
        "translate",
        "trim",
        "unnest",
        "upper",
        "version",
    ]],
};

const MYSQL: Allowed = Allowed {
    schemas: &["information_schema"],
    secret: &["processlist", "innodb_trx", "innodb_locks", "user_attributes", "user_statistics"],
    unqualified: |_| false,
    functions: &[
        PURE,
        &[
            "any_value",
            "avg",
            "count",
            "current_user",
            "database",
            "group_concat",
            "json_arrayagg",
            "json_objectagg",
            "max",
            "min",
            "row_number",
            "schema",
            "session_user",
            "sum",
            "system_user",
            "user",
            "version",
        ],
    ],
};

/// A query in PostgreSQL's dialect, as it was understood: what is sent is what was looked at.
///
/// # Errors
/// Why it is refused, in words that follow "because".
pub(crate) fn of_postgres(statement: &str) -> Result<String, String> {
    check(&PostgreSqlDialect {}, &POSTGRES, statement).map(|statement| statement.to_string())
}

/// Refuses what is no query in MySQL's dialects that a plugin may ask.
///
/// # Errors
/// Why it is refused, in words that follow "because".
pub(crate) fn of_mysql(statement: &str) -> Result<(), String> {
    check(&MySqlDialect {}, &MYSQL, statement).map(|_| ())
}

fn check(dialect: &dyn Dialect, allowed: &Allowed, statement: &str) -> Result<Statement, String> {
    let parsed = Parser::parse_sql(dialect, statement).map_err(|e| format!("it is not understood ({e})"))?;
    let Ok([statement]) = <[Statement; 1]>::try_from(parsed) else {
        return Err("it must be one statement".to_owned());
    };
    match &statement {
        Statement::Query(_)
        | Statement::ShowCreate { obj_type: ShowCreateObject::Table | ShowCreateObject::View, .. }
        | Statement::ShowColumns { .. }
        | Statement::ShowTables { .. } => {}
        _ => return Err("it is no query".to_owned()),
    }
    let mut review = Review { allowed, named: Vec::new(), called: None };
    match statement.visit(&mut review) {
        ControlFlow::Break(reason) => Err(reason),
        ControlFlow::Continue(()) => Ok(statement),
    }
}

/// Goes through a statement.
struct Review<'a> {
    allowed: &'a Allowed,
    /// What the WITH of each query names that the visit is within.
    named: Vec<BTreeSet<String>>,
    /// A function that stands where a relation could: its name is visited as one next.
    called: Option<ObjectName>,
}

type Verdict = ControlFlow<String>;

fn refuse(reason: String) -> Verdict {
    ControlFlow::Break(reason)
}

/// In small letters, where it was not quoted.
fn plain(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

/// Schema and name, both in small letters where they were not quoted. None: other parts than names, or too many.
fn split(name: &ObjectName) -> Option<(Option<String>, String)> {
    let text = |part: &ObjectNamePart| part.as_ident().map(plain);
    match name.0.as_slice() {
        [name] => Some((None, text(name)?)),
        [schema, name] => Some((Some(text(schema)?), text(name)?)),
        _ => None,
    }
}

/// The one setting that a query may make, and only to this value and until the transaction ends: names are printed with
/// their schemas then. Any other path could put functions of users before those of the catalog.
const LOOKS_AT_NO_SCHEMA: &str = "set_config('search_path', '', true)";

impl Review<'_> {
    fn function(&self, name: &ObjectName) -> Verdict {
        let known = match split(name) {
            Some((None, name)) => self.may_call(&name),
            Some((Some(schema), name)) => self.allowed.schemas.contains(&schema.as_str()) && self.may_call(&name),
            None => false,
        };
        if known { ControlFlow::Continue(()) } else { refuse(format!("it calls {name}, which is not on the list")) }
    }

    fn may_call(&self, name: &str) -> bool {
        self.allowed.functions.iter().any(|list| list.contains(&name))
    }

    fn set(&self, set: &SetExpr) -> Verdict {
        match set {
            SetExpr::Select(_) | SetExpr::Query(_) | SetExpr::Values(_) => ControlFlow::Continue(()),
            SetExpr::SetOperation { left, right, .. } => {
                self.set(left)?;
                self.set(right)
            }
            _ => refuse("it is no query, or one that changes something".to_owned()),
        }
    }
}

impl Visitor for Review<'_> {
    type Break = String;

    fn pre_visit_query(&mut self, query: &Query) -> Verdict {
        if !query.locks.is_empty() || query.for_clause.is_some() {
            return refuse("it locks rows".to_owned());
        }
        if !query.pipe_operators.is_empty() {
            return refuse("it pipes what it finds".to_owned());
        }
        let mut names = BTreeSet::new();
        if let Some(with) = &query.with {
            let of = |at: usize| plain(&with.cte_tables[at].alias.name);
            names.extend((0..with.cte_tables.len()).map(of));
            // What is named later, or is being named, still means a relation here.
            for (at, cte) in with.cte_tables.iter().enumerate().filter(|_| !with.recursive) {
                let not_yet: BTreeSet<String> = (at..with.cte_tables.len()).map(of).collect();
                visit_relations(&cte.query, |relation| match split(relation) {
                    Some((None, name)) if not_yet.contains(&name) => {
                        refuse(format!("it reads {relation} before it names a query so"))
                    }
                    _ => ControlFlow::Continue(()),
                })?;
            }
        }
        self.named.push(names);
        self.set(&query.body)
    }

    fn post_visit_query(&mut self, _: &Query) -> Verdict {
        self.named.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> Verdict {
        match select.into {
            Some(_) => refuse("it makes something of what it finds".to_owned()),
            None => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> Verdict {
        match factor {
            TableFactor::Table { name, args: Some(_), .. } => {
                self.called = Some(name.clone());
                self.function(name)
            }
            TableFactor::Function { name, .. } => self.function(name),
            TableFactor::Table { .. }
            | TableFactor::Derived { .. }
            | TableFactor::UNNEST { .. }
            | TableFactor::NestedJoin { .. } => ControlFlow::Continue(()),
            other => refuse(format!("it reads from `{other}`")),
        }
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> Verdict {
        if self.called.take_if(|called| called == relation).is_some() {
            return ControlFlow::Continue(());
        }
        let known = match split(relation) {
            Some((None, name)) => {
                self.named.iter().any(|names| names.contains(&name))
                    || ((self.allowed.unqualified)(&name) && !self.allowed.secret.contains(&name.as_str()))
            }
            Some((Some(schema), name)) => {
                let (schema, name) = (schema.to_lowercase(), name.to_lowercase());
                self.allowed.schemas.contains(&schema.as_str()) && !self.allowed.secret.contains(&name.as_str())
            }
            None => false,
        };
        match known {
            true => ControlFlow::Continue(()),
            false => refuse(format!("it reads {relation}, which is not of the catalog, or keeps secrets")),
        }
    }

    fn pre_visit_expr(&mut self, expression: &Expr) -> Verdict {
        match expression {
            Expr::Function(called) if called.to_string() == LOOKS_AT_NO_SCHEMA => ControlFlow::Continue(()),
            Expr::Function(called) => self.function(&called.name),
            Expr::BinaryOp { op: BinaryOperator::Assignment, .. } => refuse("it sets a variable".to_owned()),
            Expr::BinaryOp { op: BinaryOperator::PGCustomBinaryOperator(parts), .. }
                if parts.first().is_none_or(|schema| schema != "pg_catalog") =>
            {
                refuse("it names an operator that is not of the catalog".to_owned())
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_over_the_catalog_pass() {
        for query in [
            "select a.attname, format_type(a.atttypid, a.atttypmod) from pg_catalog.pg_attribute a where a.attnum > $1",
            "select current_setting('server_version_num')",
            "with recursive t as (select oid from pg_class) select t.oid::text from t join pg_namespace n on true",
            "select part.n from pg_index i cross join lateral generate_series(1, i.indnatts) part (n)",
            "select k.x from pg_constraint c cross join lateral unnest(c.conkey, c.confkey) with ordinality as k (x, y, n)",
            "with t as (select oid from pg_class), u as (select oid from t) select * from u join T on true",
            "select array(select e.enumlabel from pg_catalog.pg_enum e order by e.enumsortorder)",
            "select 1 union all select count(*) from information_schema.columns",
            "select set_config('search_path', '', true)",
            "select 'pg_catalog.pg_class'::regclass, i.indkey[part.n - 1] is distinct from 0 from pg_index i, pg_am part",
            "select conname from pg_constraint where conkey = any(array[1, 2]) and conname operator(pg_catalog.=) 'x'",
        ] {
            assert!(of_postgres(query).is_ok(), "{query}: {:?}", of_postgres(query));
        }
        for query in [
            "select table_name, concat(lower(table_name), 'x;y') from information_schema.tables where table_schema = database()",
            "show create table `a``b`",
            "select c.x from (select column_name as x from INFORMATION_SCHEMA.COLUMNS) c",
        ] {
            assert!(of_mysql(query).is_ok(), "{query}: {:?}", of_mysql(query));
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for query in [
            "select * from customer",
            "select * from public.customer",
            "select * from pg_authid",
            "select * from pg_catalog.pg_stats",
            "table customer",
            "select (select max(name) from public.customer) from pg_class",
            "select 1 from pg_class where exists (select 1 from app.customer)",
            "with pg_x as (select 1) select * from pg_x join other on true",
            "with customer as (select * from customer) select * from customer",
            "with a as (select * from b), b as (select 1) select * from a",
            "select * from (with customer as (select 1) select * from customer) x, customer",
            "with x as (delete from public.customer returning *) select * from x",
            "select 1; drop table customer",
            "select 1 from pg_class for update",
            "select 1 into pwned",
            "select pg_sleep(1000000000)",
            "select pg_catalog.pg_sleep(1)",
            "select pg_terminate_backend(1)",
            "select pg_read_file('/etc/passwd')",
            "select lo_export(1, '/tmp/x')",
            "select lo_import('/etc/passwd')",
            "select * from dblink('host=x', 'drop table y') as t(a int)",
            "select dblink_exec('x')",
            "select setval('s', 1)",
            "select nextval('s')",
            "select set_config('statement_timeout', '0', true)",
            "select set_config('search_path', 'public, pg_catalog', true)",
            "select set_config('search_path', '', false)",
            "select pg_advisory_lock(1)",
            "select * from pg_ls_dir('.')",
            "select * from lateral pg_ls_dir('.') as x",
            "select query_to_xml('select * from customer', true, true, '')",
            "select my.fn()",
            "select 1 operator(public.=) 1",
            "copy customer to '/tmp/x'",
            "set role postgres",
            "explain analyze select 1",
            "begin",
            "",
        ] {
            assert!(of_postgres(query).is_err(), "{query}");
        }
        for query in [
            "select * from customer",
            "select user, authentication_string from mysql.user",
            "select * from information_schema.processlist",
            "select sleep(80000)",
            "select get_lock('a', 1000)",
            "select load_file('/etc/passwd')",
            "select benchmark(1000000000, sha2('a', 512))",
            "select 1 into outfile '/tmp/x'",
            "select @a := 1",
            "select 1; select 2",
            "show grants",
            "kill 1",
            "set global read_only = 0",
            "select 1 from information_schema.tables for update",
            "explain select 1",
        ] {
            assert!(of_mysql(query).is_err(), "{query}");
        }
    }
}
