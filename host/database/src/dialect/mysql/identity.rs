//! The column that numbers itself: whether the target can have it, and what it does otherwise there.

use millrace_model::{Column, Table};

use super::assemble::Outcome;

/// One column numbers itself; it is a whole number, and begins a key.
pub(super) fn settle(source: &Table, table: &mut Table, outcome: &mut Outcome) {
    let mut found: Option<String> = None;
    for at in 0..table.columns.len() {
        let column = &table.columns[at];
        if !column.identity {
            continue;
        }
        let name = column.name.clone();
        match obstacle(table, column, found.as_deref()) {
            None => {
                if let Some(origin) = source.column(&name) {
                    remark(origin, outcome);
                }
                table.columns[at].nullable = false;
                found = Some(name);
            }
            Some((reason, advice)) => {
                table.columns[at].identity = false;
                let reason = format!("{reason}; it is a plain column there, and gets no number by itself");
                outcome.not_carried("identity", format!("{}.{name}", source.name), reason, advice);
            }
        }
    }
}

/// Why a column cannot number itself there, and what to do about it.
fn obstacle(table: &Table, column: &Column, first: Option<&str>) -> Option<(String, &'static str)> {
    let leads =
        table.indexes.iter().any(|i| i.parts.first().is_some_and(|p| p.is_column && p.expression == column.name));
    let declared = column.declared.to_ascii_lowercase();
    let base = declared.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    if let Some(first) = first {
        let advice = "let the application number the rows";
        return Some((format!("a table has one AUTO_INCREMENT column, and {first} is it"), advice));
    }
    if !matches!(base, "tinyint" | "smallint" | "mediumint" | "int" | "bigint") {
        let advice = "make it a bigint at the source, or let the application number the rows";
        return Some((format!("an AUTO_INCREMENT column is a whole number, and it is {declared}"), advice));
    }
    if !leads {
        let advice = "add an index on the column at the source, or let the application number the rows";
        return Some(("an AUTO_INCREMENT column must be the first column of a key or an index".to_owned(), advice));
    }
    None
}

/// What the target's numbering does otherwise; where it begins and in which steps it goes is said where that is known.
fn remark(origin: &Column, outcome: &mut Outcome) {
    let name = &origin.name;
    let property = |property: &str| origin.properties.get(property).map(String::as_str);
    let zero = "0 gives the next number, unless the session's sql_mode has NO_AUTO_VALUE_ON_ZERO";
    outcome.note(match property("identity") {
        Some("always") => format!(
            "column {name} is GENERATED ALWAYS at the source; the target takes any number that an INSERT gives, and {zero}"
        ),
        _ => format!("column {name}: of the numbers that an INSERT gives, {zero}"),
    });
    if let Some(largest) = property("sequence-largest") {
        outcome.note(format!("column {name} gets no number above {largest} at the source; the target goes on"));
    }
    if let Some(smallest) = property("sequence-smallest") {
        outcome.note(format!(
            "column {name} gets no number below {smallest} at the source; the target knows no such limit"
        ));
    }
    if property("sequence-cycles").is_some() {
        outcome.note(format!(
            "column {name} begins again after its last number at the source; the target refuses rows then"
        ));
    }
}

#[cfg(test)]
mod tests {
    use millrace_model::{Index, IndexKind, IndexPart, TableName};

    use super::*;

    fn settled(declared: &str, properties: &[(&str, &str)]) -> (Table, Outcome) {
        let column = Column {
            name: "id".to_owned(),
            declared: declared.to_owned(),
            identity: true,
            properties: properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            ..Column::default()
        };
        let part = IndexPart { expression: "id".to_owned(), is_column: true, descending: false, prefix: None };
        let key = Index {
            name: "PRIMARY".to_owned(),
            kind: IndexKind::Primary,
            method: "btree".to_owned(),
            parts: vec![part],
            predicate: None,
            properties: Default::default(),
        };
        let source = Table {
            name: TableName::new("public", "t"),
            columns: vec![column],
            indexes: vec![key],
            ..Table::default()
        };
        let (mut table, mut outcome) = (source.clone(), Outcome::default());
        settle(&source, &mut table, &mut outcome);
        (table, outcome)
    }

    #[test]
    fn a_number_that_is_no_integer_there_is_a_plain_column() {
        for declared in ["decimal(20,0)", "varchar(255)", "double"] {
            let (table, outcome) = settled(declared, &[]);
            assert!(!table.columns[0].identity, "{declared}");
            assert!(outcome.not_carried[0].reason.contains("whole number"), "{declared}");
        }
        assert!(settled("int(10) unsigned", &[]).0.columns[0].identity);
    }

    #[test]
    fn whatever_the_target_numbers_otherwise_is_said() {
        let (_, outcome) = settled(
            "bigint(20)",
            &[
                ("identity", "always"),
                ("sequence-smallest", "-100"),
                ("sequence-largest", "7"),
                ("sequence-cycles", "true"),
            ],
        );
        let said = outcome.notes.join("\n");
        for words in ["takes any number", "0 gives the next", "below -100", "above 7", "begins again"] {
            assert!(said.contains(words), "{words}: {said}");
        }
        assert_eq!(settled("bigint(20)", &[("identity", "by-default")]).1.notes.len(), 1);
    }
}
