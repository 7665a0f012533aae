//! What the target's own table has that the source knows nothing of: a rebuilt table has it again where it can, and the
//! plan names the rest.

use std::fmt;

use millrace_database::dialect::mysql::partition_clause;
use millrace_database::mysql::MySql;
use millrace_model::plan::NotCarried;
use millrace_model::schema::{DatabaseModel, IndexKind, Table, TableName};
use millrace_model::{Failure, Strategy, TablePlan};

/// Options that a table may be made with again, each with the value that it has where nobody asked for another one.
const OPTIONS: [(&str, &str); 8] = [
    ("ROW_FORMAT", "DYNAMIC"),
    ("COMPRESSION", "'zstd_1.3.8'"),
    ("BLOCK_SIZE", "16384"),
    ("TABLET_SIZE", "134217728"),
    ("PCTFREE", "0"),
    ("USE_BLOOM_FILTER", "FALSE"),
    ("KEY_BLOCK_SIZE", ""),
    ("STATS_PERSISTENT", ""),
];

/// What the new table has of its own, or every table of such a server: not the old one's to give.
const OF_EVERY_TABLE: [&str; 7] =
    ["ENGINE", "AUTO_INCREMENT", "CHARSET", "COLLATE", "COMMENT", "ORGANIZATION INDEX", "REPLICA_NUM"];

/// A table of Millrace's own, made without options: what is printed for it any table of its server has.
const PLAIN: &str = "millrace_tables";

/// The tables that are rebuilt, each with what stands under its name.
fn rebuilt<'a>(
    tables: &'a mut [TablePlan],
    current: &'a DatabaseModel,
) -> impl Iterator<Item = (&'a mut TablePlan, &'a Table)> {
    tables
        .iter_mut()
        .filter(|table| table.strategy == Strategy::Rebuild)
        .filter_map(|table| Some((current.table(&table.target)?, table)))
        .map(|(now, table)| (table, now))
}

/// Gives new indexes the comments of old ones of their names; what else of the old tables will be gone.
pub(super) fn comments_and_losses(tables: &mut [TablePlan], current: &DatabaseModel) -> Vec<NotCarried> {
    let mut lost = Vec::new();
    for (table, now) in rebuilt(tables, current) {
        let Some(desired) = &mut table.desired else { continue };
        for index in &mut desired.indexes {
            let old = now.indexes.iter().find(|old| old.name == index.name);
            if let Some(comment) = old.and_then(|old| old.properties.get("comment")) {
                index.properties.insert("comment".to_owned(), comment.clone());
            }
        }
        lost.extend(order(now, desired));
        let prefix = format!("{}.", now.name.name);
        let triggers = current.objects.iter().filter(|object| object.kind == "trigger");
        for trigger in triggers.filter_map(|object| object.name.name.strip_prefix(&prefix)) {
            lost.push(NotCarried {
                kind: "trigger".to_owned(),
                name: format!("{trigger} of the target's {}", now.name),
                reason: "it stays with the old table".to_owned(),
                advice: format!(
                    "keep what SHOW CREATE TRIGGER `{trigger}` prints, and after the switch drop it and make it on the new table"
                ),
            });
        }
    }
    lost
}

/// Whether columns that both tables have change their order.
fn order(now: &Table, desired: &Table) -> Option<NotCarried> {
    let common = |of: &Table, other: &Table| -> Vec<String> {
        of.columns.iter().map(|c| c.name.clone()).filter(|name| other.column(name).is_some()).collect()
    };
    let (before, after) = (common(now, desired), common(desired, now));
    (before != after).then(|| NotCarried {
        kind: "column-order".to_owned(),
        name: now.name.to_string(),
        reason: format!(
            "the old table has ({}), and the new one the source's order ({})",
            before.join(", "),
            after.join(", ")
        ),
        advice: "let applications name columns: INSERT INTO t VALUES (…) means other ones".to_owned(),
    })
}

/// Makes the new tables with the options and the partitions of the old ones; what cannot be had again.
pub(super) async fn options(
    target: &MySql,
    tables: &mut [TablePlan],
    current: &DatabaseModel,
) -> Result<Vec<NotCarried>, Failure> {
    let mut lost = Vec::new();
    let mut plain = None;
    for (table, now) in rebuilt(tables, current) {
        // Without one the model came from a file.
        let Some(mut shown) = Shown::of(target, &now.name).await? else { continue };
        if !shown.others.is_empty() {
            if plain.is_none() {
                plain = Some(Shown::of(target, &TableName::bare(PLAIN)).await?.unwrap_or_default().others);
            }
            shown.others.retain(|option| plain.as_ref().is_none_or(|plain| !plain.contains(option)));
        }
        lost.extend((!shown.others.is_empty()).then(|| NotCarried {
            kind: "options".to_owned(),
            name: format!("those of the target's {}", now.name),
            reason: format!("Millrace does not know what {} would mean for the new table", shown.others.join(", ")),
            advice: "give them to the new table after the switch: ALTER TABLE".to_owned(),
        }));
        let (Some(desired), Some(create)) = (&table.desired, table.create.first_mut()) else { continue };
        // Options stand before partitions.
        let own = partition_clause(desired);
        let head = create.sql.strip_suffix(own.as_deref().unwrap_or_default()).map(str::trim_end).map(str::len);
        create.sql.truncate(head.unwrap_or(create.sql.len()));
        for option in &shown.options {
            create.sql.push_str(&format!(" {option}"));
        }
        if let Some(own) = own {
            create.sql.push_str(&format!("\n{own}"));
            continue;
        }
        let Some(partitions) = &shown.partitions else { continue };
        match obstacle(partitions, now, desired) {
            None => {
                create.sql.push_str(&format!("\n{partitions}"));
                table.notes.push("it has the partitions of the table that it replaces".to_owned());
            }
            Some(reason) => lost.push(NotCarried {
                kind: "partitions".to_owned(),
                name: format!("those of the target's {}", now.name),
                reason,
                advice: "partition the table in the target after the switch".to_owned(),
            }),
        }
    }
    Ok(lost)
}

/// What follows the columns in a statement that a server printed.
#[derive(Debug, Default, PartialEq, Eq)]
struct Shown {
    /// Those that are not as they are by themselves, as `PCTFREE = 20`.
    options: Vec<String>,
    /// Those that are not carried.
    others: Vec<String>,
    /// From `PARTITION BY` on.
    partitions: Option<String>,
}

impl Shown {
    fn read(statement: &str) -> Option<Self> {
        let (_, rest) = statement.rsplit_once("\n)")?;
        let at = rest.to_ascii_lowercase().find("partition by");
        let (words, partitions) = rest.split_at(at.unwrap_or(rest.len()));
        // MySQL prints partitions in a comment that only newer servers read.
        let partitions = partitions.trim().trim_end_matches("*/").trim_end();
        let (mut options, mut others) = (Vec::new(), Vec::new());
        for option in printed(words) {
            let carried = option.value.as_ref().filter(|value| is_plain(value)).and_then(|value| {
                let (name, usual) = OPTIONS.iter().find(|(name, _)| name.eq_ignore_ascii_case(&option.name))?;
                Some((format!("{name} = {value}"), !value.eq_ignore_ascii_case(usual)))
            });
            match carried {
                Some((carried, true)) => options.push(carried),
                Some((_, false)) => {}
                None if OF_EVERY_TABLE.iter().any(|name| name.eq_ignore_ascii_case(&option.name)) => {}
                None => others.push(option.to_string()),
            }
        }
        Some(Self { options, others, partitions: (!partitions.is_empty()).then(|| partitions.to_owned()) })
    }

    /// What follows the columns of a table. None: there is no such table.
    async fn of(target: &MySql, table: &TableName) -> Result<Option<Self>, Failure> {
        match target.shown_table(table).await {
            Err(failure) if failure.code == "database.table-missing" => Ok(None),
            shown => Ok(Self::read(&shown?)),
        }
    }
}

/// An option as a server prints it: `PCTFREE = 20`, `PARALLEL 4`, `ORGANIZATION INDEX`.
#[derive(Debug, PartialEq, Eq)]
struct Printed {
    name: String,
    /// None: its name is all that is printed.
    value: Option<String>,
}

impl fmt::Display for Printed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{} = {value}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

fn is_plain(value: &str) -> bool {
    value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '\''))
}

/// The options that a server prints, in their order.
fn printed(text: &str) -> Vec<Printed> {
    let mut options = Vec::new();
    let mut name: Vec<String> = Vec::new();
    let mut words = words(text).into_iter().peekable();
    while let Some(word) = words.next() {
        if words.peek().map(String::as_str) != Some("=") {
            name.push(word);
            continue;
        }
        words.next();
        // What stands before its name is an option of its own.
        options.extend(bare(&mut name));
        options.push(Printed { name: word, value: words.next() });
    }
    options.extend(bare(&mut name));
    options
}

/// An option without a value, of these words. None: there is none.
fn bare(words: &mut Vec<String>) -> Option<Printed> {
    let mut words = std::mem::take(words);
    // It belongs to the character set after it.
    words.pop_if(|last| last.eq_ignore_ascii_case("default"));
    let name = words.join(" ");
    (!name.is_empty()).then_some(Printed { name, value: None })
}

/// The words of a text; quotes and parentheses hold one together, and `=` is one.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word) = (Vec::new(), String::new());
    let (mut quote, mut depth) = (None, 0);
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (Some(_), '\\') => {
                word.push(c);
                word.extend(characters.next());
            }
            (Some(open), c) => {
                word.push(c);
                if c == open {
                    quote = None;
                }
            }
            (None, '\'' | '"' | '`') => {
                word.push(c);
                quote = Some(c);
            }
            (None, '=') if depth == 0 => words.extend([std::mem::take(&mut word), "=".to_owned()]),
            (None, c) if depth == 0 && c.is_whitespace() => words.push(std::mem::take(&mut word)),
            (None, c) => {
                depth += i32::from(c == '(') - i32::from(c == ')');
                word.push(c);
            }
        }
    }
    words.push(word);
    // MySQL prints some options in comments that only newer servers read.
    words.retain(|word| !word.is_empty() && !word.starts_with("/*!") && word != "*/");
    words
}

/// Why a new table cannot have these partitions. None: it can.
fn obstacle(partitions: &str, now: &Table, desired: &Table) -> Option<String> {
    let mut columns = Vec::new();
    for name in expressions(partitions).iter().flat_map(|expression| identifiers(expression)) {
        let same = |column: &&millrace_model::Column| column.name.eq_ignore_ascii_case(&name);
        let Some(old) = now.columns.iter().find(same) else { continue };
        match desired.columns.iter().find(same) {
            None => return Some(format!("the new table has no column {name}")),
            Some(new) if new.declared != old.declared => {
                return Some(format!("column {name} is {} there, and {} here", new.declared, old.declared));
            }
            Some(new) => columns.push(new.name.clone()),
        }
    }
    let lacks = |column: &String| {
        desired.indexes.iter().find(|index| {
            index.kind != IndexKind::Plain
                && !index.parts.iter().any(|p| p.is_column && p.prefix.is_none() && p.expression == *column)
        })
    };
    columns.iter().find_map(|column| {
        let index = lacks(column)?;
        Some(format!("the unique key {} of the new table does not hold column {column}", index.name))
    })
}

/// What stands in the parentheses after each `PARTITION BY` and `SUBPARTITION BY`.
fn expressions(partitions: &str) -> Vec<&str> {
    let lower = partitions.to_ascii_lowercase();
    let mut found = Vec::new();
    for (at, words) in lower.match_indices("partition by ") {
        let rest = &partitions[at + words.len()..];
        let Some(open) = rest.find('(') else { continue };
        let mut depth = 0;
        let closing = rest[open..].char_indices().find(|(_, c)| {
            depth += i32::from(*c == '(') - i32::from(*c == ')');
            depth == 0
        });
        if let Some((close, _)) = closing {
            found.push(&rest[open + 1..open + close]);
        }
    }
    found
}

/// The names in an expression, functions among them.
fn identifiers(expression: &str) -> impl Iterator<Item = String> {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
    let names: Vec<String> = if expression.contains('`') {
        expression.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    } else {
        expression.split(|c| !is_part(c)).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    names.into_iter()
}

#[cfg(test)]
mod tests {
    use millrace_model::Column;
    use millrace_model::schema::{Index, IndexPart};

    use super::*;

    const OCEANBASE: &str = "CREATE TABLE `p` (\n  `d` date NOT NULL,\n  `id` int(11) NOT NULL,\n  PRIMARY KEY (`id`, `d`)\n) \
        ORGANIZATION INDEX AUTO_INCREMENT = 1 DEFAULT CHARSET = utf8mb4 ROW_FORMAT = DYNAMIC COMPRESSION = 'none' \
        BLOCK_SIZE = 16384 TABLET_SIZE = 134217728 PCTFREE = 20 COMMENT = 'PCTFREE = 5'\n partition by range columns(d)\n\
        (partition `p0` values less than ('2024-01-01'),\npartition `p1` values less than (MAXVALUE))";

    #[test]
    fn options_and_partitions_are_read_as_the_server_prints_them() {
        let shown = Shown::read(OCEANBASE).expect("a statement");
        assert_eq!(shown.options, ["COMPRESSION = 'none'", "PCTFREE = 20"]);
        assert!(shown.others.is_empty(), "{:?}", shown.others);
        let partitions = shown.partitions.expect("partitions");
        assert!(partitions.starts_with("partition by range columns(d)\n(partition `p0`"), "{partitions}");
        assert!(partitions.ends_with("(MAXVALUE))"), "{partitions}");
        let mysql = "CREATE TABLE `t` (\n  `id` int\n) ENGINE=InnoDB ROW_FORMAT=COMPRESSED\n/*!50100 PARTITION BY HASH (`id`)\nPARTITIONS 4 */";
        let shown = Shown::read(mysql).expect("a statement");
        assert_eq!(shown.options, ["ROW_FORMAT = COMPRESSED"]);
        assert_eq!(shown.partitions.as_deref(), Some("PARTITION BY HASH (`id`)\nPARTITIONS 4"));
    }

    #[test]
    fn options_that_are_not_carried_are_named() {
        let others = |options: &str| {
            Shown::read(&format!("CREATE TABLE `t` (\n  `id` int\n) {options}")).expect("a statement").others
        };
        let oceanbase = "ORGANIZATION INDEX AUTO_INCREMENT = 1 AUTO_INCREMENT_MODE = 'NOORDER' DEFAULT CHARSET = utf8mb4 \
            COLLATE = utf8mb4_bin ROW_FORMAT = DYNAMIC PCTFREE = 0 TABLEGROUP = 'tg' TABLE_MODE = 'QUEUING' \
            LOB_INROW_THRESHOLD=100 PARALLEL 4 COMMENT = 'it''s \\' TTL = 1' WITH COLUMN GROUP(all columns, each column)";
        assert_eq!(
            others(oceanbase),
            [
                "AUTO_INCREMENT_MODE = 'NOORDER'",
                "TABLEGROUP = 'tg'",
                "TABLE_MODE = 'QUEUING'",
                "LOB_INROW_THRESHOLD = 100",
                "PARALLEL 4",
                "WITH COLUMN GROUP(all columns, each column)"
            ]
        );
        let plain = "ORGANIZATION INDEX DEFAULT CHARSET = utf8mb4 ROW_FORMAT = DYNAMIC PCTFREE = 0";
        assert!(others(plain).is_empty(), "every table has these");
        let mysql = "/*!50100 TABLESPACE `ts` */ ENGINE=InnoDB AUTO_INCREMENT=12 DEFAULT CHARSET=utf8mb4 \
            COLLATE=utf8mb4_0900_ai_ci MAX_ROWS=10 ENCRYPTION='Y'";
        assert_eq!(others(mysql), ["TABLESPACE `ts`", "MAX_ROWS = 10", "ENCRYPTION = 'Y'"]);
    }

    #[test]
    fn partitions_are_carried_only_where_every_unique_key_has_their_columns() {
        let partitions = Shown::read(OCEANBASE).and_then(|shown| shown.partitions).expect("partitions");
        let part = |name: &str| IndexPart { expression: name.into(), is_column: true, descending: false, prefix: None };
        let table = |key: &[&str], declared: &str| Table {
            name: TableName::bare("p"),
            columns: ["d", "id"]
                .map(|name| Column { name: name.into(), declared: declared.into(), ..Column::default() })
                .into(),
            indexes: vec![Index {
                name: "PRIMARY".into(),
                kind: IndexKind::Primary,
                method: "btree".into(),
                parts: key.iter().map(|name| part(name)).collect(),
                predicate: None,
                properties: millrace_model::schema::Properties::new(),
            }],
            ..Table::default()
        };
        let now = table(&["id", "d"], "date");
        assert_eq!(obstacle(&partitions, &now, &now), None);
        let said = obstacle(&partitions, &now, &table(&["id"], "date"));
        assert!(said.is_some_and(|said| said.contains("does not hold column d")));
        assert!(obstacle(&partitions, &now, &table(&["id", "d"], "datetime(6)")).is_some());
    }

    #[test]
    fn names_of_partition_expressions_are_found() {
        let said = "partition by range(year(d)) subpartition by key (`a b`, c) (partition x values less than (2024))";
        assert_eq!(expressions(said), ["year(d)", "`a b`, c"]);
        assert_eq!(identifiers("year(d)").collect::<Vec<_>>(), ["year", "d"]);
    }
}
