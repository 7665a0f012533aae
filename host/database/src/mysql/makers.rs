//! Which run made the table live that stands under a name.
//!
//! A row is written before names are swapped, with the id of the table that is to be live, and taken back with the swap.
//! The rows of earlier runs stay: when a later run goes back, the table of an earlier one is live again, and its id says
//! whose it is. Where tables cannot be told apart, the last row must do.

use millrace_model::{Failure, TableName};

use super::bookkeeping::{Bookkeeping, TABLES_A_STATEMENT, name};
use super::identity::TableId;
use crate::dialect::mysql::quote_text;

/// A run that made a table live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Maker {
    /// The name that applications use.
    pub table: TableName,
    /// The run.
    pub run: String,
    /// Its pipeline.
    pub pipeline: String,
    /// The table's id. None: it could not be read.
    pub id: Option<TableId>,
}

/// Who made the table live that has this id now; `makers` are in the order of [`Bookkeeping::makers`]. None: no run did,
/// or one that is not in the books.
pub fn maker_of<'a>(makers: &'a [Maker], live: &TableName, id: Option<&TableId>) -> Option<&'a Maker> {
    let of_table = || makers.iter().filter(|maker| maker.table == *live);
    let told = |maker: &Maker| Some(maker.id.as_ref()?.same(id?)).flatten();
    if let Some(maker) = of_table().find(|maker| told(maker) == Some(true)) {
        return Some(maker);
    }
    of_table().next().filter(|last| told(last).is_none())
}

impl Bookkeeping {
    /// Notes that a run makes these tables live.
    ///
    /// # Errors
    /// What the database says.
    pub async fn record_live(
        &self,
        run: &str,
        pipeline: &str,
        tables: &[(&TableName, Option<&TableId>)],
    ) -> Result<(), Failure> {
        for some in tables.chunks(TABLES_A_STATEMENT) {
            let rows: Vec<String> = some
                .iter()
                .map(|(table, id)| {
                    format!(
                        "({}, {}, {}, {}, UTC_TIMESTAMP(6))",
                        quote_text(&table.to_string()),
                        quote_text(run),
                        quote_text(pipeline),
                        id.map_or_else(|| "NULL".to_owned(), |id| quote_text(id.as_str()))
                    )
                })
                .collect();
            let sql = format!(
                "INSERT INTO millrace_live (table_name, run, pipeline, table_id, live_since) VALUES {} \
                 ON DUPLICATE KEY UPDATE table_id = VALUES(table_id), live_since = VALUES(live_since)",
                rows.join(", ")
            );
            self.write("record which tables are live", &sql).await?;
        }
        Ok(())
    }

    /// Takes back that a run made tables live: its old ones are live again.
    ///
    /// # Errors
    /// What the database says.
    pub async fn forget_live(&self, run: &str) -> Result<(), Failure> {
        let sql = format!("DELETE FROM millrace_live WHERE run = {}", quote_text(run));
        self.write("forget which tables were live", &sql).await
    }

    /// The runs that made tables live and were not taken back, of each table the last first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn makers(&self) -> Result<Vec<Maker>, Failure> {
        let sql = "SELECT table_name, run, pipeline, table_id FROM millrace_live \
                   ORDER BY table_name, live_since DESC, run DESC";
        let rows = self.read("read who made tables live", sql.to_owned()).await?;
        rows.into_iter()
            .map(|mut row| {
                let id = row.pop().flatten().map(TableId::from_kept);
                let [table, run, pipeline] = self.texts(row)?;
                Ok(Maker { table: name(&table), run, pipeline, id })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn maker(run: &str, id: Option<&str>) -> Maker {
        Maker {
            table: TableName::bare("item"),
            run: run.to_owned(),
            pipeline: "shop".to_owned(),
            id: id.map(TableId::from_kept),
        }
    }

    #[test]
    fn the_table_that_is_live_says_who_made_it_whoever_came_last() {
        let makers = [maker("second", Some("object 6")), maker("first", Some("object 5"))];
        let run = |id: Option<&str>| {
            let id = id.map(TableId::from_kept);
            maker_of(&makers, &TableName::bare("item"), id.as_ref()).map(|maker| maker.run.clone())
        };
        assert_eq!(run(Some("object 5")).as_deref(), Some("first"));
        assert_eq!(run(Some("object 6")).as_deref(), Some("second"));
        assert_eq!(run(Some("object 7")), None, "somebody else made it");
        assert_eq!(run(None).as_deref(), Some("second"), "where tables cannot be told apart, the last is taken");
        assert_eq!(maker_of(&makers, &TableName::bare("part"), None), None);
    }
}
