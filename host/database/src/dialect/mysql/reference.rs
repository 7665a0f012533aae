//! Statements about foreign keys, and what they ask for. A plan keeps them as SQL; whoever carries them out has to know
//! which key of which table they mean, in order to look whether it is there.

use millrace_model::{ForeignKey, TableName};

use super::name::{quote_name, quote_table};

/// Adds a foreign key to a table, under another name and perhaps to another table than its own says.
pub fn add_foreign_key(table: &TableName, key: &ForeignKey, name: &str, references: &TableName) -> String {
    format!("ALTER TABLE {} ADD CONSTRAINT {} {}", quote_table(table), quote_name(name), key_clause(key, references))
}

/// A foreign key as it stands in a statement, without its name.
pub(super) fn key_clause(key: &ForeignKey, references: &TableName) -> String {
    let columns = |names: &[String]| names.iter().map(|n| quote_name(n)).collect::<Vec<_>>().join(", ");
    format!(
        "FOREIGN KEY ({}) REFERENCES {} ({}) ON DELETE {} ON UPDATE {}",
        columns(&key.columns),
        quote_table(references),
        columns(&key.referenced_columns),
        action(&key.on_delete),
        action(&key.on_update),
    )
}

/// Takes a foreign key from a table.
pub fn drop_foreign_key(table: &TableName, name: &str) -> String {
    format!("ALTER TABLE {} DROP FOREIGN KEY {}", quote_table(table), quote_name(name))
}

/// What the server does to a row whose parent goes; RESTRICT where a model says something that is none of these.
fn action(word: &str) -> &'static str {
    match word.trim().to_ascii_uppercase().as_str() {
        "CASCADE" => "CASCADE",
        "SET NULL" => "SET NULL",
        "SET DEFAULT" => "SET DEFAULT",
        "NO ACTION" => "NO ACTION",
        _ => "RESTRICT",
    }
}

/// Whether two foreign keys of one table demand the same of it, whatever they are called. NO ACTION is RESTRICT where no
/// constraint is deferred, and that is everywhere in these dialects.
pub fn demands_the_same(a: &ForeignKey, b: &ForeignKey) -> bool {
    let same =
        |a: &[String], b: &[String]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.eq_ignore_ascii_case(b));
    let does = |word: &str| match action(word) {
        "NO ACTION" => "RESTRICT",
        other => other,
    };
    same(&a.columns, &b.columns)
        && same(&a.referenced_columns, &b.referenced_columns)
        && a.references.to_string().eq_ignore_ascii_case(&b.references.to_string())
        && does(&a.on_delete) == does(&b.on_delete)
        && does(&a.on_update) == does(&b.on_update)
}

/// What a statement of a plan asks for, where it is about a foreign key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyStatement {
    /// [`add_foreign_key`].
    Add {
        /// The table that is to have it.
        table: TableName,
        /// The key, under the name that it is to have, to the table that it is to refer to.
        key: ForeignKey,
    },
    /// [`drop_foreign_key`].
    Drop {
        /// The table that has it.
        table: TableName,
        /// Its name.
        name: String,
    },
}

impl KeyStatement {
    /// Reads a statement as it is rendered here; what happens when a parent goes may be left out. None: it is another one.
    pub fn read(sql: &str) -> Option<Self> {
        let mut rest = Reader(sql);
        rest.word("ALTER TABLE ")?;
        let table = rest.table()?;
        if rest.word(" DROP FOREIGN KEY ").is_some() {
            let name = rest.name()?;
            return rest.0.is_empty().then_some(Self::Drop { table, name });
        }
        rest.word(" ADD CONSTRAINT ")?;
        let name = rest.name()?;
        rest.word(" FOREIGN KEY ")?;
        let columns = rest.names()?;
        rest.word(" REFERENCES ")?;
        let references = rest.table()?;
        rest.word(" ")?;
        let referenced_columns = rest.names()?;
        let (on_delete, on_update) = (rest.action(" ON DELETE "), rest.action(" ON UPDATE "));
        let key = ForeignKey { name, columns, references, referenced_columns, on_delete, on_update, deferrable: false };
        rest.0.is_empty().then_some(Self::Add { table, key })
    }

    /// The table that it changes.
    pub fn table(&self) -> &TableName {
        match self {
            Self::Add { table, .. } | Self::Drop { table, .. } => table,
        }
    }
}

/// The names of the checks in a statement that [`super::create_table`] has rendered.
pub fn check_names(create: &str) -> Vec<String> {
    create
        .lines()
        .filter_map(|line| {
            let mut rest = Reader(line.trim_start());
            rest.word("CONSTRAINT ")?;
            let name = rest.name()?;
            rest.word(" CHECK ")?;
            Some(name)
        })
        .collect()
}

/// What is left of a statement.
struct Reader<'a>(&'a str);

impl Reader<'_> {
    fn word(&mut self, text: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(text)?;
        Some(())
    }

    fn name(&mut self) -> Option<String> {
        let inner = self.0.strip_prefix('`')?;
        let mut name = String::new();
        let mut characters = inner.char_indices();
        loop {
            match characters.next()? {
                (at, '`') if inner[at + 1..].starts_with('`') => {
                    name.push('`');
                    characters.next();
                }
                (at, '`') => {
                    self.0 = &inner[at + 1..];
                    return Some(name);
                }
                (_, character) => name.push(character),
            }
        }
    }

    fn names(&mut self) -> Option<Vec<String>> {
        self.word("(")?;
        let mut names = vec![self.name()?];
        while self.word(", ").is_some() {
            names.push(self.name()?);
        }
        self.word(")")?;
        Some(names)
    }

    fn table(&mut self) -> Option<TableName> {
        let first = self.name()?;
        Some(match self.word(".") {
            Some(()) => TableName::new(first, self.name()?),
            None => TableName::bare(first),
        })
    }

    /// What follows the words, RESTRICT where they are not there.
    fn action(&mut self, after: &str) -> String {
        const ACTIONS: [&str; 5] = ["CASCADE", "SET NULL", "SET DEFAULT", "NO ACTION", "RESTRICT"];
        let found = self.word(after).and_then(|()| ACTIONS.into_iter().find(|action| self.word(action).is_some()));
        found.unwrap_or("RESTRICT").to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> ForeignKey {
        ForeignKey {
            name: "odd`name".to_owned(),
            columns: vec!["a, b".to_owned(), "c)".to_owned()],
            references: TableName::new("other", "pa`rent"),
            referenced_columns: vec!["id".to_owned(), "x".to_owned()],
            on_delete: "SET NULL".to_owned(),
            on_update: "NO ACTION".to_owned(),
            deferrable: false,
        }
    }

    #[test]
    fn what_is_rendered_is_read_again() {
        let table = TableName::bare("child");
        let added = KeyStatement::Add { table: table.clone(), key: key() };
        assert_eq!(KeyStatement::read(&add_foreign_key(&table, &key(), "odd`name", &key().references)), Some(added));
        let dropped = KeyStatement::Drop { table: table.clone(), name: "odd`name".to_owned() };
        assert_eq!(KeyStatement::read(&drop_foreign_key(&table, "odd`name")), Some(dropped));
        for other in [
            "ALTER TABLE `t` ADD INDEX `i` (`a`)",
            "ALTER TABLE `t` DROP FOREIGN KEY `k`, DROP INDEX `i`",
            "ALTER TABLE `t` ADD CONSTRAINT `k` FOREIGN KEY (`a`) REFERENCES `p` (`id`) ON DELETE EXPLODE",
        ] {
            assert_eq!(KeyStatement::read(other), None, "{other}");
        }
    }

    #[test]
    fn keys_are_one_by_what_they_demand_and_not_by_their_names() {
        let renamed = ForeignKey { name: "other".to_owned(), on_update: String::new(), ..key() };
        assert!(demands_the_same(&key(), &renamed));
        let elsewhere = ForeignKey { references: TableName::bare("backup"), ..key() };
        assert!(!demands_the_same(&key(), &elsewhere));
        assert!(!demands_the_same(&key(), &ForeignKey { on_delete: "CASCADE".to_owned(), ..key() }));
    }

    #[test]
    fn checks_of_a_created_table_are_found_by_name() {
        let create =
            "CREATE TABLE `t` (\n  `a` int DEFAULT 'CONSTRAINT `x` CHECK ',\n  CONSTRAINT `t_a` CHECK (a > 0)\n)";
        assert_eq!(check_names(create), ["t_a"]);
    }
}
