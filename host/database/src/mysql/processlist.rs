//! The sessions of the server, or of all servers of its cluster: who they are, what they do, and how they are ended.
//!
//! `information_schema.PROCESSLIST` holds the sessions of the server that answers. A cluster of OceanBase has more
//! servers, and tells the sessions of all of them in `GV$OB_PROCESSLIST`, each with the server that it is on; a session
//! of another server is ended through a connection to that one. A connection through a proxy (ODP) is not a session of
//! any server: the proxy numbers its clients itself and keeps sessions of its own on the servers, which it makes anew
//! when one is ended. [`Extent`] says which of these it is.
//!
//! Without the privilege PROCESS a server lists the sessions of one's own user, and says nothing of the others.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use millrace_model::Failure;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor};

use super::{MySql, read_rows};
use crate::dialect::mysql::quote_text;
use crate::error::is_disconnect;
use crate::lease::Activity;

/// How long another server of the cluster may take to accept a connection: writers are kept off meanwhile.
const NODE_WITHIN: Duration = Duration::from_secs(1);

/// The numbers of errors for: no such table, no such column, and four sorts of a missing privilege.
const CANNOT_LOOK: [&str; 6] = ["1146", "1054", "1044", "1142", "1143", "1227"];

/// "Unknown thread id": the session has ended.
const UNKNOWN_SESSION: &str = "1094";

/// Which sessions can be listed through our connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// Those of the one server that there is.
    Server,
    /// Those of all servers of the cluster; our connections are sessions of them.
    Cluster,
    /// Those of all servers of the cluster; our connections end at a proxy.
    BehindProxy,
    /// Those of the server that answers, of perhaps many.
    OneOfMany,
}

/// A server of a cluster, where clients reach it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Node {
    host: String,
    port: u16,
}

/// A session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Session {
    /// Its number, by which it is ended.
    pub(super) id: u64,
    /// Its user, as the server names it: perhaps with the tenant behind an `@`.
    pub(super) user: String,
    /// Whether it waits for its client.
    pub(super) idle: bool,
    /// Where it is. None: on the server that answers.
    node: Option<Node>,
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "session {} of {}", self.id, self.user)?;
        match &self.node {
            Some(Node { host, port }) => write!(f, " on {host}:{port}"),
            None => Ok(()),
        }
    }
}

/// What is ended of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The statement that it is at.
    Statement,
    /// All of it.
    Session,
}

/// Which sessions can be listed. It is asked once.
pub(super) async fn extent(target: &MySql) -> Result<Extent, Failure> {
    target.extent.get_or_try_init(|| find_extent(target)).await.copied()
}

async fn find_extent(target: &MySql) -> Result<Extent, Failure> {
    if target.dialect() != "oceanbase" {
        let sql = "SHOW GLOBAL STATUS LIKE 'wsrep_cluster_size'".to_owned();
        let rows = target.rows_for("ask for the size of a Galera cluster", sql).await?;
        let servers = rows.first().and_then(|row| row.get(1)).and_then(|cell| cell.as_deref()?.parse::<u32>().ok());
        return Ok(if servers.unwrap_or(1) > 1 { Extent::OneOfMany } else { Extent::Server });
    }
    let sql = "SELECT PROXY_SESSID FROM oceanbase.GV$OB_PROCESSLIST AS p WHERE ID = CONNECTION_ID()".to_owned();
    match target.rows_for("list the cluster's sessions", sql).await {
        Ok(rows) => Ok(match rows.first().and_then(|row| row.first()) {
            Some(None) => Extent::Cluster,
            // Its session belongs to a proxy, or is known to the proxy alone.
            Some(Some(_)) | None => Extent::BehindProxy,
        }),
        Err(failure) if !failure.field("errno").is_some_and(|errno| CANNOT_LOOK.contains(&errno)) => Err(failure),
        // This kernel is one server by design, and has no such view.
        Err(_) if target.version().to_ascii_lowercase().contains("seekdb") => Ok(Extent::Server),
        Err(_) => Ok(Extent::OneOfMany),
    }
}

/// Why ending all sessions of other users cannot be relied upon here. None: it can.
pub(super) async fn out_of_reach(target: &MySql) -> Result<Option<String>, Failure> {
    let many = "and a session on another one would go on writing";
    match extent(target).await? {
        Extent::Server | Extent::Cluster => {}
        Extent::BehindProxy => {
            return Ok(Some(format!(
                "the connection to database {} ends at a proxy, which keeps sessions of its own: connect to one of the \
                 cluster's servers itself",
                target.place
            )));
        }
        Extent::OneOfMany => {
            return Ok(Some(format!(
                "the server may be one of several, whose sessions it does not list ({}), {many}",
                if target.dialect() == "oceanbase" {
                    "that takes OceanBase 4 and the right to read oceanbase.GV$OB_PROCESSLIST"
                } else {
                    "it belongs to a Galera cluster"
                }
            )));
        }
    }
    if sees_other_users(target).await? {
        return Ok(None);
    }
    Ok(Some("without the privilege PROCESS the sessions of other users are not listed".to_owned()))
}

/// Whether the sessions of other users are listed for ours. A privilege that only a role gives is not looked for: what
/// is listed by chance, such as a session whose client has not logged in yet, proves nothing.
async fn sees_other_users(target: &MySql) -> Result<bool, Failure> {
    let sql = "SELECT GRANTEE, CURRENT_USER() FROM information_schema.USER_PRIVILEGES \
               WHERE PRIVILEGE_TYPE IN ('PROCESS', 'SUPER')"
        .to_owned();
    let rows = target.rows_for("look for the privilege PROCESS", sql).await?;
    Ok(rows.iter().any(|row| match row.as_slice() {
        [Some(grantee), Some(own)] => grantee.replace('\'', "") == *own,
        _ => false,
    }))
}

/// All sessions that are listed for us.
pub(super) async fn all(target: &MySql) -> Result<Vec<Session>, Failure> {
    listed(target, "TRUE").await
}

/// The session of this number. None: it has ended.
pub(super) async fn find(target: &MySql, id: u64) -> Result<Option<Session>, Failure> {
    Ok(listed(target, &format!("ID = {id}")).await?.into_iter().next())
}

/// The sessions whose statement begins so.
pub(super) async fn saying(target: &MySql, beginning: &str) -> Result<Vec<Session>, Failure> {
    // Of the characters that LIKE minds our own statements have `_` alone, which stands for itself as well.
    listed(target, &format!("INFO LIKE {}", quote_text(&format!("{beginning}%")))).await
}

async fn listed(target: &MySql, condition: &str) -> Result<Vec<Session>, Failure> {
    let extent = extent(target).await?;
    let rows = target.rows_for("list sessions", query(extent, condition)).await?;
    Ok(rows.into_iter().filter_map(session).collect())
}

fn query(extent: Extent, condition: &str) -> String {
    match extent {
        Extent::Cluster | Extent::BehindProxy => format!(
            "SELECT ID, USER, COMMAND, SVR_IP, SQL_PORT FROM oceanbase.GV$OB_PROCESSLIST AS p WHERE {condition}"
        ),
        Extent::Server | Extent::OneOfMany => {
            format!("SELECT ID, USER, COMMAND FROM information_schema.PROCESSLIST AS p WHERE {condition}")
        }
    }
}

/// From a row of [`query`].
fn session(row: Vec<Option<String>>) -> Option<Session> {
    let mut cells = row.into_iter();
    let mut next = || cells.next().flatten();
    let (id, user, command) = (next()?.parse().ok()?, next().unwrap_or_default(), next().unwrap_or_default());
    let node = match (next(), next().and_then(|port| port.parse().ok())) {
        (Some(host), Some(port)) => Some(Node { host, port }),
        _ => None,
    };
    Some(Session { id, user, idle: command.eq_ignore_ascii_case("sleep"), node })
}

/// Asks who answers: the session, and the machine that it is on.
pub(super) const WHO: &str = "SELECT CONNECTION_ID(), @@hostname";

/// A session of ours.
#[derive(Clone, Debug)]
pub(super) struct OurSession {
    id: String,
    host: String,
}

impl OurSession {
    /// From the answer to [`WHO`].
    pub(super) fn of(rows: &[Vec<Option<String>>]) -> Self {
        let text = |index: usize| rows.first().and_then(|row| row.get(index)).cloned().flatten().unwrap_or_default();
        Self { id: text(0), host: text(1) }
    }

    /// Its number. None: the server gave none.
    pub(super) fn number(&self) -> Option<u64> {
        self.id.parse().ok()
    }

    /// Ends it, through new connections. Only where it is certain to be this one: its number may be another session's on
    /// another server.
    pub(super) async fn end(&self, options: &MySqlConnectOptions, dialect: &str) -> Result<(), sqlx::Error> {
        let Some(id) = self.number() else { return Ok(()) };
        let mut connection = options.connect().await?;
        if dialect == "oceanbase" {
            let sql = format!("SELECT SVR_IP, SQL_PORT FROM oceanbase.GV$OB_PROCESSLIST AS p WHERE ID = {id}");
            match read_rows(&mut connection, sql).await {
                Ok(rows) => {
                    if let Some([Some(host), Some(port)]) = rows.first().map(Vec::as_slice)
                        && let Ok(port) = port.parse()
                    {
                        connection = options.clone().host(host).port(port).connect().await?;
                        return kill(&mut connection, id).await;
                    }
                    return Ok(());
                }
                Err(error) if is_disconnect(&error) => return Err(error),
                Err(_) => {}
            }
        }
        let host = Self::of(&read_rows(&mut connection, WHO.to_owned()).await?).host;
        if host == self.host { kill(&mut connection, id).await } else { Ok(()) }
    }

    /// What it does, seen through another connection.
    pub(super) async fn activity(
        &self,
        connection: &mut MySqlConnection,
        dialect: &str,
    ) -> Result<Activity, sqlx::Error> {
        if dialect == "oceanbase" {
            match self.activity_in_cluster(connection).await {
                Err(error) if is_disconnect(&error) => return Err(error),
                // A kernel that is one server, or one that does not let us look.
                Err(_) => {}
                known => return known,
            }
        }
        let host = Self::of(&read_rows(connection, WHO.to_owned()).await?).host;
        let sql =
            format!("SELECT COMMAND FROM information_schema.PROCESSLIST AS p WHERE ID = {}", quote_text(&self.id));
        let rows = read_rows(connection, sql).await?;
        let command = rows.into_iter().next().and_then(|row| row.into_iter().next()).flatten();
        Ok(match command {
            Some(command) => at(&command),
            // Another machine answers: it does not list the sessions of this one.
            None if host != self.host => Activity::Working,
            None => Activity::Gone,
        })
    }

    /// As all servers of the cluster tell it: a session that none of them lists is gone, unless a proxy numbers its
    /// clients itself, so that the one that looks is not listed by its number either.
    async fn activity_in_cluster(&self, connection: &mut MySqlConnection) -> Result<Activity, sqlx::Error> {
        let sql = format!(
            "SELECT ID, COMMAND, PROXY_SESSID, CONNECTION_ID() FROM oceanbase.GV$OB_PROCESSLIST AS p \
             WHERE ID IN ({}, CONNECTION_ID())",
            quote_text(&self.id)
        );
        let rows = read_rows(connection, sql).await?;
        let command = rows.iter().find(|row| row.first() == Some(&Some(self.id.clone()))).and_then(|row| row.get(1));
        if let Some(Some(command)) = command {
            return Ok(at(command));
        }
        let is_direct = |row: &Vec<Option<String>>| row.first() == row.get(3) && row.get(2) == Some(&None);
        Ok(if rows.iter().any(is_direct) { Activity::Gone } else { Activity::Working })
    }
}

async fn kill(connection: &mut MySqlConnection, id: u64) -> Result<(), sqlx::Error> {
    connection.execute(sqlx::raw_sql(AssertSqlSafe(format!("KILL {id}")))).await.map(|_| ())
}

/// What a session does, by the command that it is listed with.
fn at(command: &str) -> Activity {
    if command.eq_ignore_ascii_case("sleep") { Activity::Idle } else { Activity::Working }
}

/// Ends sessions, each through the server that it is on.
pub(super) struct Killer<'a> {
    target: &'a MySql,
    /// Connections to other servers. None: one could not be reached.
    nodes: HashMap<Node, Option<MySqlConnection>>,
}

impl<'a> Killer<'a> {
    pub(super) fn new(target: &'a MySql) -> Self {
        Self { target, nodes: HashMap::new() }
    }

    /// Ends a session, or its statement. One that is gone already is no failure.
    pub(super) async fn end(&mut self, session: &Session, ending: Ending) -> Result<(), Failure> {
        let sql = match ending {
            Ending::Statement => format!("KILL QUERY {}", session.id),
            Ending::Session => format!("KILL {}", session.id),
        };
        if let Some(node) = &session.node
            && let Some(connection) = self.connection(node).await
        {
            let killing = connection.execute(sqlx::raw_sql(AssertSqlSafe(sql.clone())));
            if let Ok(Ok(_)) = tokio::time::timeout(NODE_WITHIN, killing).await {
                return Ok(());
            }
            // Whatever it was, the cluster itself may pass the wish on.
            self.nodes.insert(node.clone(), None);
        }
        match self.target.execute_for(&format!("end {session}"), &sql).await {
            Err(failure) if failure.field("errno") != Some(UNKNOWN_SESSION) => Err(failure),
            _ => Ok(()),
        }
    }

    async fn connection(&mut self, node: &Node) -> Option<&mut MySqlConnection> {
        if !self.nodes.contains_key(node) {
            let options = (*self.target.pool.connect_options()).clone().host(&node.host).port(node.port);
            let connection = match tokio::time::timeout(NODE_WITHIN, options.connect()).await {
                Ok(Ok(connection)) => Some(connection),
                Ok(Err(error)) => {
                    let failure = self.target.place.failure("connect to another server of the cluster", &error);
                    tracing::debug!(host = node.host, port = node.port, "{failure}");
                    None
                }
                Err(_) => None,
            };
            self.nodes.insert(node.clone(), connection);
        }
        self.nodes.get_mut(node)?.as_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_named_with_its_server() {
        let cells = |cells: &[&str]| cells.iter().map(|cell| Some((*cell).to_owned())).collect();
        let there = session(cells(&["41", "app@shop", "Query", "10.0.0.2", "2881"])).expect("a session");
        assert_eq!(there.to_string(), "session 41 of app@shop on 10.0.0.2:2881");
        assert!(!there.idle);
        let here = session(cells(&["7", "app", "Sleep"])).expect("a session");
        assert_eq!(here.to_string(), "session 7 of app");
        assert!(here.idle);
        assert_eq!(session(vec![None]), None);
    }
}
