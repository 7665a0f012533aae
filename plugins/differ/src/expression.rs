//! Expressions, compared as syntax trees.
//!
//! A server prints an expression otherwise than it was written: brackets around everything, `between` as two
//! comparisons, `mod(a, b)` as `%`, `true` as `(1 = 1)`, `else NULL` where nothing was said. Both sides are parsed and
//! printed in one form, with brackets around every operation. What the parser refuses is compared as text.

use sqlparser::ast::{
    BinaryOperator, CaseWhen, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, UnaryOperator,
    Value,
};
use sqlparser::dialect::MySqlDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;

use crate::declared::Declared;
use crate::spelling::one_spelling;

/// The one form of an expression.
pub(crate) fn normal(text: &str) -> String {
    let spelled = one_spelling(text);
    match parse(&spelled) {
        Some(expression) => print(&expression),
        None => spelled,
    }
}

/// The one form of a default of a column of this type. None: NULL.
pub(crate) fn default(text: &str, declared: &Declared) -> Option<String> {
    let form = normal(text);
    if form == "null" {
        return None;
    }
    let literal = parse(&one_spelling(text)).as_ref().and_then(literal_text);
    Some(match literal {
        Some(literal) if declared.is_bit() => bits(&literal).unwrap_or(form),
        Some(literal) if declared.is_number() => number(&literal),
        Some(literal) if declared.is_time() => format!("'{}'", without_zero_fraction(&literal)),
        _ if declared.is_bit() => bits(text.trim()).unwrap_or(form),
        _ => form,
    })
}

/// Each level of brackets takes some ten kilobytes of the guest's stack. What is deeper than people and
/// servers write is compared as text.
const DEEPEST: usize = 50;

fn parse(spelled: &str) -> Option<Expr> {
    let mut parser = Parser::new(&MySqlDialect {}).with_recursion_limit(DEEPEST).try_with_sql(spelled).ok()?;
    let expression = parser.parse_expr().ok()?;
    (parser.peek_token().token == Token::EOF).then_some(expression)
}

/// The value of a literal, without quotes.
fn literal_text(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Nested(inner) => literal_text(inner),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => Some(format!("-{}", literal_text(expr)?)),
        Expr::Value(value) => match &value.value {
            Value::Number(text, _) => Some(text.clone()),
            Value::Boolean(truth) => Some(u8::from(*truth).to_string()),
            Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => Some(text.clone()),
            Value::SingleQuotedByteStringLiteral(text) => Some(format!("b'{text}'")),
            _ => None,
        },
        _ => None,
    }
}

fn bits(text: &str) -> Option<String> {
    let digits = text.strip_prefix("b'").and_then(|rest| rest.strip_suffix('\''));
    let value = match digits {
        Some(digits) => u64::from_str_radix(digits, 2).ok()?,
        None => text.parse().ok()?,
    };
    Some(value.to_string())
}

fn without_zero_fraction(text: &str) -> &str {
    match text.split_once('.') {
        Some((whole, fraction)) if fraction.bytes().all(|b| b == b'0') => whole,
        Some(_) => text.trim_end_matches('0'),
        None => text,
    }
}

/// A number without exponent, leading and trailing zeros; any other text as it is.
fn number(text: &str) -> String {
    plain_number(text).unwrap_or_else(|| text.to_owned())
}

fn plain_number(text: &str) -> Option<String> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) || exponent.abs() > 400 {
        return None;
    }
    let point = i32::try_from(whole.len()).ok()? + exponent;
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or(0));
    let padded = format!("{}{digits}{}", zeros(-point), zeros(point - i32::try_from(digits.len()).ok()?));
    let (whole, fraction) = padded.split_at(usize::try_from(point.max(0)).ok()?);
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    let whole = if whole.is_empty() { "0" } else { whole };
    let sign = if negative && (whole != "0" || !fraction.is_empty()) { "-" } else { "" };
    Some(if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
}

fn print(expression: &Expr) -> String {
    match expression {
        Expr::Nested(inner) => print(inner),
        Expr::Identifier(name) => name.value.to_lowercase(),
        Expr::CompoundIdentifier(names) => names.last().map(|name| name.value.to_lowercase()).unwrap_or_default(),
        Expr::Value(value) => literal(&value.value),
        Expr::Prefixed { value, .. } => print(value),
        Expr::BinaryOp { left, op, right } => binary(left, op, right),
        Expr::UnaryOp { op, expr } => unary(*op, expr),
        Expr::IsNull(inner) => format!("({} is null)", print(inner)),
        Expr::IsNotNull(inner) => format!("({} is not null)", print(inner)),
        Expr::IsTrue(inner) => format!("({} is true)", print(inner)),
        Expr::IsNotTrue(inner) => format!("({} is not true)", print(inner)),
        Expr::IsFalse(inner) => format!("({} is false)", print(inner)),
        Expr::IsNotFalse(inner) => format!("({} is not false)", print(inner)),
        Expr::Between { expr, negated, low, high } => {
            let value = print(expr);
            negate(*negated, format!("(({value} >= {}) and ({value} <= {}))", print(low), print(high)))
        }
        Expr::InList { expr, list, negated } => negate(*negated, format!("({} in ({}))", print(expr), all(list))),
        Expr::Like { negated, expr, pattern, escape_char, .. } => {
            let escape = match escape_char.as_deref().map(print) {
                Some(escape) if escape != "'\\\\'" => format!(" escape {escape}"),
                _ => String::new(),
            };
            negate(*negated, format!("({} like {}{escape})", print(expr), print(pattern)))
        }
        Expr::RLike { negated, expr, pattern, .. } => {
            negate(*negated, format!("({} regexp {})", print(expr), print(pattern)))
        }
        Expr::Case { operand, conditions, else_result, .. } => {
            case(operand.as_deref(), conditions, else_result.as_deref())
        }
        Expr::Cast { expr, data_type, .. } => format!("cast({} as {})", print(expr), cast_type(data_type)),
        Expr::Collate { expr, collation } => {
            format!("({} collate {})", print(expr), collation.to_string().to_lowercase())
        }
        Expr::Ceil { expr, .. } => format!("ceiling({})", print(expr)),
        Expr::Floor { expr, .. } => format!("floor({})", print(expr)),
        Expr::Position { expr, r#in } => format!("locate({}, {})", print(expr), print(r#in)),
        Expr::Extract { field, expr, .. } => {
            format!("extract({} from {})", field.to_string().to_lowercase(), print(expr))
        }
        Expr::Substring { expr, substring_from, substring_for, .. } => {
            let rest = [substring_from, substring_for].into_iter().flatten().map(|e| format!(", {}", print(e)));
            format!("substr({}{})", print(expr), rest.collect::<String>())
        }
        Expr::Trim { expr, trim_where: None, trim_what: None, .. } => format!("trim({})", print(expr)),
        Expr::Tuple(list) => format!("({})", all(list)),
        Expr::Function(function) => call(function),
        other => one_spelling(&other.to_string()),
    }
}

fn all(list: &[Expr]) -> String {
    list.iter().map(print).collect::<Vec<_>>().join(", ")
}

fn negate(negated: bool, text: String) -> String {
    if negated { format!("(not {text})") } else { text }
}

fn literal(value: &Value) -> String {
    match value {
        Value::Number(text, _) => number(text),
        Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) | Value::NationalStringLiteral(text) => {
            format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
        }
        Value::HexStringLiteral(text) => format!("x'{}'", text.to_lowercase()),
        Value::Boolean(truth) => truth.to_string(),
        Value::Null => "null".to_owned(),
        other => other.to_string(),
    }
}

fn binary(left: &Expr, op: &BinaryOperator, right: &Expr) -> String {
    if matches!(op, BinaryOperator::And | BinaryOperator::Or) {
        let mut operands = Vec::new();
        chain(left, op, &mut operands);
        chain(right, op, &mut operands);
        let word = if *op == BinaryOperator::And { " and " } else { " or " };
        return format!("({})", operands.join(word));
    }
    let (left, right) = (print(left), print(right));
    match (op, left.as_str(), right.as_str()) {
        (BinaryOperator::Eq, "1", "1") => "true".to_owned(),
        (BinaryOperator::Eq, "1", "0") | (BinaryOperator::Eq, "0", "1") => "false".to_owned(),
        _ => format!("({left} {} {right})", op.to_string().to_lowercase()),
    }
}

/// Operands of one chain of `and` or `or`: how it was nested means nothing.
fn chain(expression: &Expr, op: &BinaryOperator, operands: &mut Vec<String>) {
    match expression {
        Expr::Nested(inner) => chain(inner, op, operands),
        Expr::BinaryOp { left, op: inner, right } if inner == op => {
            chain(left, op, operands);
            chain(right, op, operands);
        }
        Expr::Between { expr, negated: false, low, high } if *op == BinaryOperator::And => {
            let value = print(expr);
            operands.push(format!("({value} >= {})", print(low)));
            operands.push(format!("({value} <= {})", print(high)));
        }
        other => operands.push(print(other)),
    }
}

fn unary(op: UnaryOperator, inner: &Expr) -> String {
    let operand = print(inner);
    match op {
        UnaryOperator::Not | UnaryOperator::BangNot => negate(true, operand),
        UnaryOperator::Plus => operand,
        UnaryOperator::Minus if plain_number(&operand).is_some() => number(&format!("-{operand}")),
        other => format!("({other}{operand})"),
    }
}

fn case(operand: Option<&Expr>, conditions: &[CaseWhen], otherwise: Option<&Expr>) -> String {
    let mut text = String::from("case");
    if let Some(operand) = operand {
        text.push_str(&format!(" {}", print(operand)));
    }
    for when in conditions {
        text.push_str(&format!(" when {} then {}", print(&when.condition), print(&when.result)));
    }
    match otherwise.map(print) {
        Some(otherwise) if otherwise != "null" => format!("({text} else {otherwise} end)"),
        _ => format!("({text} end)"),
    }
}

fn cast_type(data_type: &DataType) -> String {
    let spelled = one_spelling(&data_type.to_string());
    match spelled.as_str() {
        "signed integer" | "integer" => "signed".to_owned(),
        "unsigned integer" => "unsigned".to_owned(),
        _ if spelled.starts_with("decimal") || spelled.starts_with("datetime") => Declared::read(&spelled).to_string(),
        _ => spelled,
    }
}

fn call(function: &Function) -> String {
    let name = function.name.0.last().map(|part| one_spelling(&part.to_string())).unwrap_or_default();
    let FunctionArguments::List(list) = &function.args else {
        return match (&function.args, name.as_str()) {
            (FunctionArguments::None, _) => format!("{}()", synonym(&name)),
            _ => one_spelling(&function.to_string()),
        };
    };
    let mut arguments = Vec::with_capacity(list.args.len());
    for argument in &list.args {
        match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) => arguments.push(print(expression)),
            other => arguments.push(one_spelling(&other.to_string())),
        }
    }
    match (name.as_str(), arguments.as_slice()) {
        ("mod", [left, right]) => format!("({left} % {right})"),
        ("pow", _) => format!("power({})", arguments.join(", ")),
        _ if synonym(&name) == "current_timestamp" && arguments == ["0"] => "current_timestamp()".to_owned(),
        _ => format!("{}({})", synonym(&name), arguments.join(", ")),
    }
}

/// The name by which the server knows the function.
fn synonym(name: &str) -> &str {
    match name.trim_matches('`') {
        "now" | "localtime" | "localtimestamp" | "current_timestamp" => "current_timestamp",
        "curdate" => "current_date",
        "lcase" => "lower",
        "ucase" => "upper",
        "character_length" => "char_length",
        "substring" | "mid" => "substr",
        "ceil" => "ceiling",
        "octet_length" => "length",
        other => other,
    }
}

#[cfg(test)]
mod tests;
