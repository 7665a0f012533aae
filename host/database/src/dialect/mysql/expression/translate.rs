//! Operators and structure.

use std::collections::BTreeSet;

use sqlparser::ast::{AccessExpr, BinaryOperator, CaseWhen, DateTimeField, Expr, TrimWhereField, UnaryOperator, Value};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use super::query::InQuery;
use super::scope::{Found, Kind, Scope, is_bin};
use super::{Untranslatable, cast, certain, function, query};
use crate::dialect::mysql::name::{quote_name, quote_text};

/// What an expression is for. Checks and predicates are conditions; defaults and generated columns are values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Position {
    Condition,
    Value,
}

/// An expression in the target's dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Translated {
    pub(crate) sql: String,
    pub(crate) kind: Kind,
    /// The target columns that it names.
    pub(crate) columns: BTreeSet<String>,
}

/// Translates an expression as PostgreSQL's catalogs print it.
pub(crate) fn translate(expression: &str, scope: &Scope<'_>, position: Position) -> Result<Translated, Untranslatable> {
    let parsed = Parser::new(&PostgreSqlDialect {})
        .with_recursion_limit(100)
        .try_with_sql(expression)
        .and_then(|mut parser| {
            let parsed = parser.parse_expr()?;
            parser.expect_token(&sqlparser::tokenizer::Token::EOF)?;
            Ok(parsed)
        })
        .map_err(|e| Untranslatable(format!("it is not understood ({e})")))?;
    let mut translation = Translation { scope, columns: BTreeSet::new(), query: None };
    let printed = match position {
        Position::Condition => Printed::new(translation.condition(&parsed)?, Kind::Boolean),
        Position::Value => translation.value(&parsed)?,
    };
    Ok(Translated { sql: printed.sql, kind: printed.kind, columns: translation.columns })
}

/// A part of an expression in the target's dialect, in brackets where it needs them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Printed {
    pub(super) sql: String,
    pub(super) kind: Kind,
    /// Of a text: it is compared by its code points, whatever it is compared with.
    pub(super) bin: bool,
    /// Of a number: its digits after the point, at most. None: nobody knows.
    pub(super) scale: Option<u32>,
}

impl Printed {
    pub(super) fn new(sql: impl Into<String>, kind: Kind) -> Self {
        Self { sql: sql.into(), kind, bin: false, scale: None }
    }

    pub(super) fn with_scale(self, scale: Option<u32>) -> Self {
        Self { scale, ..self }
    }
}

pub(super) fn refuse<T>(reason: impl Into<String>) -> Result<T, Untranslatable> {
    Err(Untranslatable(reason.into()))
}

pub(super) struct Translation<'a> {
    pub(super) scope: &'a Scope<'a>,
    pub(super) columns: BTreeSet<String>,
    /// The query whose expression it is. None: a table's.
    pub(super) query: Option<InQuery<'a>>,
}

impl Translation<'_> {
    /// Whether an expression must give exactly the source's values, and is refused otherwise: those of views are.
    pub(super) fn is_exact(&self) -> bool {
        self.query.is_some()
    }

    /// An expression where a truth value is wanted: bare columns are refused there.
    pub(super) fn condition(&mut self, expression: &Expr) -> Result<String, Untranslatable> {
        match expression {
            Expr::Nested(inner) => self.condition(inner),
            Expr::BinaryOp { left, op: op @ (BinaryOperator::And | BinaryOperator::Or), right } => {
                let mut parts = Vec::new();
                self.chain(left, op, &mut parts)?;
                self.chain(right, op, &mut parts)?;
                let word = if *op == BinaryOperator::And { " and " } else { " or " };
                Ok(format!("({})", parts.join(word)))
            }
            Expr::UnaryOp { op: UnaryOperator::Not, expr } => Ok(format!("(not({}))", self.condition(expr)?)),
            Expr::Value(value) => match &value.value {
                Value::Boolean(true) => Ok("(1 = 1)".to_owned()),
                Value::Boolean(false) => Ok("(1 = 0)".to_owned()),
                Value::Null => Ok("NULL".to_owned()),
                other => refuse(format!("{other} is no condition")),
            },
            other => {
                let printed = self.value(other)?;
                if printed.kind != Kind::Boolean {
                    return refuse(format!("{other} is no condition"));
                }
                if is_bare(other) {
                    return Ok(format!("({} <> 0)", printed.sql));
                }
                Ok(printed.sql)
            }
        }
    }

    /// The operands of a chain of the same connective, as OceanBase prints it: flat.
    fn chain(
        &mut self,
        expression: &Expr,
        connective: &BinaryOperator,
        parts: &mut Vec<String>,
    ) -> Result<(), Untranslatable> {
        match expression {
            Expr::Nested(inner) => self.chain(inner, connective, parts),
            Expr::BinaryOp { left, op, right } if op == connective => {
                self.chain(left, connective, parts)?;
                self.chain(right, connective, parts)
            }
            other => {
                parts.push(self.condition(other)?);
                Ok(())
            }
        }
    }

    /// An expression where a value is wanted; truth values are 1 and 0.
    pub(super) fn value(&mut self, expression: &Expr) -> Result<Printed, Untranslatable> {
        if let Expr::Nested(inner) = expression {
            return self.value(inner);
        }
        if let Some(key) = self.query.as_ref().and_then(|query| query.group_key(expression)) {
            return Ok(key);
        }
        let printed = self.any_value(expression)?;
        Ok(if self.is_exact() { certain::bound(expression, printed) } else { printed })
    }

    fn any_value(&mut self, expression: &Expr) -> Result<Printed, Untranslatable> {
        match expression {
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => self.column(expression),
            Expr::Value(value) => literal(&value.value),
            Expr::Exists { subquery, negated } => query::exists(self, subquery, *negated),
            Expr::InSubquery { expr, subquery, negated } => query::one_of(self, expr, subquery, *negated),
            Expr::Subquery(subquery) => query::scalar(self, subquery),
            Expr::TypedString(typed) => {
                let text = Expr::Value(typed.value.clone());
                cast::cast(self, &text, &typed.data_type)
            }
            Expr::Cast { expr, data_type, .. } => cast::cast(self, expr, data_type),
            Expr::BinaryOp { op: BinaryOperator::And | BinaryOperator::Or, .. }
            | Expr::UnaryOp { op: UnaryOperator::Not, .. } => {
                Ok(Printed::new(self.condition(expression)?, Kind::Boolean))
            }
            Expr::BinaryOp { left, op, right } => self.binary(left, op, right),
            Expr::UnaryOp { op, expr } => self.unary(*op, expr),
            Expr::IsNull(inner) | Expr::IsUnknown(inner) => self.null_test(inner, "is null"),
            Expr::IsNotNull(inner) | Expr::IsNotUnknown(inner) => self.null_test(inner, "is not null"),
            Expr::IsTrue(inner) => self.truth_test(inner, "is true"),
            Expr::IsNotTrue(inner) => self.truth_test(inner, "is not true"),
            Expr::IsFalse(inner) => self.truth_test(inner, "is false"),
            Expr::IsNotFalse(inner) => self.truth_test(inner, "is not false"),
            Expr::IsNotDistinctFrom(left, right) => self.compare(left, "<=>", right),
            Expr::IsDistinctFrom(left, right) => {
                let same = self.compare(left, "<=>", right)?;
                Ok(Printed::new(format!("(not({}))", same.sql), Kind::Boolean))
            }
            Expr::InList { expr, list, negated } => self.one_of(expr, list, *negated),
            Expr::AnyOp { left, compare_op: BinaryOperator::Eq, right, .. } => {
                self.one_of(left, &self.elements(right)?, false)
            }
            Expr::AllOp { left, compare_op: BinaryOperator::NotEq, right } => {
                self.one_of(left, &self.elements(right)?, true)
            }
            Expr::Between { expr, negated, low, high } => {
                let (low, high) = (self.compare(expr, ">=", low)?, self.compare(expr, "<=", high)?);
                let between = format!("({} and {})", low.sql, high.sql);
                Ok(Printed::new(if *negated { format!("(not({between}))") } else { between }, Kind::Boolean))
            }
            Expr::Like { negated, any: false, expr, pattern, escape_char } => {
                self.like(expr, pattern, escape_char.as_deref(), *negated)
            }
            Expr::Case { operand, conditions, else_result, .. } => {
                self.case(operand.as_deref(), conditions, else_result.as_deref())
            }
            Expr::Extract { field, expr, .. } => self.extract(field, expr),
            Expr::AtTimeZone { timestamp, time_zone } => self.at_time_zone(timestamp, time_zone),
            Expr::Collate { expr, collation } => {
                let name = collation.to_string().replace('"', "").to_ascii_lowercase();
                match name.rsplit('.').next() {
                    Some("c" | "posix" | "default" | "ucs_basic" | "c.utf8") => self.value(expr),
                    _ => refuse(format!("there is no collation {collation}")),
                }
            }
            Expr::Ceil { expr, .. } => self.number_function("ceiling", expr),
            Expr::Floor { expr, .. } => self.number_function("floor", expr),
            Expr::Position { expr, r#in } => {
                let (part, whole) = (self.text(expr)?, self.text(r#in)?);
                Ok(Printed::new(format!("locate({part},{whole})"), Kind::Integer))
            }
            Expr::Substring { expr, substring_from: Some(from), substring_for, .. } => {
                if self.is_exact() {
                    certain::require_places(std::iter::once(from).chain(substring_for).map(AsRef::as_ref))?;
                }
                let mut arguments = vec![self.text(expr)?, self.number(from)?.sql];
                if let Some(count) = substring_for {
                    arguments.push(self.number(count)?.sql);
                }
                Ok(Printed::new(format!("substr({})", arguments.join(",")), Kind::Text))
            }
            Expr::Trim { trim_where, trim_what, expr, trim_characters } => {
                let what = trim_what.as_deref().or(trim_characters.as_ref().and_then(|c| c.first()));
                self.trim(trim_where.as_ref(), what, expr)
            }
            Expr::Function(called) => function::call(self, called),
            Expr::CompoundFieldAccess { access_chain, .. }
                if access_chain.iter().any(|a| matches!(a, AccessExpr::Subscript(_))) =>
            {
                refuse("there are no arrays")
            }
            other => refuse(format!("{other} has no counterpart")),
        }
    }

    /// Where the name of a column leads; in a table's expressions, what stands before it is the table itself.
    pub(super) fn found(&self, expression: &Expr) -> Result<Found<'_>, Untranslatable> {
        match expression {
            Expr::Identifier(name) => self.scope.find(None, &name.value),
            Expr::CompoundIdentifier(names) => match names.as_slice() {
                [.., name] if !self.is_exact() => self.scope.find(None, &name.value),
                [alias, name] => self.scope.find(Some(&alias.value), &name.value),
                _ => refuse(format!("the name {expression} is not understood")),
            },
            _ => refuse(format!("{expression} is no column")),
        }
    }

    fn column(&mut self, expression: &Expr) -> Result<Printed, Untranslatable> {
        let named = self.found(expression)?.named;
        if let Some(changed) = &named.changed {
            return refuse(changed.clone());
        }
        let target = &named.target;
        let scale = match named.kind {
            Kind::Integer => Some(0),
            Kind::Decimal => target.logical.number("scale"),
            _ => None,
        };
        let printed = Printed { kind: named.kind, bin: is_bin(target), scale, sql: String::new() };
        Ok(Printed { sql: self.name_column(expression)?, ..printed })
    }

    /// Prints the name of a column, whatever its values are.
    pub(super) fn name_column(&mut self, expression: &Expr) -> Result<String, Untranslatable> {
        let found = self.found(expression)?;
        let (name, is_outer) = (found.named.target.name.clone(), found.is_outer);
        let sql = match found.alias {
            Some(alias) => format!("{}.{}", quote_name(alias), quote_name(&name)),
            None => quote_name(&name),
        };
        self.columns.insert(name);
        if let Some(query) = self.query.as_mut().filter(|_| !is_outer) {
            query.note_column(&sql);
        }
        Ok(sql)
    }

    /// Whether an argument is a literal or a column that is NOT NULL.
    pub(super) fn never_null(&self, expression: &Expr) -> bool {
        match unwrap_casts(expression) {
            Expr::Value(value) => value.value != Value::Null,
            column @ Expr::Identifier(_) => self.found(column).is_ok_and(|found| !found.named.target.nullable),
            column @ Expr::CompoundIdentifier(_) if self.is_exact() => {
                self.found(column).is_ok_and(|found| !found.named.target.nullable)
            }
            _ => false,
        }
    }

    /// A value that must be a text.
    pub(super) fn text(&mut self, expression: &Expr) -> Result<String, Untranslatable> {
        let printed = self.value(expression)?;
        if printed.kind.is_text() { Ok(printed.sql) } else { refuse(format!("{expression} is no text")) }
    }

    /// A value that must be a number.
    pub(super) fn number(&mut self, expression: &Expr) -> Result<Printed, Untranslatable> {
        let printed = self.value(expression)?;
        if printed.kind.is_number() { Ok(printed) } else { refuse(format!("{expression} is no number")) }
    }

    fn number_function(&mut self, function: &str, expression: &Expr) -> Result<Printed, Untranslatable> {
        let number = self.number(expression)?;
        Ok(Printed::new(format!("{function}({})", number.sql), number.kind))
    }

    fn null_test(&mut self, expression: &Expr, test: &str) -> Result<Printed, Untranslatable> {
        // Whether a value is there does not depend on how it is written.
        let sql = match unwrap_casts(expression) {
            column @ (Expr::Identifier(_) | Expr::CompoundIdentifier(_)) => {
                if self.is_exact() {
                    certain::require_presence(self.found(column)?.named)?;
                }
                self.name_column(column)?
            }
            _ => self.value(expression)?.sql,
        };
        Ok(Printed::new(format!("({sql} {test})"), Kind::Boolean))
    }

    fn truth_test(&mut self, expression: &Expr, test: &str) -> Result<Printed, Untranslatable> {
        let value = self.value(expression)?;
        if value.kind != Kind::Boolean {
            return refuse(format!("{expression} is no condition"));
        }
        Ok(Printed::new(format!("({} {test})", value.sql), Kind::Boolean))
    }

    pub(super) fn compare(&mut self, left: &Expr, operator: &str, right: &Expr) -> Result<Printed, Untranslatable> {
        let (first, second) = (self.value(left)?, self.value(right)?);
        let ordered = !matches!(operator, "=" | "<>" | "<=>");
        if ordered && (first.kind == Kind::Enum || second.kind == Kind::Enum) {
            return refuse("the labels of an enum are ordered as texts there, not as declared");
        }
        if ordered && (first.kind == Kind::Uuid && second.kind == Kind::Text) {
            return refuse("a uuid is compared with a text");
        }
        if !comparable(first.kind, second.kind) {
            return refuse(format!("{left} and {right} are not of one type"));
        }
        if self.is_exact() && (first.kind == Kind::Text || second.kind == Kind::Text) {
            return certain::compare_texts((left, &first), operator, (right, &second));
        }
        Ok(Printed::new(format!("({} {operator} {})", first.sql, second.sql), Kind::Boolean))
    }

    fn one_of(&mut self, left: &Expr, list: &[Expr], negated: bool) -> Result<Printed, Untranslatable> {
        let first = self.value(left)?;
        if self.is_exact() && first.kind.is_text() {
            let each: Result<Vec<_>, _> =
                list.iter().map(|element| Ok(self.compare(left, "=", element)?.sql)).collect();
            let any = match each? {
                each if each.is_empty() => return refuse("a list of values is empty"),
                each => format!("({})", each.join(" or ")),
            };
            return Ok(Printed::new(if negated { format!("(not({any}))") } else { any }, Kind::Boolean));
        }
        let mut values = Vec::with_capacity(list.len());
        for element in list {
            let value = self.value(element)?;
            if !comparable(first.kind, value.kind) {
                return refuse(format!("{left} and {element} are not of one type"));
            }
            values.push(value.sql);
        }
        let (one, many) = if negated { ("<>", "not in") } else { ("=", "in") };
        let sql = match values.as_slice() {
            [] => return refuse("a list of values is empty"),
            [value] => format!("({} {one} {value})", first.sql),
            _ => format!("({} {many} ({}))", first.sql, values.join(",")),
        };
        Ok(Printed::new(sql, Kind::Boolean))
    }

    /// The elements of `ARRAY[…]`, below brackets and casts, each with the casts that PostgreSQL printed.
    fn elements(&self, expression: &Expr) -> Result<Vec<Expr>, Untranslatable> {
        match unwrap_casts(expression) {
            Expr::Array(array) => Ok(array.elem.clone()),
            Expr::Value(_) if self.is_exact() => {
                refuse(format!("the types of the values in {expression} are not known"))
            }
            Expr::Value(_) => match text_literal(expression).as_deref().and_then(plain_array) {
                Some(texts) => Ok(texts.into_iter().map(|text| Expr::value(Value::SingleQuotedString(text))).collect()),
                None => refuse("its list of values is not understood"),
            },
            _ => refuse("its list of values is no literal"),
        }
    }

    fn like(
        &mut self,
        left: &Expr,
        pattern: &Expr,
        escape: Option<&Expr>,
        negated: bool,
    ) -> Result<Printed, Untranslatable> {
        if self.is_exact() {
            certain::require_pattern(&self.value(left)?, pattern)?;
        }
        let (value, pattern) = (self.text(left)?, self.text(pattern)?);
        let escape = match escape {
            None => quote_text("\\"),
            Some(escape) => self.text(escape)?,
        };
        let like = format!("({value} like {pattern} escape {escape})");
        Ok(Printed::new(if negated { format!("(not({like}))") } else { like }, Kind::Boolean))
    }

    fn matches(&mut self, left: &Expr, pattern: &Expr, flags: &str, negated: bool) -> Result<Printed, Untranslatable> {
        if self.is_exact() {
            return refuse("regular expressions are read otherwise there");
        }
        let value = self.text(left)?;
        let Some(pattern) = text_literal(pattern) else {
            return refuse("its regular expression is no literal");
        };
        function::portable_pattern(&pattern)?;
        let matches = format!("(regexp_like({value},{},{}))", quote_text(&pattern), quote_text(flags));
        Ok(Printed::new(if negated { format!("(not({matches}))") } else { matches }, Kind::Boolean))
    }

    fn unary(&mut self, operator: UnaryOperator, inner: &Expr) -> Result<Printed, Untranslatable> {
        let number = self.number(inner)?;
        match operator {
            UnaryOperator::Plus => Ok(number),
            UnaryOperator::Minus if number.sql.starts_with(|c: char| c.is_ascii_digit()) => {
                Ok(Printed::new(format!("-{}", number.sql), number.kind).with_scale(number.scale))
            }
            UnaryOperator::Minus => {
                Ok(Printed::new(format!("-({})", number.sql), number.kind).with_scale(number.scale))
            }
            other => refuse(format!("there is no operator {other}")),
        }
    }

    fn binary(&mut self, left: &Expr, operator: &BinaryOperator, right: &Expr) -> Result<Printed, Untranslatable> {
        use BinaryOperator as Op;
        match operator {
            Op::Eq => self.compare(left, "=", right),
            Op::NotEq => self.compare(left, "<>", right),
            Op::Lt => self.compare(left, "<", right),
            Op::LtEq => self.compare(left, "<=", right),
            Op::Gt => self.compare(left, ">", right),
            Op::GtEq => self.compare(left, ">=", right),
            Op::StringConcat => {
                let mut parts = Vec::new();
                self.concatenation(left, &mut parts)?;
                self.concatenation(right, &mut parts)?;
                Ok(Printed::new(format!("concat({})", parts.join(",")), Kind::Text))
            }
            Op::Plus | Op::Minus | Op::Multiply | Op::Divide | Op::Modulo => self.arithmetic(left, operator, right),
            Op::PGLikeMatch => self.like(left, right, None, false),
            Op::PGNotLikeMatch => self.like(left, right, None, true),
            Op::PGRegexMatch => self.matches(left, right, "c", false),
            Op::PGRegexNotMatch => self.matches(left, right, "c", true),
            Op::PGRegexIMatch => self.matches(left, right, "i", false),
            Op::PGRegexNotIMatch => self.matches(left, right, "i", true),
            Op::PGILikeMatch | Op::PGNotILikeMatch => refuse("there is no ILIKE"),
            other => refuse(format!("there is no operator {other} that means the same")),
        }
    }

    fn concatenation(&mut self, expression: &Expr, parts: &mut Vec<String>) -> Result<(), Untranslatable> {
        match expression {
            Expr::Nested(inner) => self.concatenation(inner, parts),
            Expr::BinaryOp { left, op: BinaryOperator::StringConcat, right } => {
                self.concatenation(left, parts)?;
                self.concatenation(right, parts)
            }
            other => {
                let printed = self.value(other)?;
                if !(printed.kind.is_text() || printed.kind == Kind::Integer) {
                    return refuse(format!("{other} is written otherwise as text"));
                }
                parts.push(printed.sql);
                Ok(())
            }
        }
    }

    fn arithmetic(&mut self, left: &Expr, operator: &BinaryOperator, right: &Expr) -> Result<Printed, Untranslatable> {
        let (first, second) = (self.number(left)?, self.number(right)?);
        let scale = match self.is_exact() {
            true => certain::scale(&first, operator, right, &second)?,
            false => None,
        };
        let kind = match (first.kind, second.kind) {
            (Kind::Float, _) | (_, Kind::Float) => Kind::Float,
            (Kind::Decimal, _) | (_, Kind::Decimal) => Kind::Decimal,
            _ => Kind::Integer,
        };
        let word = match operator {
            BinaryOperator::Plus => "+",
            BinaryOperator::Minus => "-",
            BinaryOperator::Multiply => "*",
            BinaryOperator::Modulo => "%",
            BinaryOperator::Divide if kind == Kind::Integer => "div",
            BinaryOperator::Divide if kind == Kind::Float => "/",
            _ => return refuse("quotients of decimals are rounded otherwise there"),
        };
        Ok(Printed::new(format!("({} {word} {})", first.sql, second.sql), kind).with_scale(scale))
    }

    fn case(
        &mut self,
        operand: Option<&Expr>,
        branches: &[CaseWhen],
        otherwise: Option<&Expr>,
    ) -> Result<Printed, Untranslatable> {
        let mut sql = String::from("(case");
        let mut kind = Kind::Any;
        let mut scale = Some(0);
        // Where texts are compared letter by letter it is a comparison in each branch.
        let compared = operand.filter(|_| self.is_exact());
        if let Some(operand) = operand.filter(|_| !self.is_exact()) {
            sql.push(' ');
            sql.push_str(&self.value(operand)?.sql);
        }
        let mut join = |result: Printed| -> Result<String, Untranslatable> {
            if kind == Kind::Any {
                kind = result.kind;
            } else if !comparable(kind, result.kind) {
                return refuse("the branches of a CASE are not of one type");
            }
            scale = certain::wider(scale, &result);
            Ok(result.sql)
        };
        for branch in branches {
            let when = match (compared, operand) {
                (Some(operand), _) => self.compare(operand, "=", &branch.condition)?.sql,
                (None, None) => self.condition(&branch.condition)?,
                (None, Some(_)) => self.value(&branch.condition)?.sql,
            };
            let then = join(self.value(&branch.result)?)?;
            sql.push_str(&format!(" when {when} then {then}"));
        }
        let otherwise = match otherwise {
            None => "NULL".to_owned(),
            Some(otherwise) => join(self.value(otherwise)?)?,
        };
        sql.push_str(&format!(" else {otherwise} end)"));
        Ok(Printed::new(sql, kind).with_scale(scale))
    }

    pub(super) fn extract(&mut self, field: &DateTimeField, expression: &Expr) -> Result<Printed, Untranslatable> {
        let value = self.value(expression)?;
        if !matches!(value.kind, Kind::Date | Kind::Timestamp) {
            return refuse(format!("the parts of {expression} depend on the session's time zone, or are none"));
        }
        let function = match field.to_string().to_ascii_lowercase().as_str() {
            "year" => "year",
            "month" => "month",
            "day" => "dayofmonth",
            "hour" => "hour",
            "minute" => "minute",
            "quarter" => "quarter",
            "doy" => "dayofyear",
            "dow" => return Ok(Printed::new(format!("(dayofweek({}) - 1)", value.sql), Kind::Integer)),
            other => return refuse(format!("there is no EXTRACT({other} …) that means the same")),
        };
        Ok(Printed::new(format!("{function}({})", value.sql), Kind::Integer))
    }

    pub(super) fn at_time_zone(&mut self, timestamp: &Expr, zone: &Expr) -> Result<Printed, Untranslatable> {
        let utc = text_literal(zone).is_some_and(|z| {
            matches!(z.to_ascii_lowercase().as_str(), "utc" | "etc/utc" | "z" | "zulu" | "+00" | "+00:00" | "gmt")
        });
        let value = self.value(timestamp)?;
        match value.kind {
            Kind::TimestampTz if utc => Ok(Printed::new(value.sql, Kind::Timestamp)),
            Kind::Timestamp if utc => Ok(Printed::new(value.sql, Kind::TimestampTz)),
            _ => refuse("time zones by name are not known everywhere"),
        }
    }

    pub(super) fn trim(
        &mut self,
        side: Option<&TrimWhereField>,
        what: Option<&Expr>,
        expression: &Expr,
    ) -> Result<Printed, Untranslatable> {
        let value = self.text(expression)?;
        let blank = what.is_none_or(|w| text_literal(w).as_deref() == Some(" "));
        let sql = match (side, blank) {
            (None | Some(TrimWhereField::Both), true) => format!("trim({value})"),
            (Some(TrimWhereField::Leading), true) => format!("ltrim({value})"),
            (Some(TrimWhereField::Trailing), true) => format!("rtrim({value})"),
            _ => return refuse("trimming other characters than blanks means something else there"),
        };
        Ok(Printed::new(sql, Kind::Text))
    }
}

/// Whether a condition would be a bare column or number.
fn is_bare(expression: &Expr) -> bool {
    match expression {
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => is_bare(inner),
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Case { .. } | Expr::Function(_) => true,
        _ => false,
    }
}

/// The expression below brackets and casts.
pub(super) fn unwrap_casts(expression: &Expr) -> &Expr {
    match expression {
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => unwrap_casts(inner),
        other => other,
    }
}

/// The text of a literal, below brackets and casts.
pub(crate) fn text_literal(expression: &Expr) -> Option<String> {
    match unwrap_casts(expression) {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) | Value::UnicodeStringLiteral(text) => {
                Some(text.clone())
            }
            Value::DollarQuotedString(text) => Some(text.value.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// The elements of `{a,b}` where none is quoted.
fn plain_array(text: &str) -> Option<Vec<String>> {
    let inner = text.strip_prefix('{')?.strip_suffix('}')?;
    if inner.is_empty() || inner.contains(['"', '\\', '{', '}']) {
        return None;
    }
    let elements: Vec<String> = inner.split(',').map(str::to_owned).collect();
    elements.iter().all(|e| !e.is_empty() && !e.eq_ignore_ascii_case("null")).then_some(elements)
}

fn literal(value: &Value) -> Result<Printed, Untranslatable> {
    match value {
        Value::Number(number, _) => {
            let kind = if number.bytes().all(|b| b.is_ascii_digit()) { Kind::Integer } else { Kind::Decimal };
            let scale = number.split_once('.').map_or(0, |(_, digits)| digits.len());
            let plain = number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
            Ok(Printed::new(number.clone(), kind).with_scale(u32::try_from(scale).ok().filter(|_| plain)))
        }
        Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) | Value::UnicodeStringLiteral(text) => {
            Ok(Printed::new(quote_text(text), Kind::Any))
        }
        Value::DollarQuotedString(text) => Ok(Printed::new(quote_text(&text.value), Kind::Any)),
        Value::Boolean(truth) => Ok(Printed::new(if *truth { "1" } else { "0" }, Kind::Boolean)),
        Value::Null => Ok(Printed::new("NULL", Kind::Any)),
        other => refuse(format!("{other} has no counterpart")),
    }
}

/// Whether values of these kinds compare there as they do at the source.
pub(super) fn comparable(first: Kind, second: Kind) -> bool {
    use Kind::{Any, Bytes, Json, Other};
    if matches!(first, Bytes | Json | Other) || matches!(second, Bytes | Json | Other) {
        return false;
    }
    first == second
        || first == Any
        || second == Any
        || (first.is_number() && second.is_number())
        || (first.is_text() && second.is_text())
}
