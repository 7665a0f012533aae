//! The pipeline's two databases, opened.

use std::path::Path;

use millrace_database::TlsOptions;
use millrace_database::mysql::MySql;
use millrace_database::postgres::Postgres;
use millrace_model::{Cancel, Failure};
use millrace_pipeline::{DEFAULT_RETRIES, DatabaseDeclaration};
use millrace_runtime::Runtime;

use crate::attempts::attempted;
use crate::setup::{Declared, Setup, SetupError};

/// Opens a database, again if its connection is lost meanwhile. One that cannot be reached at all is said at once:
/// mostly the pipeline names a wrong place.
async fn opened<T, F: Future<Output = Result<T, Failure>>>(
    name: &str,
    cancel: &Cancel,
    open: impl Fn() -> F,
) -> Result<T, Failure> {
    let attempt = || async {
        match open().await {
            Err(failure) if failure.code == "database.unreachable" => Ok(Err(failure)),
            other => other.map(Ok),
        }
    };
    attempted(&format!("opening database {name}"), DEFAULT_RETRIES, cancel, attempt).await?
}

/// What the pipeline says about the connections to a database.
fn tls(declared: &DatabaseDeclaration, folder: &Path) -> TlsOptions {
    TlsOptions { mode: declared.tls, ca: declared.ca.as_ref().map(|path| folder.join(path)) }
}

async fn open_target(declared: &DatabaseDeclaration, folder: &Path, cancel: &Cancel) -> Result<Option<MySql>, Failure> {
    let Some(url) = &declared.url else { return Ok(None) };
    let tls = tls(declared, folder);
    let opened = opened("target", cancel, || MySql::connect_with(url, "target", &tls, cancel.clone())).await?;
    Ok(Some(match declared.patience {
        Some(patience) => opened.with_patience(patience),
        None => opened,
    }))
}

/// What a pipeline's databases are when they can be reached.
#[derive(Clone)]
pub(crate) struct Databases {
    /// None: the pipeline gives no url, and a model from a file stands for it.
    pub(crate) source: Option<Postgres>,
    /// None: as above.
    pub(crate) target: Option<MySql>,
}

impl Databases {
    /// Reads a pipeline, and opens its databases while its plugins are loaded: on a machine that has not compiled them
    /// yet this takes longer than anything else before the first row.
    pub(crate) async fn open_with(
        runtime: &Runtime,
        origin: &Path,
        cancel: &Cancel,
    ) -> Result<(Setup, Self), SetupError> {
        let declared = Declared::read(origin)?;
        let (databases, folder) = declared.databases();
        let cancel = cancel.clone();
        let opening = tokio::spawn(async move { Self::open_declared(&databases, &folder, &cancel).await });
        let setup = tokio::task::block_in_place(|| declared.load(runtime)).inspect_err(|_| opening.abort())?;
        let opened = opening
            .await
            .map_err(|e| Failure::internal("run.panicked", format!("what opens the databases panicked: {e}")))?;
        Ok((setup, opened?))
    }

    /// Opens those that have a url.
    pub(crate) async fn open(setup: &Setup, cancel: &Cancel) -> Result<Self, Failure> {
        Self::open_declared(&setup.pipeline.databases, setup.folder(), cancel).await
    }

    async fn open_declared(
        declared: &millrace_pipeline::Databases,
        folder: &Path,
        cancel: &Cancel,
    ) -> Result<Self, Failure> {
        let source = match &declared.source.url {
            Some(url) => {
                let tls = tls(&declared.source, folder);
                let opened =
                    opened("source", cancel, || Postgres::connect_with(url, "source", &tls, cancel.clone())).await?;
                Some(match declared.source.patience {
                    Some(patience) => opened.with_patience(patience),
                    None => opened,
                })
            }
            None => None,
        };
        Ok(Self { source, target: open_target(&declared.target, folder, cancel).await? })
    }

    /// Opens the target alone. None: it has no url.
    pub(crate) async fn open_target(setup: &Setup, cancel: &Cancel) -> Result<Option<MySql>, Failure> {
        open_target(&setup.pipeline.databases.target, setup.folder(), cancel).await
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
