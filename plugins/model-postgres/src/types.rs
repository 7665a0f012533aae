//! The types that columns may have: arrays, domains, enums, ranges and composites are followed down to what
//! their values mean.

use std::collections::HashMap;

use millrace_plugin_sdk::handle::Catalog;
use millrace_plugin_sdk::model::{Check, Failure, Layout, LogicalType};
use millrace_plugin_sdk::serde_json::json;

use crate::domains::check_of_column;
use crate::logical;
use crate::tables::Oid;
use millrace_plugin_sdk::row::Row;

const TYPES: &str = "select t.oid::text, n.nspname::text, t.typname::text, t.typtype::text, t.typcategory::text,
            t.typelem::text, t.typbasetype::text, t.typtypmod::text, t.typnotnull::text, t.typdefault,
            r.rngsubtype::text
       from pg_catalog.pg_type t
       join pg_catalog.pg_namespace n on n.oid = t.typnamespace
       left join pg_catalog.pg_range r on r.rngtypid = t.oid";

const LABELS: &str = "select e.enumtypid::text, e.enumlabel::text
       from pg_catalog.pg_enum e order by e.enumtypid, e.enumsortorder";

const DOMAIN_CHECKS: &str = "select k.contypid::text, k.conname::text, pg_get_expr(k.conbin, 0), k.convalidated::text
       from pg_catalog.pg_constraint k
      where k.contypid <> 0 and k.contype = 'c'
      order by k.contypid, k.conname";

/// A domain of a domain of …: deeper than any schema of reason, and an end where a catalog is broken.
const DEEPEST: u8 = 64;

/// One row of `pg_type`.
#[derive(Clone, Debug, Default)]
struct Type {
    schema: String,
    name: String,
    /// `b`ase, `c`omposite, `d`omain, `e`num, `r`ange, `m`ultirange, `p`seudo.
    kind: String,
    /// `A`: an array, when it also has an element.
    category: String,
    element: Oid,
    base: Oid,
    base_modifier: i32,
    not_null: bool,
    default_expression: Option<String>,
    range_of: Option<Oid>,
}

/// What a domain demands of its values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Condition {
    name: String,
    /// On VALUE.
    expression: String,
    /// False: it was added NOT VALID.
    is_valid: bool,
}

/// What a column's domain demands of the column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DomainCheck {
    pub(crate) check: Check,
    /// False: values that were there when it was added may break it.
    pub(crate) is_valid: bool,
}

/// All types of the database.
#[derive(Debug, Default)]
pub(crate) struct Types {
    types: HashMap<Oid, Type>,
    labels: HashMap<Oid, Vec<String>>,
    domain_checks: HashMap<Oid, Vec<Condition>>,
}

/// What a column's type means, and what its domains demand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Meaning {
    /// Of the innermost base type.
    pub(crate) logical: LogicalType,
    /// A domain says NOT NULL.
    pub(crate) not_null: bool,
    /// The outermost domain's default, for a column without its own.
    pub(crate) default_expression: Option<String>,
    /// The domains' conditions, outermost first.
    conditions: Vec<Condition>,
}

impl Meaning {
    /// The domains' conditions, said of a column: names are made of the column's and the condition's, since one
    /// table may use a domain twice.
    pub(crate) fn checks_of<'a>(
        &'a self,
        column: &'a str,
        quoted_column: &'a str,
    ) -> impl Iterator<Item = DomainCheck> + 'a {
        self.conditions.iter().map(move |condition| DomainCheck {
            check: Check {
                name: format!("{column}_{}", condition.name),
                expression: check_of_column(&condition.expression, quoted_column),
            },
            is_valid: condition.is_valid,
        })
    }
}

impl Types {
    /// Reads types, labels of enums, and conditions of domains.
    pub(crate) fn read(catalog: &dyn Catalog) -> Result<Self, Failure> {
        let mut types = Self::default();
        for values in catalog.query(TYPES, &[])? {
            let mut row = Row::new("types", values);
            let oid = row.number()?;
            let one = Type {
                schema: row.text()?,
                name: row.text()?,
                kind: row.text()?,
                category: row.text()?,
                element: row.number()?,
                base: row.number()?,
                base_modifier: row.number()?,
                not_null: row.flag()?,
                default_expression: row.optional()?,
                range_of: row.optional_number()?,
            };
            types.types.insert(oid, one);
        }
        for values in catalog.query(LABELS, &[])? {
            let mut row = Row::new("labels of enums", values);
            types.labels.entry(row.number()?).or_default().push(row.text()?);
        }
        for values in catalog.query(DOMAIN_CHECKS, &[])? {
            let mut row = Row::new("conditions of domains", values);
            let conditions = types.domain_checks.entry(row.number()?).or_default();
            conditions.push(Condition { name: row.text()?, expression: row.text()?, is_valid: row.flag()? });
        }
        Ok(types)
    }

    /// What a column of this type and modifier means.
    pub(crate) fn meaning(&self, oid: Oid, modifier: i32) -> Meaning {
        self.meaning_at(oid, modifier, 0)
    }

    fn meaning_at(&self, oid: Oid, modifier: i32, depth: u8) -> Meaning {
        let Some(found) = self.types.get(&oid).filter(|_| depth < DEEPEST) else {
            let logical = LogicalType::new("unknown", Layout::Varlen).with("oid", oid.to_string());
            return Meaning { logical, ..Meaning::default() };
        };
        if found.kind == "d" {
            return self.domain(oid, found, depth);
        }
        Meaning { logical: self.logical(oid, found, modifier, depth), ..Meaning::default() }
    }

    fn domain(&self, oid: Oid, domain: &Type, depth: u8) -> Meaning {
        let mut meaning = self.meaning_at(domain.base, domain.base_modifier, depth + 1);
        let name = format!("{}.{}", domain.schema, domain.name);
        meaning.logical.params.insert("domain".to_owned(), name);
        meaning.not_null |= domain.not_null;
        meaning.default_expression = domain.default_expression.clone().or(meaning.default_expression);
        let own = self.domain_checks.get(&oid).into_iter().flatten().cloned();
        meaning.conditions = own.chain(meaning.conditions).collect();
        meaning
    }

    fn logical(&self, oid: Oid, found: &Type, modifier: i32, depth: u8) -> LogicalType {
        // The catalogs' own vectors count from 0 and are no arrays that anybody declares.
        let is_vector = found.schema == "pg_catalog" && matches!(found.name.as_str(), "int2vector" | "oidvector");
        if found.category == "A" && found.element != 0 && !is_vector {
            let element = self.meaning_at(found.element, modifier, depth + 1).logical;
            let array = LogicalType::new("array", Layout::Varlen).with("element", element.name);
            return match element.params.is_empty() {
                true => array,
                false => array.with("element-params", json!(element.params).to_string()),
            };
        }
        let own_name = |kind: &str| {
            let logical = match found.schema.as_str() {
                "pg_catalog" => LogicalType::new(found.name.as_str(), Layout::Varlen),
                _ => logical::foreign(&found.schema, &found.name, modifier),
            };
            logical.with("kind", kind)
        };
        match found.kind.as_str() {
            "e" => LogicalType::new("enum", Layout::Varlen)
                .with("labels", json!(self.labels.get(&oid).map_or(&[][..], Vec::as_slice)).to_string())
                .with("type", format!("{}.{}", found.schema, found.name)),
            "c" => own_name("composite"),
            "r" => match found.range_of {
                Some(of) => own_name("range").with("element", self.meaning_at(of, -1, depth + 1).logical.name),
                None => own_name("range"),
            },
            "m" => own_name("multirange"),
            _ if found.schema == "pg_catalog" => logical::built_in(&found.name, modifier),
            _ => logical::foreign(&found.schema, &found.name, modifier),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(name: &str) -> Type {
        Type {
            schema: "pg_catalog".into(),
            name: name.into(),
            kind: "b".into(),
            category: "X".into(),
            ..Type::default()
        }
    }

    fn users(name: &str, kind: &str) -> Type {
        Type { schema: "public".into(), kind: kind.into(), ..base(name) }
    }

    fn condition(name: &str, expression: &str, is_valid: bool) -> Condition {
        Condition { name: name.to_owned(), expression: expression.to_owned(), is_valid }
    }

    fn types() -> Types {
        let array = |name: &str, element| Type { category: "A".into(), element, ..base(name) };
        Types {
            types: HashMap::from([
                (23, base("int4")),
                (1700, base("numeric")),
                (1231, array("_numeric", 1700)),
                (100, users("mood", "e")),
                (101, Type { schema: "public".into(), ..array("_mood", 100) }),
                (
                    110,
                    Type {
                        base: 23,
                        base_modifier: -1,
                        not_null: true,
                        default_expression: Some("7".into()),
                        ..users("positive", "d")
                    },
                ),
                (111, Type { base: 110, base_modifier: -1, ..users("small", "d") }),
                (120, Type { range_of: Some(23), ..users("span", "r") }),
                (121, users("address", "c")),
            ]),
            labels: HashMap::from([(100, vec!["sad".into(), "it's \"ok\"".into()])]),
            domain_checks: HashMap::from([
                (110, vec![condition("positive_check", "(VALUE > 0)", true)]),
                (111, vec![condition("small_check", "(VALUE < 1000)", false)]),
            ]),
        }
    }

    #[test]
    fn an_array_names_its_element_and_passes_the_modifier_on() {
        let logical = types().meaning(1231, ((10 << 16) | 3) + 4).logical;
        assert_eq!((logical.name.as_str(), logical.param("element")), ("array", Some("decimal")));
        assert_eq!(logical.param("element-params"), Some(r#"{"precision":"10","scale":"3"}"#));
    }

    #[test]
    fn an_enum_has_its_labels_in_their_order() {
        let logical = types().meaning(100, -1).logical;
        assert_eq!(logical.param("labels"), Some(r#"["sad","it's \"ok\""]"#));
        assert_eq!(logical.param("type"), Some("public.mood"));
        let array = types().meaning(101, -1).logical;
        assert_eq!(array.param("element"), Some("enum"));
        assert!(array.param("element-params").is_some_and(|p| p.contains("public.mood")));
    }

    #[test]
    fn a_domain_is_its_base_type_and_hands_down_what_it_demands() {
        let meaning = types().meaning(111, -1);
        assert_eq!(meaning.logical.name, "integer");
        assert_eq!(meaning.logical.param("domain"), Some("public.small"));
        assert!(meaning.not_null);
        assert_eq!(meaning.default_expression.as_deref(), Some("7"));
        let checks: Vec<_> =
            meaning.checks_of("n", "n").map(|c| (c.check.name, c.check.expression, c.is_valid)).collect();
        assert_eq!(
            checks,
            [
                ("n_small_check".to_owned(), "(n < 1000)".to_owned(), false),
                ("n_positive_check".to_owned(), "(n > 0)".to_owned(), true)
            ]
        );
    }

    #[test]
    fn ranges_and_composites_go_by_their_own_names() {
        let range = types().meaning(120, -1).logical;
        assert_eq!(
            (range.name.as_str(), range.param("kind"), range.param("element")),
            ("span", Some("range"), Some("integer"))
        );
        assert_eq!(types().meaning(121, -1).logical.param("kind"), Some("composite"));
    }

    #[test]
    fn a_type_that_is_not_in_the_catalog_is_unknown_and_says_which() {
        assert_eq!(types().meaning(9, -1).logical.param("oid"), Some("9"));
    }
}
