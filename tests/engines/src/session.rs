//! A connection that a test keeps: for what applications do all the time, one short statement after another.

use sqlx::{AssertSqlSafe, Connection as _, MySqlConnection, PgConnection};

use crate::Error;

/// A connection to a test database.
#[derive(Debug)]
pub struct Session {
    connection: Connection,
}

#[derive(Debug)]
enum Connection {
    Postgres(Box<PgConnection>),
    Mysql(Box<MySqlConnection>),
}

impl Session {
    /// Connects, as the user that the URL names.
    pub async fn open(url: &str) -> Result<Self, Error> {
        let connecting = || "connecting to a test database failed".to_owned();
        let connection = if url.starts_with("mysql://") {
            Connection::Mysql(Box::new(MySqlConnection::connect(url).await.map_err(Error::sql(connecting))?))
        } else {
            Connection::Postgres(Box::new(PgConnection::connect(url).await.map_err(Error::sql(connecting))?))
        };
        Ok(Self { connection })
    }

    /// Runs one statement. After an error the session may be of no use any more: open another one.
    pub async fn run(&mut self, statement: &str) -> Result<(), Error> {
        let action = || format!("running {statement:?} failed");
        let sql = sqlx::raw_sql(AssertSqlSafe(statement.to_owned()));
        match &mut self.connection {
            Connection::Postgres(connection) => sql.execute(&mut **connection).await.map(drop),
            Connection::Mysql(connection) => sql.execute(&mut **connection).await.map(drop),
        }
        .map_err(Error::sql(action))
    }
}
