//! Two relays before one server, which together answer as two nodes of a cluster do.
//!
//! The kernel that tests have is one server by design. What a cluster is different in is put on here: each relay is a
//! node; the session of a client is on the node through which it came; a node's own process list holds its own
//! sessions, `GV$OB_PROCESSLIST` those of both, each with its node's address; and a node ends only its own sessions.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use anyhow::{Context as _, Result};

use crate::Proxy;

/// What is unusual about a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing: clients connect to its nodes.
    Direct,
    /// The second node ends no session, whoever asks.
    Stubborn,
    /// Clients connect to a proxy, whose own sessions on the nodes have other numbers.
    BehindProxy,
    /// It does not tell the sessions of all nodes.
    Silent,
}

/// A number that no session has.
const NOBODY: u32 = u32::MAX;

struct Inner {
    kind: Kind,
    nodes: OnceLock<[Proxy; 2]>,
}

/// The two nodes.
#[derive(Clone)]
pub struct Cluster {
    inner: Arc<Inner>,
}

impl Cluster {
    /// Before the server of this URL.
    ///
    /// # Errors
    /// When no port is free, or the URL names no host and port.
    pub async fn start(url: &str, kind: Kind) -> Result<Self> {
        let inner = Arc::new(Inner { kind, nodes: OnceLock::new() });
        let node = async |number: usize| {
            let inner = Arc::downgrade(&inner);
            Proxy::rewriting(url, Box::new(move |text| inner.upgrade()?.rewritten(number, text))).await
        };
        let nodes = [node(0).await?, node(1).await?];
        inner.nodes.set(nodes).ok().context("nodes are started once")?;
        Ok(Self { inner })
    }

    /// The URL that leads to the first node.
    ///
    /// # Errors
    /// When the URL names no host and port.
    pub fn first(&self, url: &str) -> Result<String> {
        self.node(0)?.url(url)
    }

    /// The URL that leads to the second node.
    ///
    /// # Errors
    /// When the URL names no host and port.
    pub fn second(&self, url: &str) -> Result<String> {
        self.node(1)?.url(url)
    }

    /// The relay that is a node, `0` or `1`.
    ///
    /// # Errors
    /// When there is no such node.
    pub fn node(&self, number: usize) -> Result<&Proxy> {
        self.inner.nodes.get().and_then(|nodes| nodes.get(number)).context("a cluster has two nodes")
    }
}

impl Inner {
    /// What the server is told instead of what a client has said to a node.
    fn rewritten(&self, number: usize, text: &str) -> Option<String> {
        const EVERYWHERE: &str = "oceanbase.GV$OB_PROCESSLIST";
        const HERE: &str = "information_schema.PROCESSLIST AS p";
        let nodes = self.nodes.get()?;
        let others = nodes[1 - number].sessions();
        let here = format!("(SELECT * FROM information_schema.PROCESSLIST WHERE ID NOT IN ({}))", list(&others));
        if let Some(session) = text.trim().strip_prefix("KILL ") {
            let session = session.trim_start_matches("QUERY ").trim().parse().unwrap_or(NOBODY);
            let knows = nodes[number].sessions().contains(&session);
            let ends = knows && !(self.kind == Kind::Stubborn && number == 1);
            return (!ends).then(|| format!("KILL {NOBODY}"));
        }
        let mut instead = text.to_owned();
        if text.contains(EVERYWHERE) && self.kind != Kind::Silent {
            instead = instead.replace(EVERYWHERE, &self.everywhere(nodes));
        }
        if text.trim().eq_ignore_ascii_case("SHOW FULL PROCESSLIST") {
            instead = format!("SELECT ID, USER, HOST, DB, COMMAND, TIME, STATE, INFO FROM {here} AS p");
        }
        instead = instead.replace(HERE, &format!("{here} AS p"));
        instead = instead.replace("@@hostname", &format!("'node-{}'", number + 1));
        if self.kind == Kind::Silent {
            // Told from the kernel that is one server by what it calls itself.
            instead = if text.starts_with("SHOW VARIABLES") {
                "SELECT VARIABLE_NAME, REPLACE(VARIABLE_VALUE, 'seekdb', 'cluster') \
                 FROM information_schema.SESSION_VARIABLES WHERE VARIABLE_NAME IN ('version', 'version_comment', \
                 'ob_compatibility_mode', 'lower_case_table_names', 'max_allowed_packet', 'read_only', 'super_read_only')"
                    .to_owned()
            } else {
                instead
            };
        }
        (instead != text).then_some(instead)
    }

    /// The process list of both nodes, as a table.
    fn everywhere(&self, nodes: &[Proxy; 2]) -> String {
        let [first, second] = nodes;
        let (number, proxy) = match self.kind {
            Kind::BehindProxy => ("ID + 1000000", "ID"),
            _ => ("ID", "NULL"),
        };
        format!(
            "(SELECT '127.0.0.1' AS SVR_IP, 2882 AS SVR_PORT, IF(ID IN ({}), {}, {}) AS SQL_PORT, {number} AS ID, USER, \
             HOST, DB, COMMAND, TIME, STATE, INFO, {proxy} AS PROXY_SESSID FROM oceanbase.V$OB_PROCESSLIST)",
            list(&second.sessions()),
            second.port(),
            first.port(),
        )
    }
}

fn list(sessions: &BTreeSet<u32>) -> String {
    let numbers: Vec<String> = sessions.iter().chain([&NOBODY]).map(ToString::to_string).collect();
    numbers.join(", ")
}
