//! Databases that tests are given, and the few things that tests do to them directly.

use sqlx::{AssertSqlSafe, Connection as _, MySqlConnection, PgConnection};

use crate::{Error, Kind, Session};

/// A fresh database. It goes when its engine goes.
#[derive(Clone, Debug)]
pub struct Database {
    /// The superuser's URL of it.
    pub url: String,
    /// Its name.
    pub name: String,
    /// The engine that it is in.
    pub kind: Kind,
}

impl Database {
    /// [`run_sql`] in this database.
    pub async fn run_sql(&self, script: &str) -> Result<(), Error> {
        run_sql(&self.url, script).await
    }

    /// [`query_text`] in this database.
    pub async fn query_text(&self, query: &str) -> Result<Vec<Vec<Option<String>>>, Error> {
        query_text(&self.url, query).await
    }

    /// Makes an account of OceanBase with these privileges on this database and no others, and gives its URL.
    pub async fn create_account(&self, name: &str, privileges: &str) -> Result<String, Error> {
        let create = format!("CREATE USER IF NOT EXISTS {name} IDENTIFIED BY 'word'");
        // The server undoes it, as though the name were taken, when another session changes a table meanwhile.
        let mut tries = 0;
        while let Err(error) = self.run_sql(&create).await {
            tries += 1;
            if tries == 100 {
                return Err(error);
            }
        }
        self.run_sql(&format!("GRANT {privileges} ON {}.* TO {name}", self.name)).await?;
        Ok(self.url.replacen("root@", &format!("{name}:word@"), 1))
    }
}

/// Runs a script of any number of statements through a connection of its own. PostgreSQL runs a script
/// as one transaction unless it says otherwise; OceanBase commits each statement.
pub async fn run_sql(url: &str, script: &str) -> Result<(), Error> {
    let action = || format!("running {:?} failed", beginning(script));
    let script = AssertSqlSafe(script.to_owned());
    match protocol(url)? {
        Protocol::Postgres => {
            let mut connection = PgConnection::connect(url).await.map_err(Error::sql(connecting))?;
            sqlx::raw_sql(script).execute(&mut connection).await.map_err(Error::sql(action))?;
            connection.close().await.map_err(Error::sql(action))
        }
        Protocol::Mysql => {
            let mut connection = MySqlConnection::connect(url).await.map_err(Error::sql(connecting))?;
            sqlx::raw_sql(script).execute(&mut connection).await.map_err(Error::sql(action))?;
            connection.close().await.map_err(Error::sql(action))
        }
    }
}

/// Runs a query through a connection of its own and gives every value as the text that the server
/// writes; none for NULL. For comparing in tests: bytes that are not UTF-8 are an error.
pub async fn query_text(url: &str, query: &str) -> Result<Vec<Vec<Option<String>>>, Error> {
    let mut session = Session::open(url).await?;
    let rows = session.query_text(query).await?;
    session.close().await?;
    Ok(rows)
}

enum Protocol {
    Postgres,
    Mysql,
}

fn protocol(url: &str) -> Result<Protocol, Error> {
    match url.split_once("://").map(|(scheme, _)| scheme) {
        Some("postgres" | "postgresql") => Ok(Protocol::Postgres),
        Some("mysql") => Ok(Protocol::Mysql),
        _ => Err(Error::Usage("a test database's URL begins with postgres:// or mysql://".to_owned())),
    }
}

fn connecting() -> String {
    "connecting to a test database failed".to_owned()
}

/// Enough of a script to recognise it.
pub(crate) fn beginning(script: &str) -> String {
    let line = script.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(120) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
