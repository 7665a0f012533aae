//! Engines that all tests of a process share.

use tokio::sync::OnceCell;

use crate::{Database, Engine, Error, Kind};

/// An engine that the whole process shares, started when it is first asked for.
#[derive(Debug)]
pub struct Shared {
    kind: Kind,
    engine: OnceCell<Engine>,
}

static POSTGRES_18: Shared = Shared::new(Kind::Postgres18);
static POSTGRES_16: Shared = Shared::new(Kind::Postgres16);
static OCEANBASE: Shared = Shared::new(Kind::OceanBase);

/// The process's PostgreSQL 18.
pub fn postgres18() -> &'static Shared {
    &POSTGRES_18
}

/// The process's PostgreSQL 16.
pub fn postgres16() -> &'static Shared {
    &POSTGRES_16
}

/// The process's OceanBase.
pub fn oceanbase() -> &'static Shared {
    &OCEANBASE
}

/// The process's engine of a kind.
pub fn shared(kind: Kind) -> &'static Shared {
    match kind {
        Kind::Postgres18 => postgres18(),
        Kind::Postgres16 => postgres16(),
        Kind::OceanBase => oceanbase(),
    }
}

impl Shared {
    const fn new(kind: Kind) -> Self {
        Self { kind, engine: OnceCell::const_new() }
    }

    /// The engine; starts it if nobody has. A test must not stop it: others use it.
    pub async fn engine(&self) -> Result<&Engine, Error> {
        self.engine.get_or_try_init(|| Engine::start(self.kind)).await
    }

    /// [`Engine::fresh_database`].
    pub async fn fresh_database(&self, prefix: &str) -> Result<Database, Error> {
        self.engine().await?.fresh_database(prefix).await
    }
}
