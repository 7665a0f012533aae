//! The pipeline's two databases, opened.

use millrace_database::mysql::MySql;
use millrace_database::postgres::Postgres;
use millrace_model::{Cancel, Failure};

use crate::setup::Setup;

/// What a pipeline's databases are when they can be reached.
#[derive(Clone)]
pub(crate) struct Databases {
    /// None: the pipeline gives no url, and a model from a file stands for it.
    pub(crate) source: Option<Postgres>,
    /// None: as above.
    pub(crate) target: Option<MySql>,
}

impl Databases {
    /// Opens those that have a url.
    pub(crate) async fn open(setup: &Setup, cancel: &Cancel) -> Result<Self, Failure> {
        let declared = &setup.pipeline.databases;
        let source = match &declared.source.url {
            Some(url) => Some(Postgres::connect(url, "source", cancel.clone()).await?),
            None => None,
        };
        let target = match &declared.target.url {
            Some(url) => Some(MySql::connect(url, "target", cancel.clone()).await?),
            None => None,
        };
        Ok(Self { source, target })
    }

    /// Both, for a run.
    ///
    /// # Errors
    /// `pipeline.database-without-url`: a plan can be made without, a run cannot.
    pub(crate) fn both(&self) -> Result<(Postgres, MySql), Failure> {
        let missing = |name: &str| {
            Failure::config(
                "pipeline.database-without-url",
                format!("database {name} has no url, and a run needs both databases"),
            )
        };
        Ok((
            self.source.clone().ok_or_else(|| missing("source"))?,
            self.target.clone().ok_or_else(|| missing("target"))?,
        ))
    }
}
