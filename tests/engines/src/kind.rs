//! The kinds of engine.

use std::fmt;

/// A database server that this crate can start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// PostgreSQL 18, with pgvector.
    Postgres18,
    /// PostgreSQL 16, with pgvector.
    Postgres16,
    /// OceanBase's own kernel, in MySQL mode.
    OceanBase,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Postgres18, Self::Postgres16, Self::OceanBase];

    /// Whether it speaks PostgreSQL's protocol; otherwise MySQL's.
    pub fn is_postgres(self) -> bool {
        !matches!(self, Self::OceanBase)
    }

    /// The user that owns everything.
    pub fn superuser(self) -> &'static str {
        if self.is_postgres() { "postgres" } else { "root" }
    }

    /// A name for folders: lower case, no blanks.
    pub fn slug(self) -> &'static str {
        match self {
            Self::Postgres18 => "postgres18",
            Self::Postgres16 => "postgres16",
            Self::OceanBase => "oceanbase",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Postgres18 => "PostgreSQL 18",
            Self::Postgres16 => "PostgreSQL 16",
            Self::OceanBase => "OceanBase",
        })
    }
}
