//! The ordinary user that engines run as.
//!
//! PostgreSQL refuses to run as root, and a server that tests feed with hostile input should not be
//! root either. As an ordinary user we run engines as ourselves; as root, as `nobody`.

use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::Error;

/// Whom engines run as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Account {
    /// Ourselves: we are not root.
    Ourselves,
    /// Somebody else, because we are root.
    Other {
        /// The user's number.
        user: u32,
        /// The group's number.
        group: u32,
    },
}

impl Account {
    /// The account for this process.
    pub(crate) fn choose() -> Result<Self, Error> {
        if own_user()? != 0 {
            return Ok(Self::Ourselves);
        }
        let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        ["nobody", "postgres"].iter().find_map(|name| find(&accounts, name)).ok_or(Error::NoAccount)
    }

    /// Makes a command run as this account.
    pub(crate) fn run(self, command: &mut Command) {
        if let Self::Other { user, group } = self {
            command.uid(user).gid(group);
        }
    }

    /// Makes a file or folder this account's own.
    pub(crate) fn own(self, path: &Path) -> Result<(), Error> {
        match self {
            Self::Ourselves => Ok(()),
            Self::Other { user, group } => chown(path, Some(user), Some(group))
                .map_err(Error::system(|| format!("give {} to user {user}", path.display()))),
        }
    }

    /// Whether this account can pass through every folder on the way to `path`, and through `path`
    /// itself as far as it exists. Root's home is 0700 nearly everywhere, so a cache in it is useless
    /// to engines.
    pub(crate) fn can_reach(self, path: &Path) -> bool {
        if self == Self::Ourselves {
            return true;
        }
        let Some(existing) = path.ancestors().find(|folder| folder.exists()) else {
            return false;
        };
        let Ok(existing) = existing.canonicalize() else {
            return false;
        };
        existing.ancestors().all(|folder| folder.metadata().is_ok_and(|facts| facts.mode() & 0o001 != 0))
    }
}

/// The number of the user that this process runs as: the owner of a file that it makes.
pub(crate) fn own_user() -> Result<u32, Error> {
    let probe = tempfile::tempdir().map_err(Error::system(|| "create a temporary folder".to_owned()))?;
    let facts = probe.path().metadata().map_err(Error::system(|| "look at a temporary folder".to_owned()))?;
    Ok(facts.uid())
}

fn find(accounts: &str, name: &str) -> Option<Account> {
    accounts.lines().find_map(|line| {
        let mut parts = line.split(':');
        if parts.next()? != name {
            return None;
        }
        let user = parts.nth(1)?.parse().ok()?;
        let group = parts.next()?.parse().ok()?;
        (user != 0).then_some(Account::Other { user, group })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_its_whole_name_and_never_is_root() {
        let accounts = "root:x:0:0::/root:/bin/sh\nnobody2:x:7:7::/:/bin/false\nnobody:x:65534:65533:n:/:/bin/false\n";
        assert_eq!(find(accounts, "nobody"), Some(Account::Other { user: 65534, group: 65533 }));
        assert_eq!(find(accounts, "root"), None);
        assert_eq!(find(accounts, "postgres"), None);
    }

    #[test]
    fn a_closed_folder_on_the_way_is_noticed() {
        use std::os::unix::fs::PermissionsExt;
        let other = Account::Other { user: 65534, group: 65534 };
        let outer = tempfile::tempdir_in("/tmp").unwrap();
        let inner = outer.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        std::fs::set_permissions(&inner, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::set_permissions(outer.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        assert!(!other.can_reach(&inner));
        std::fs::set_permissions(outer.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
        assert!(other.can_reach(&inner));
        assert!(other.can_reach(&inner.join("not/there/yet")));
        assert!(Account::Ourselves.can_reach(&inner));
    }
}
