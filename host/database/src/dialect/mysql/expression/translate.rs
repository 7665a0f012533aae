//! Operators and structure.

use std::collections::BTreeSet;

use sqlparser::ast::{
    AccessExpr, ArrayElemTypeDef, BinaryOperator, CaseWhen, CastKind, DataType, DateTimeField, Expr, UnaryOperator,
    Value,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use super::cast::{bare_text, text_of};
use super::column;
use super::pattern::Case;
use super::printed::Printed;
use super::query::InQuery;
use super::scope::{Found, Kind, Letters, Scope};
use super::{Untranslatable, cast, function, number, query, text};
use crate::dialect::mysql::name::{quote_name, quote_text};

/// What an expression is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Position {
    /// A check or a predicate: a condition.
    Condition,
    /// A default or a generated column: a value, which is compared with the source's.
    Value,
    /// A part of an index: a value that is compared with its like only.
    Key,
}

/// An expression in the target's dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Translated {
    pub(crate) sql: String,
    pub(crate) kind: Kind,
    /// The target columns that it names.
    pub(crate) columns: BTreeSet<String>,
    /// Conditions, of which one is false for each row that the source refuses because the expression fails there, and
    /// does not in the target.
    pub(crate) guards: Vec<String>,
    /// How values that are equal at the source differ in the target, or the other way round.
    pub(crate) notes: BTreeSet<String>,
    pub(super) printed: Printed,
}

impl Translated {
    /// A condition that holds for exactly the rows that the source takes.
    pub(crate) fn guarded(&self) -> String {
        let parts: Vec<&str> =
            std::iter::once(self.sql.as_str()).chain(self.guards.iter().map(String::as_str)).collect();
        all_of(&parts).unwrap_or_default()
    }

    /// Refuses an expression that fails at the source for some rows, and gives a value in the target.
    pub(crate) fn require_total(&self) -> Result<(), Untranslatable> {
        match all_of(&self.guards) {
            None => Ok(()),
            Some(guard) => refuse(format!("it fails at the source unless {guard}, and gives a value there")),
        }
    }

    /// Whether all of its values are whole numbers.
    pub(crate) fn is_whole(&self) -> bool {
        self.kind == Kind::Integer || self.printed.range.is_some()
    }
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
    let mut translation = Translation::of_table(scope, position);
    let printed = match position {
        Position::Condition => Printed::boolean(translation.whole_condition(&parsed)?),
        Position::Value => translation.value(&parsed)?,
        Position::Key => translation.value(&parsed)?.by_code_points(),
    };
    Ok(Translated {
        sql: printed.sql.clone(),
        kind: printed.kind,
        columns: translation.columns,
        guards: translation.guards,
        notes: translation.notes,
        printed,
    })
}

/// Conditions that must all hold. None: there are none.
pub(super) fn all_of<S: AsRef<str>>(conditions: &[S]) -> Option<String> {
    let parts: Vec<&str> = conditions.iter().map(AsRef::as_ref).collect();
    match parts.as_slice() {
        [] => None,
        [one] => Some((*one).to_owned()),
        many => Some(format!("({})", many.join(" and "))),
    }
}

pub(super) fn refuse<T>(reason: impl Into<String>) -> Result<T, Untranslatable> {
    Err(Untranslatable(reason.into()))
}

pub(super) fn negated(condition: &str) -> String {
    format!("(not({condition}))")
}

pub(super) struct Translation<'a> {
    pub(super) scope: &'a Scope<'a>,
    pub(super) position: Position,
    pub(super) columns: BTreeSet<String>,
    /// The query whose expression it is. None: a table's.
    pub(super) query: Option<InQuery<'a>>,
    guards: Vec<String>,
    pub(super) notes: BTreeSet<String>,
}

impl<'a> Translation<'a> {
    fn of_table(scope: &'a Scope<'a>, position: Position) -> Self {
        Self { scope, position, columns: BTreeSet::new(), query: None, guards: Vec::new(), notes: BTreeSet::new() }
    }

    pub(super) fn in_query(scope: &'a Scope<'a>, query: InQuery<'a>) -> Self {
        Self { query: Some(query), ..Self::of_table(scope, Position::Value) }
    }
}

impl Translation<'_> {
    /// Takes note of a condition that is false for rows in which what is translated fails at the source. A view that fails
    /// has no rows to be missed.
    pub(super) fn guard(&mut self, condition: String) {
        if self.query.is_none() && !self.guards.contains(&condition) {
            self.guards.push(condition);
        }
    }

    /// What a part gives, and its own guards.
    pub(super) fn apart<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, Untranslatable>,
    ) -> Result<(T, Vec<String>), Untranslatable> {
        let around = std::mem::take(&mut self.guards);
        let result = work(self);
        let own = std::mem::replace(&mut self.guards, around);
        Ok((result?, own))
    }

    /// A condition that stands alone: where one operand of its AND is false, it is no matter whether another one fails.
    fn whole_condition(&mut self, expression: &Expr) -> Result<String, Untranslatable> {
        match expression {
            Expr::Nested(inner) => self.whole_condition(inner),
            Expr::BinaryOp { op: op @ BinaryOperator::And, .. } => {
                let mut operands = Vec::new();
                chain(expression, op, &mut operands);
                let parts: Result<Vec<_>, _> =
                    operands.into_iter().map(|operand| self.whole_condition(operand)).collect();
                Ok(format!("({})", parts?.join(" and ")))
            }
            other => self.condition(other),
        }
    }

    /// An expression where a truth value is wanted: bare columns are refused there.
    pub(super) fn condition(&mut self, expression: &Expr) -> Result<String, Untranslatable> {
        match expression {
            Expr::Nested(inner) => self.condition(inner),
            Expr::BinaryOp { op: op @ (BinaryOperator::And | BinaryOperator::Or), .. } => {
                self.connected(expression, op)
            }
            Expr::UnaryOp { op: UnaryOperator::Not, expr } => Ok(negated(&self.condition(expr)?)),
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

    /// A chain of the same connective, as OceanBase prints it: flat. An operand fails only where those before it have not
    /// decided already.
    fn connected(&mut self, expression: &Expr, connective: &BinaryOperator) -> Result<String, Untranslatable> {
        let (word, decided) = match connective {
            BinaryOperator::And => (" and ", "false"),
            _ => (" or ", "true"),
        };
        let mut operands = Vec::new();
        chain(expression, connective, &mut operands);
        let mut parts: Vec<String> = Vec::with_capacity(operands.len());
        for operand in operands {
            let (part, guards) = self.apart(|translation| translation.condition(operand))?;
            for guard in guards {
                self.guard(match parts.as_slice() {
                    [] => guard,
                    [one] => format!("(({one} is {decided}) or {guard})"),
                    many => format!("((({}) is {decided}) or {guard})", many.join(word)),
                });
            }
            parts.push(part);
        }
        Ok(format!("({})", parts.join(word)))
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
        Ok(if self.query.is_some() { printed.bound() } else { printed })
    }

    fn any_value(&mut self, expression: &Expr) -> Result<Printed, Untranslatable> {
        match expression {
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => column::column(self, expression),
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
            | Expr::UnaryOp { op: UnaryOperator::Not, .. } => Ok(Printed::boolean(self.condition(expression)?)),
            Expr::BinaryOp { left, op, right } => self.binary(left, op, right),
            Expr::UnaryOp { op, expr } => self.unary(*op, expr),
            Expr::IsNull(inner) | Expr::IsUnknown(inner) => column::null_test(self, inner, "is null"),
            Expr::IsNotNull(inner) | Expr::IsNotUnknown(inner) => column::null_test(self, inner, "is not null"),
            Expr::IsTrue(inner) => self.truth_test(inner, "is true"),
            Expr::IsNotTrue(inner) => self.truth_test(inner, "is not true"),
            Expr::IsFalse(inner) => self.truth_test(inner, "is false"),
            Expr::IsNotFalse(inner) => self.truth_test(inner, "is not false"),
            Expr::IsNotDistinctFrom(left, right) => self.compare(left, "<=>", right),
            Expr::IsDistinctFrom(left, right) => Ok(Printed::boolean(negated(&self.compare(left, "<=>", right)?.sql))),
            Expr::InList { expr, list, negated } => self.one_of(expr, list, *negated),
            Expr::AnyOp { left, compare_op: BinaryOperator::Eq, right, .. } => {
                self.one_of(left, &elements(right)?, false)
            }
            Expr::AllOp { left, compare_op: BinaryOperator::NotEq, right } => {
                self.one_of(left, &elements(right)?, true)
            }
            Expr::Between { expr, negated: is_negated, low, high } => {
                let (low, high) = (self.compare(expr, ">=", low)?, self.compare(expr, "<=", high)?);
                let between = format!("({} and {})", low.sql, high.sql);
                Ok(Printed::boolean(if *is_negated { negated(&between) } else { between }))
            }
            Expr::Like { negated, any: false, expr, pattern, escape_char } => {
                text::like(self, expr, pattern, escape_char.as_deref(), *negated)
            }
            Expr::Case { operand, conditions, else_result, .. } => {
                self.case(operand.as_deref(), conditions, else_result.as_deref())
            }
            Expr::Extract { field, expr, .. } => Ok(self.part_of_time(field, expr)?.into_decimal()),
            Expr::AtTimeZone { timestamp, time_zone } => self.at_time_zone(timestamp, time_zone),
            Expr::Collate { expr, collation } => {
                let name = collation.to_string().replace('"', "").to_ascii_lowercase();
                match name.rsplit('.').next() {
                    Some("c" | "posix" | "ucs_basic") => Ok(Printed { letters: Letters::Ascii, ..self.value(expr)? }),
                    Some("default" | "utf8") => Ok(Printed { letters: Letters::Unknown, ..self.value(expr)? }),
                    _ => refuse(format!("there is no collation {collation}")),
                }
            }
            Expr::Ceil { expr, .. } => Ok(number::to_whole("ceiling", self.number(expr)?)),
            Expr::Floor { expr, .. } => Ok(number::to_whole("floor", self.number(expr)?)),
            Expr::Position { expr, r#in } => function::place_of(self, expr, r#in),
            Expr::Substring { expr, substring_from: Some(from), substring_for, .. } => {
                text::substring(self, expr, from, substring_for.as_deref())
            }
            Expr::Trim { trim_where, trim_what, expr, trim_characters } => {
                let what = trim_what.as_deref().or(trim_characters.as_ref().and_then(|c| c.first()));
                text::trim(self, trim_where.as_ref(), what, expr)
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
                [.., name] if self.query.is_none() => self.scope.find(None, &name.value),
                [alias, name] => self.scope.find(Some(&alias.value), &name.value),
                _ => refuse(format!("the name {expression} is not understood")),
            },
            _ => refuse(format!("{expression} is no column")),
        }
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
            column @ (Expr::Identifier(_) | Expr::CompoundIdentifier(_)) => {
                self.found(column).is_ok_and(|found| !found.named.target.nullable)
            }
            _ => false,
        }
    }

    /// A value that must be a text, of fixed length or not.
    pub(super) fn any_text(&mut self, expression: &Expr) -> Result<Printed, Untranslatable> {
        let printed = self.value(expression)?;
        if matches!(printed.kind, Kind::Text | Kind::Any) {
            Ok(printed)
        } else {
            refuse(format!("{expression} is no text"))
        }
    }

    /// A value that must be a text without a fixed length.
    pub(super) fn text(&mut self, expression: &Expr) -> Result<Printed, Untranslatable> {
        let printed = self.any_text(expression)?;
        match printed.fixed {
            None => Ok(printed),
            Some(_) => refuse(format!("the blanks at the end of {expression} count at the source")),
        }
    }

    /// A value that must be a number.
    pub(super) fn number(&mut self, expression: &Expr) -> Result<Printed, Untranslatable> {
        let printed = self.value(expression)?;
        let is_number = printed.kind.is_number() && (printed.kind != Kind::Any || printed.is_null());
        if is_number { Ok(printed) } else { refuse(format!("{expression} is no number")) }
    }

    fn truth_test(&mut self, expression: &Expr, test: &str) -> Result<Printed, Untranslatable> {
        let value = self.value(expression)?;
        if value.kind != Kind::Boolean {
            return refuse(format!("{expression} is no condition"));
        }
        Ok(Printed::boolean(format!("({} {test})", value.sql)))
    }

    pub(super) fn compare(&mut self, left: &Expr, operator: &str, right: &Expr) -> Result<Printed, Untranslatable> {
        let (first, second) = (self.value(left)?, self.value(right)?);
        let is_ordered = !matches!(operator, "=" | "<>" | "<=>");
        if is_ordered && (first.kind == Kind::Enum || second.kind == Kind::Enum) {
            return refuse("the labels of an enum are ordered as texts there, not as declared");
        }
        require_alike((left, &first), (right, &second))?;
        let (first, second) =
            if first.is_loose || second.is_loose { (first.into_text(), second.into_text()) } else { (first, second) };
        if first.kind == Kind::Text || second.kind == Kind::Text {
            return text::compare((left, first), operator, (right, second));
        }
        let collation = match first.kind.is_text() && second.kind.is_text() && self.query.is_none() {
            true if first.is_null() || second.is_null() || first.kind == Kind::Uuid => String::new(),
            true => text::collation(&first, &second),
            false => String::new(),
        };
        Ok(Printed::boolean(format!("({} {operator} {}{collation})", first.sql, second.sql)))
    }

    fn one_of(&mut self, left: &Expr, list: &[Expr], is_negated: bool) -> Result<Printed, Untranslatable> {
        let first = self.value(left)?;
        let mut values = Vec::with_capacity(list.len());
        for element in list {
            let value = self.value(element)?;
            require_alike((left, &first), (element, &value))?;
            values.push(value);
        }
        let is_loose = first.is_loose;
        let first = if is_loose { first.into_text() } else { first };
        let sql = match (list, first.kind) {
            ([], _) => return refuse("a list of values is empty"),
            ([element], _) => return self.compare(left, if is_negated { "<>" } else { "=" }, element),
            (_, Kind::Text) if text::one_of(&first, &values).is_some() => {
                text::one_of(&first, &values).unwrap_or_default()
            }
            (_, Kind::Text) => {
                let each: Result<Vec<_>, _> =
                    list.iter().map(|element| Ok(self.compare(left, "=", element)?.sql)).collect();
                format!("({})", each?.join(" or "))
            }
            _ => {
                let first = if first.kind == Kind::Enum { first.by_code_points() } else { first };
                let listed: Vec<&str> = values.iter().map(|value| value.sql.as_str()).collect();
                let word = if is_negated { "not in" } else { "in" };
                return Ok(Printed::boolean(format!("({} {word} ({}))", first.sql, listed.join(","))));
            }
        };
        Ok(Printed::boolean(if is_negated { negated(&sql) } else { sql }))
    }

    fn unary(&mut self, operator: UnaryOperator, inner: &Expr) -> Result<Printed, Untranslatable> {
        let value = self.number(inner)?;
        match operator {
            UnaryOperator::Plus => Ok(value),
            UnaryOperator::Minus => number::negative(self, &value),
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
                Ok(text::concatenated(parts))
            }
            Op::Plus | Op::Minus | Op::Multiply | Op::Divide | Op::Modulo => {
                number::arithmetic(self, left, operator, right)
            }
            Op::PGLikeMatch => text::like(self, left, right, None, false),
            Op::PGNotLikeMatch => text::like(self, left, right, None, true),
            Op::PGRegexMatch => text::matches(self, left, right, Case::Sensitive, false),
            Op::PGRegexNotMatch => text::matches(self, left, right, Case::Sensitive, true),
            Op::PGRegexIMatch => text::matches(self, left, right, Case::Insensitive, false),
            Op::PGRegexNotIMatch => text::matches(self, left, right, Case::Insensitive, true),
            Op::PGILikeMatch | Op::PGNotILikeMatch => refuse("there is no ILIKE"),
            other => refuse(format!("there is no operator {other} that means the same")),
        }
    }

    fn concatenation(&mut self, expression: &Expr, parts: &mut Vec<Printed>) -> Result<(), Untranslatable> {
        match expression {
            Expr::Nested(inner) => self.concatenation(inner, parts),
            Expr::BinaryOp { left, op: BinaryOperator::StringConcat, right } => {
                self.concatenation(left, parts)?;
                self.concatenation(right, parts)
            }
            other => {
                let printed = self.value(other)?;
                if printed.fixed.is_some() {
                    return refuse(format!("the blanks at the end of {other} count at the source"));
                }
                parts.push(text::spelled_out(other, printed)?);
                Ok(())
            }
        }
    }

    /// CASE; what only one branch computes fails only where that branch is taken.
    fn case(
        &mut self,
        operand: Option<&Expr>,
        branches: &[CaseWhen],
        otherwise: Option<&Expr>,
    ) -> Result<Printed, Untranslatable> {
        let (mut sql, mut guarded) = (String::from("(case"), String::from("(case"));
        let mut whole: Option<Printed> = None;
        let mut is_guarded = false;
        let mut branch_of =
            |translation: &mut Self, result: &Expr, when: &str| -> Result<(String, String), Untranslatable> {
                let (result, guards) = translation.apart(|translation| translation.value(result))?;
                let said = result.sql.clone();
                whole = match whole.take() {
                    None => Some(Printed { literal: None, ..result }),
                    Some(before) => before.or(&result),
                };
                if whole.is_none() {
                    return refuse("the branches of a CASE are not of one type");
                }
                let guard = all_of(&guards).filter(|guard| guard != when);
                is_guarded |= guard.is_some();
                Ok((said, guard.unwrap_or_else(|| "(1 = 1)".to_owned())))
            };
        for (at, branch) in branches.iter().enumerate() {
            let (when, guards) = self.apart(|translation| match operand {
                Some(operand) => Ok(translation.compare(operand, "=", &branch.condition)?.sql),
                None => translation.condition(&branch.condition),
            })?;
            if at > 0 && guards.iter().any(|guard| !self.guards.contains(guard)) {
                return refuse("a condition of its CASE may fail at the source, where it is looked at");
            }
            guards.into_iter().for_each(|guard| self.guard(guard));
            let (then, guard) = branch_of(self, &branch.result, &when)?;
            sql.push_str(&format!(" when {when} then {then}"));
            guarded.push_str(&format!(" when {when} then {guard}"));
        }
        let (otherwise, guard) = match otherwise {
            None => ("NULL".to_owned(), "(1 = 1)".to_owned()),
            Some(otherwise) => branch_of(self, otherwise, "")?,
        };
        if is_guarded {
            // OceanBase takes no bare CASE for a check.
            self.guard(format!("({guarded} else {guard} end) <> 0)"));
        }
        let sql = format!("{sql} else {otherwise} end)");
        Ok(Printed { sql, ..whole.unwrap_or_default() })
    }

    /// A part of a date or timestamp, as a whole number.
    pub(super) fn part_of_time(&mut self, field: &DateTimeField, expression: &Expr) -> Result<Printed, Untranslatable> {
        let value = self.value(expression)?;
        if !matches!(value.kind, Kind::Date | Kind::Timestamp) {
            return refuse(format!("the parts of {expression} depend on the session's time zone, or are none"));
        }
        let (function, largest) = match field.to_string().to_ascii_lowercase().as_str() {
            "year" => ("year", 9_999),
            "month" => ("month", 12),
            "day" => ("dayofmonth", 31),
            "hour" => ("hour", 23),
            "minute" => ("minute", 59),
            "quarter" => ("quarter", 4),
            "doy" => ("dayofyear", 366),
            "dow" => return Ok(Printed::integer(format!("(dayofweek({}) - 1)", value.sql), (0, 6))),
            other => return refuse(format!("there is no EXTRACT({other} …) that means the same")),
        };
        Ok(Printed::integer(format!("{function}({})", value.sql), (0, largest)))
    }

    pub(super) fn at_time_zone(&mut self, timestamp: &Expr, zone: &Expr) -> Result<Printed, Untranslatable> {
        let utc = text_literal(zone).is_some_and(|z| {
            matches!(z.to_ascii_lowercase().as_str(), "utc" | "etc/utc" | "z" | "zulu" | "+00" | "+00:00" | "gmt")
        });
        let value = self.value(timestamp)?;
        let kind = match value.kind {
            Kind::TimestampTz if utc => Kind::Timestamp,
            Kind::Timestamp if utc => Kind::TimestampTz,
            _ => return refuse("time zones by name are not known everywhere"),
        };
        Ok(Printed { kind, literal: None, ..value })
    }
}

/// The operands of a chain of the same connective.
fn chain<'e>(expression: &'e Expr, connective: &BinaryOperator, operands: &mut Vec<&'e Expr>) {
    match expression {
        Expr::Nested(inner) => chain(inner, connective, operands),
        Expr::BinaryOp { left, op, right } if op == connective => {
            chain(left, connective, operands);
            chain(right, connective, operands);
        }
        other => operands.push(other),
    }
}

/// The elements of `ARRAY[…]` or of a literal array, each with the type that is said of all of them.
fn elements(expression: &Expr) -> Result<Vec<Expr>, Untranslatable> {
    match expression {
        Expr::Nested(inner) => elements(inner),
        Expr::Array(array) => Ok(array.elem.clone()),
        Expr::Cast { expr, data_type: DataType::Array(ArrayElemTypeDef::SquareBracket(of, _)), .. } => {
            let typed = |inner: Expr| Expr::Cast {
                kind: CastKind::DoubleColon,
                expr: Box::new(inner),
                data_type: of.as_ref().clone(),
                format: None,
            };
            let inner = match bare_text(expr) {
                None => elements(expr)?,
                Some(text) => match plain_array(&text) {
                    Some(texts) => texts.into_iter().map(|t| Expr::value(Value::SingleQuotedString(t))).collect(),
                    None => return refuse("its list of values is not understood"),
                },
            };
            Ok(inner.into_iter().map(typed).collect())
        }
        Expr::Value(_) => refuse(format!("the types of the values in {expression} are not known")),
        _ => refuse("its list of values is no literal"),
    }
}

/// Whether a condition would be a bare column or number.
fn is_bare(expression: &Expr) -> bool {
    match expression {
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => is_bare(inner),
        Expr::Function(called) => called.name.to_string() != "starts_with",
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Case { .. } => true,
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
        Expr::Value(value) => text_of(&value.value),
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
    if let Some(text) = text_of(value) {
        return Ok(Printed { literal: Some(text.clone()), ..Printed::new(quote_text(&text), Kind::Any) });
    }
    match value {
        Value::Number(text, _) => match number::literal(text) {
            Some(printed) => Ok(printed),
            None => refuse(format!("the number {text} has no counterpart")),
        },
        Value::Boolean(truth) => Ok(Printed::boolean(if *truth { "1" } else { "0" })),
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

/// Refuses to compare what the source compares otherwise, or after a cast that it does not print.
fn require_alike((left, first): (&Expr, &Printed), (right, second): (&Expr, &Printed)) -> Result<(), Untranslatable> {
    use Kind::{Any, Text};
    let alike = first.kind == second.kind
        || (first.kind.is_number() && second.kind.is_number())
        || matches!((first.kind, second.kind), (Any, Text) | (Text, Any))
        || first.is_null()
        || second.is_null();
    if comparable(first.kind, second.kind) && alike {
        return Ok(());
    }
    refuse(format!("{left} and {right} are not of one type"))
}

impl Printed {
    /// An enum that is kept as a text, as that text.
    fn into_text(self) -> Self {
        if self.kind == Kind::Enum { Self { kind: Kind::Text, is_loose: false, ..self } } else { self }
    }

    /// A whole number that is a decimal at the source.
    fn into_decimal(self) -> Self {
        Self { kind: Kind::Decimal, width: None, ..self }
    }

    /// A whole number that is a double at the source.
    pub(super) fn into_exact_float(self) -> Self {
        Self { is_exact: true, range: self.range, ..Self::new(self.sql, Kind::Float) }
    }
}
