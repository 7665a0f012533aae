//! A connection that a test keeps: for what applications do all the time, one short statement after another.

use sqlx::mysql::MySqlRow;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Connection as _, MySqlConnection, PgConnection, Row as _};

use crate::Error;
use crate::database::beginning;

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

    /// Ends the session, so that the server knows it at once.
    pub async fn close(self) -> Result<(), Error> {
        let closing = || "closing a connection to a test database failed".to_owned();
        match self.connection {
            Connection::Postgres(connection) => connection.close().await,
            Connection::Mysql(connection) => connection.close().await,
        }
        .map_err(Error::sql(closing))
    }

    /// Runs a query and gives every value as the text that the server writes; none for NULL. For comparing in tests:
    /// bytes that are not UTF-8 are an error.
    pub async fn query_text(&mut self, query: &str) -> Result<Vec<Vec<Option<String>>>, Error> {
        let action = || format!("running {:?} failed", beginning(query));
        let sql = sqlx::raw_sql(AssertSqlSafe(query.to_owned()));
        match &mut self.connection {
            Connection::Postgres(connection) => {
                let rows = sql.fetch_all(&mut **connection).await.map_err(Error::sql(action))?;
                let values = |row: &PgRow| (0..row.len()).map(|column| row.try_get_unchecked(column)).collect();
                rows.iter().map(values).collect::<Result<_, _>>().map_err(Error::sql(action))
            }
            Connection::Mysql(connection) => {
                let rows = sql.fetch_all(&mut **connection).await.map_err(Error::sql(action))?;
                let values = |row: &MySqlRow| (0..row.len()).map(|column| row.try_get_unchecked(column)).collect();
                rows.iter().map(values).collect::<Result<_, _>>().map_err(Error::sql(action))
            }
        }
    }
}
