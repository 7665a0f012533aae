//! A pool's connection that goes back only when it is known to be in order.

use std::ops::{Deref, DerefMut};

use sqlx::Database;
use sqlx::pool::PoolConnection;

/// A connection on loan. Dropped without [`Lease::give_back`] (an error, a cancelled call, a row stream that was
/// left early) it is closed: nobody else meets its half-read answer or its open transaction.
pub(crate) struct Lease<DB: Database> {
    connection: Option<PoolConnection<DB>>,
}

impl<DB: Database> Lease<DB> {
    pub(crate) fn new(connection: PoolConnection<DB>) -> Self {
        Self { connection: Some(connection) }
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
