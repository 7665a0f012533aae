//! The views that runs made, in the target's books: only what a run made is ever replaced or dropped by one.
//!
//! A row is written before its view is made, and gets the query as the server prints it afterwards: whoever finds another
//! query under the name knows that somebody else has changed the view.

use millrace_model::{Failure, TableName};

use super::MySql;
use super::bookkeeping::{Bookkeeping, name};
use crate::dialect::mysql::{quote_name, quote_text};

/// A view that a run made, or was about to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeView {
    /// Its name.
    pub view: TableName,
    /// The run.
    pub run: String,
    /// The run's pipeline.
    pub pipeline: String,
    /// What made it.
    pub statement: String,
    /// Its query, as the server prints it. Empty: nobody has looked since it was begun.
    pub shown: String,
    /// Why it was taken back. Empty: it was not.
    pub refused: String,
}

impl Bookkeeping {
    /// Notes what is known of a view.
    ///
    /// # Errors
    /// What the database says.
    pub async fn record_view(&self, made: &MadeView) -> Result<(), Failure> {
        let sql = format!(
            "INSERT INTO millrace_views (view_name, run, pipeline, statement, shown, refused, made_at) \
             VALUES ({}, {}, {}, {}, {}, {}, UTC_TIMESTAMP(6)) ON DUPLICATE KEY UPDATE run = VALUES(run), \
             pipeline = VALUES(pipeline), statement = VALUES(statement), shown = VALUES(shown), \
             refused = VALUES(refused), made_at = VALUES(made_at)",
            quote_text(&made.view.to_string()),
            quote_text(&made.run),
            quote_text(&made.pipeline),
            quote_text(&made.statement),
            quote_text(&made.shown),
            quote_text(&made.refused),
        );
        self.write(&format!("record the view {}", made.view), &sql).await
    }

    /// Forgets a view.
    ///
    /// # Errors
    /// What the database says.
    pub async fn forget_view(&self, view: &TableName) -> Result<(), Failure> {
        let sql = format!("DELETE FROM millrace_views WHERE view_name = {}", quote_text(&view.to_string()));
        self.write(&format!("forget the view {view}"), &sql).await
    }

    /// The views that runs of any pipeline made.
    ///
    /// # Errors
    /// What the database says.
    pub async fn made_views(&self) -> Result<Vec<MadeView>, Failure> {
        let sql = "SELECT view_name, run, pipeline, statement, shown, refused FROM millrace_views ORDER BY view_name";
        let rows = self.read("read which views runs made", sql.to_owned()).await?;
        rows.into_iter()
            .map(|row| {
                let [view, run, pipeline, statement, shown, refused] = self.texts(row)?;
                Ok(MadeView { view: name(&view), run, pipeline, statement, shown, refused })
            })
            .collect()
    }
}

impl MySql {
    /// The query of a view, as the server prints it. None: there is no view of this name.
    ///
    /// # Errors
    /// What the database says.
    pub async fn shown_view(&self, view: &TableName) -> Result<Option<String>, Failure> {
        let sql = format!(
            "SELECT VIEW_DEFINITION FROM information_schema.VIEWS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = {}",
            quote_text(&view.name)
        );
        let rows = self.bridge.run(self.rows_for(&format!("read the view {view}"), sql)).await?;
        Ok(rows.into_iter().next().map(|row| row.into_iter().next().flatten().unwrap_or_default()))
    }

    /// Drops a view. None of this name: nothing is done.
    ///
    /// # Errors
    /// What the database says.
    pub async fn drop_view(&self, view: &TableName) -> Result<(), Failure> {
        self.execute(&format!("DROP VIEW IF EXISTS {}", quote_name(&view.name))).await.map(|_| ())
    }
}
