//! From a driver's error to a [`Failure`]: a stable code, the database's name and address, the server's words.
//!
//! Connection strings never pass through here; a driver's error that could quote one is replaced by its kind.

use std::fmt;

use millrace_model::{Failure, Fault};
use sqlx::mysql::MySqlDatabaseError;
use sqlx::postgres::PgDatabaseError;

/// Which database, for messages: its key in `[databases]` and its address.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The key in `[databases]`.
    pub(crate) name: String,
    /// `host:port`, or a socket's path.
    pub(crate) address: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` at {}", self.name, self.address)
    }
}

impl Place {
    /// What went wrong while Millrace was `doing` something ("read public.orders").
    pub(crate) fn failure(&self, doing: &str, error: &sqlx::Error) -> Failure {
        let failure = match error {
            sqlx::Error::Database(database) => {
                if let Some(error) = database.try_downcast_ref::<PgDatabaseError>() {
                    self.postgres(doing, error)
                } else if let Some(error) = database.try_downcast_ref::<MySqlDatabaseError>() {
                    self.mysql(doing, error)
                } else {
                    self.said(Fault::Data, "database.statement-failed", doing, database.message())
                }
            }
            sqlx::Error::Io(cause) if is_connecting(cause) => {
                self.said(Fault::Transient, "database.unreachable", doing, &cause.to_string())
            }
            sqlx::Error::Io(cause) if cause.kind() == std::io::ErrorKind::InvalidData => self.handshake(doing, cause),
            sqlx::Error::Io(cause) => {
                self.said(Fault::Transient, "database.connection-lost", doing, &cause.to_string())
            }
            sqlx::Error::PoolTimedOut => {
                self.said(Fault::Transient, "database.unreachable", doing, "no connection became free in time")
            }
            sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
                self.said(Fault::Transient, "database.connection-lost", doing, "the connections were closed")
            }
            sqlx::Error::Tls(cause) => self.tls(doing, &cause.to_string()),
            sqlx::Error::Protocol(words) => self.said(Fault::Transient, "database.connection-lost", doing, words),
            sqlx::Error::Configuration(_) => {
                self.said(Fault::Config, "database.bad-url", doing, "its url is not one that the driver understands")
            }
            other => self.said(Fault::Internal, "database.statement-failed", doing, &other.to_string()),
        };
        failure.with("database", self.name.clone())
    }

    /// What TLS itself refuses comes as bytes that cannot be understood.
    fn handshake(&self, doing: &str, cause: &std::io::Error) -> Failure {
        let words = cause.to_string();
        let code = match words.contains("certificate") {
            true => "database.certificate-refused",
            false => "database.tls-failed",
        };
        self.said(Fault::Config, code, doing, &words)
    }

    fn tls(&self, doing: &str, words: &str) -> Failure {
        if words.contains("does not support TLS") {
            self.said(Fault::Config, "database.no-tls", doing, "the server offers no TLS")
        } else if words.starts_with("Invalid certificate") {
            // The driver goes on with the file that it was given.
            self.said(
                Fault::Config,
                "database.ca-unreadable",
                doing,
                "a certificate that is to be trusted is malformed",
            )
        } else {
            self.said(Fault::Config, "database.tls-failed", doing, words)
        }
    }

    fn postgres(&self, doing: &str, error: &PgDatabaseError) -> Failure {
        let state = error.code();
        let (fault, code) = match state {
            "28P01" | "28000" => (Fault::Config, "database.wrong-password"),
            "3D000" => (Fault::Config, "database.unknown-database"),
            "42501" => (Fault::Config, "database.missing-privilege"),
            "42P01" => (Fault::Data, "database.table-missing"),
            "57014" | "55P03" | "25P03" | "25P04" => (Fault::Transient, "database.timeout"),
            "57P01" | "57P02" | "57P03" | "57P05" => (Fault::Transient, "database.connection-lost"),
            "40001" | "40P01" => (Fault::Transient, "database.statement-failed"),
            _ if state.starts_with("08") => (Fault::Transient, "database.connection-lost"),
            _ if state.starts_with("53") => (Fault::Transient, "database.statement-failed"),
            _ => (Fault::Data, "database.statement-failed"),
        };
        let mut words = error.message().to_owned();
        for more in [error.detail(), error.hint()].into_iter().flatten() {
            words.push_str("; ");
            words.push_str(more);
        }
        self.said(fault, code, doing, &words).with("sqlstate", state)
    }

    fn mysql(&self, doing: &str, error: &MySqlDatabaseError) -> Failure {
        let number = error.number();
        let (fault, code) = match number {
            1045 | 1698 => (Fault::Config, "database.wrong-password"),
            1049 => (Fault::Config, "database.unknown-database"),
            1044 | 1142 | 1143 | 1227 | 1370 | 1410 => (Fault::Config, "database.missing-privilege"),
            1205 | 1317 | 1969 | 3024 | 4012 | 6210 | 6212 => (Fault::Transient, "database.timeout"),
            1053 | 1080 | 1152 | 1158..=1161 | 1184 | 1927 | 2006 | 2013 | 3169 => {
                (Fault::Transient, "database.connection-lost")
            }
            1040 | 1203 => (Fault::Transient, "database.unreachable"),
            4013 | 4030 => (Fault::Transient, "database.throttled"),
            1146 => (Fault::Data, "database.table-missing"),
            1118 => (Fault::Unsupported, "database.row-too-wide"),
            number if is_transient(number) => (Fault::Transient, "database.statement-failed"),
            _ => (Fault::Data, "database.statement-failed"),
        };
        let failure = self.said(fault, code, doing, error.message()).with("errno", number.to_string());
        match error.code() {
            Some(state) => failure.with("sqlstate", state),
            None => failure,
        }
    }

    /// A failure of this database in its own words.
    pub(crate) fn said(&self, fault: Fault, code: &str, doing: &str, words: &str) -> Failure {
        Failure::new(fault, code, format!("could not {doing} in database {self}: {words}"))
            .with("database", self.name.clone())
    }
}

fn is_connecting(cause: &std::io::Error) -> bool {
    use std::io::ErrorKind as Kind;
    matches!(
        cause.kind(),
        Kind::ConnectionRefused
            | Kind::AddrNotAvailable
            | Kind::NotFound
            | Kind::HostUnreachable
            | Kind::NetworkUnreachable
            | Kind::TimedOut
    ) || cause.raw_os_error().is_none() && cause.to_string().contains("lookup address")
}

/// MySQL's deadlock, and OceanBase's own numbers for what passes by itself: not the leader (4038), a leader that moves
/// (4023, 6002), an instant that it no longer keeps (4138), a schema that has just changed (5627), a transaction that must be
/// rolled back (6224, 6225).
fn is_transient(number: u16) -> bool {
    matches!(number, 1213 | 4023 | 4038 | 4138 | 5627 | 6002 | 6224 | 6225)
}

/// Whether the target said that it is short of memory or time: the writer should slow down.
pub(crate) fn is_throttling(error: &sqlx::Error) -> bool {
    mysql_number(error).is_some_and(|n| matches!(n, 1205 | 4012 | 4013 | 4030))
}

/// Whether one row is to blame, so that the statement's other rows can be written without it.
pub(crate) fn is_row_error(error: &sqlx::Error) -> bool {
    // 1022, 1062, 1586 duplicate keys; 1048, 1263, 1364 nulls; 1216, 1452 foreign keys; 1264, 1690, 1367, 1292,
    // 1366, 1411 values; 1265 truncated; 1406, 1118, 1071 too long; 3140, 3141, 3143 JSON; 3819, 4025 checks;
    // 5025, 5167 OceanBase's row and value too long; 1526 no partition; 3854, 5115… vectors.
    mysql_number(error).is_some_and(|n| {
        matches!(
            n,
            1022 | 1048 | 1062 | 1071 | 1118 | 1216 | 1263..=1265 | 1292 | 1364 | 1366 | 1367 | 1406
                | 1411 | 1416 | 1452 | 1526 | 1586 | 1690 | 3140 | 3141 | 3143 | 3156 | 3819 | 3903
                | 4025 | 4026 | 4027 | 5025 | 5039 | 5115 | 5167 | 7600..=7610
        )
    })
}

/// MySQL's error number, of an error of its server.
pub(crate) fn mysql_number(error: &sqlx::Error) -> Option<u16> {
    error.as_database_error().and_then(|e| e.try_downcast_ref::<MySqlDatabaseError>()).map(MySqlDatabaseError::number)
}

/// Whether the connection is gone, so that nobody knows what became of the last statement.
pub(crate) fn is_disconnect(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => true,
        other => mysql_number(other)
            .is_some_and(|n| matches!(n, 1053 | 1080 | 1152 | 1158..=1161 | 1184 | 1927 | 2006 | 2013)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_database_and_its_address() {
        let place = Place { name: "source".into(), address: "db:5432".into() };
        let failure = place.failure("read public.orders", &sqlx::Error::PoolTimedOut);
        assert_eq!(failure.code, "database.unreachable");
        assert_eq!(
            failure.message,
            "could not read public.orders in database `source` at db:5432: no connection became free in time"
        );
        assert_eq!(failure.field("database"), Some("source"));
    }
}
