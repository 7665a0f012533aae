//! A pool's connection that goes back only when it is known to be in order, and that is watched while it is waited for.

use std::ops::{Deref, DerefMut};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use sqlx::Database;
use sqlx::pool::PoolConnection;

/// How long a statement may go without an answer before the server is asked through another connection whether it is
/// still at work on it. A pipeline says otherwise with `patience`.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How often in a row a session must be found waiting for us, who wait for it, before its answer counts as lost.
const FOUND_IDLE_AT_MOST: u32 = 2;

/// A connection on loan. Dropped without [`Lease::give_back`] (an error, a cancelled call, a row stream that was
/// left early) it is closed: nobody else meets its half-read answer or its open transaction.
pub(crate) struct Lease<DB: Database> {
    connection: Option<PoolConnection<DB>>,
    watch: Watch,
}

impl<DB: Database> Lease<DB> {
    pub(crate) fn new(connection: PoolConnection<DB>, watch: Watch) -> Self {
        Self { connection: Some(connection), watch }
    }

    /// What looks after statements on this connection.
    pub(crate) fn watch(&self) -> Watch {
        self.watch.clone()
    }

    /// The connection is outside any transaction and has been read to the end.
    pub(crate) fn give_back(mut self) {
        self.connection = None;
    }
}

const TAKEN: &str = "the connection is only taken by what consumes the lease";

impl<DB: Database> Deref for Lease<DB> {
    type Target = DB::Connection;

    fn deref(&self) -> &Self::Target {
        self.connection.as_ref().expect(TAKEN)
    }
}

impl<DB: Database> DerefMut for Lease<DB> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.connection.as_mut().expect(TAKEN)
    }
}

impl<DB: Database> Drop for Lease<DB> {
    fn drop(&mut self) {
        if let Some(connection) = &mut self.connection {
            connection.close_on_drop();
        }
    }
}

/// What a session does, seen from another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activity {
    /// It works, or nobody can tell: its answer is worth waiting for.
    Working,
    /// It waits for its client.
    Idle,
    /// There is no such session, or the server cannot be reached at all.
    Gone,
}

type Look = dyn Fn() -> BoxFuture<'static, Activity> + Send + Sync;
type End = dyn Fn() -> BoxFuture<'static, ()> + Send + Sync;

/// Looks after a statement whose answer does not come.
///
/// A connection can die without a word: a firewall forgets it, a cable is pulled, the server's machine stops. Who waits
/// for an answer on it would wait for ever, and a limit on time would end statements that rightly take long, such as
/// making an index. So after so much patience the server is asked, through a new connection, what the session does.
#[derive(Clone)]
pub(crate) struct Watch {
    patience: Duration,
    look: Arc<Look>,
    end: Option<Arc<End>>,
}

impl Watch {
    /// `look` asks the server about the session.
    pub(crate) fn new(
        patience: Duration,
        look: impl Fn() -> BoxFuture<'static, Activity> + Send + Sync + 'static,
    ) -> Self {
        Self { patience, look: Arc::new(look), end: None }
    }

    /// The same, with what ends the session: a server that has not noticed that its client is gone keeps the locks of
    /// an open transaction, and whoever tries again would wait for them.
    pub(crate) fn ending(self, end: impl Fn() -> BoxFuture<'static, ()> + Send + Sync + 'static) -> Self {
        Self { end: Some(Arc::new(end)), ..self }
    }

    /// Ends the session, as far as that can be done, because its connection is lost.
    pub(crate) async fn abandon(&self) {
        if let Some(end) = &self.end {
            end().await;
        }
    }

    /// What the statement returns, or that its connection is lost.
    pub(crate) async fn answered<T>(
        &self,
        statement: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, sqlx::Error> {
        let mut statement = pin!(statement);
        let mut found_idle = 0;
        loop {
            if let Ok(answer) = tokio::time::timeout(self.patience, &mut statement).await {
                return answer;
            }
            let activity = tokio::select! {
                biased;
                answer = &mut statement => return answer,
                activity = (self.look)() => activity,
            };
            match activity {
                Activity::Working => found_idle = 0,
                Activity::Idle => found_idle += 1,
                Activity::Gone => return Err(lost("the session is gone")),
            }
            if found_idle >= FOUND_IDLE_AT_MOST {
                self.abandon().await;
                return Err(lost("the session waits for its next statement"));
            }
        }
    }
}

/// Of a kind that stands for a connection that was there and broke.
fn lost(why: &str) -> sqlx::Error {
    let words = format!("no answer came, and {why}");
    sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::ConnectionAborted, words))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(found: Activity) -> Watch {
        Watch::new(Duration::from_millis(5), move || Box::pin(async move { found }))
    }

    async fn never() -> Result<(), sqlx::Error> {
        std::future::pending().await
    }

    async fn late() -> Result<u32, sqlx::Error> {
        tokio::time::sleep(Duration::from_millis(60)).await;
        Ok(7)
    }

    #[tokio::test]
    async fn a_session_that_works_is_waited_for() {
        assert_eq!(watch(Activity::Working).answered(late()).await.expect("it answers at last"), 7);
    }

    #[tokio::test]
    async fn a_session_that_is_gone_or_waits_for_us_is_lost() {
        for found in [Activity::Gone, Activity::Idle] {
            let error = watch(found).answered(never()).await.expect_err("nothing comes any more");
            assert!(crate::error::is_disconnect(&error), "{error}");
        }
    }
}
