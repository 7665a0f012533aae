//! The guard: the small shell that starts a server and ends it when this process is gone.
//!
//! Statics are not dropped and SIGKILL runs nothing, so no code of ours can be relied on to stop a
//! server at the end. Instead each server is the child of a shell that does nothing but read orders
//! from a pipe. When our end of that pipe closes, for whatever reason, the shell ends the server and
//! removes its folder. It knows the server as its own child, so it never hits another process; and
//! both are in a process group of their own, so that Ctrl-C on the terminal does not reach them first.
//!
//! The other way round there is a second pipe that only the server's processes hold open: when it
//! closes, the last of them has ended.

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::account::Account;

/// `$1` the log, `$2` the folder to remove at the end, `$3` the signal that ends the server when its
/// owner is gone; then the server's command.
const SHELL: &str = r#"
log=$1 folder=$2 farewell=$3
shift 3
trap : HUP INT TERM
"$@" 3>&1 >>"$log" 2>&1 </dev/null &
server=$!
exec >&-
while read -r order; do
  case $order in
    ended) wait "$server"; server= ;;
    released) exit 0 ;;
    *) [ -z "$server" ] || kill -s "$order" "$server" ;;
  esac
done
if [ -n "$server" ]; then
  kill -s "$farewell" "$server"
  tries=0
  while kill -s 0 "$server" && [ "$tries" -lt 50 ]; do
    sleep 0.1
    tries=$((tries + 1))
  done
  kill -s KILL "$server"
fi
cd /
tries=0
until rm -rf "$folder" || [ "$tries" -ge 20 ]; do
  sleep 0.1
  tries=$((tries + 1))
done
"#;

/// Orders for the shell; none once it has been released.
type Orders = Arc<Mutex<Option<ChildStdin>>>;

/// A server and the shell that guards it. Dropping it ends the server and removes the folder.
#[derive(Debug)]
pub(crate) struct Guard {
    shell: Child,
    orders: Orders,
    ended: watch::Receiver<bool>,
}

/// What a guard starts.
pub(crate) struct Start<'a> {
    /// The server's program, its arguments and environment.
    pub(crate) server: &'a Command,
    /// Where the server says what it does.
    pub(crate) log: &'a Path,
    /// What is removed at the end.
    pub(crate) folder: &'a Path,
    /// The signal that ends the server when this process is gone: the rudest one that leaves nothing
    /// behind.
    pub(crate) farewell: &'a str,
    /// Whom guard and server run as.
    pub(crate) account: Account,
}

impl Guard {
    /// Starts a server under a new guard.
    pub(crate) fn start(start: &Start<'_>) -> std::io::Result<Self> {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", SHELL, "guard"]).arg(start.log).arg(start.folder).arg(start.farewell);
        shell.arg(start.server.get_program()).args(start.server.get_args());
        shell.env_clear();
        for (name, value) in start.server.get_envs() {
            if let Some(value) = value {
                shell.env(name, value);
            }
        }
        shell.current_dir(start.folder).process_group(0);
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        start.account.run(&mut shell);
        let mut shell = shell.spawn()?;
        let orders: Orders = Arc::new(Mutex::new(shell.stdin.take()));
        let alive = shell.stdout.take();
        let (sender, ended) = watch::channel(false);
        let watched = Arc::clone(&orders);
        std::thread::Builder::new().name("engine-watch".to_owned()).spawn(move || {
            if let Some(mut alive) = alive {
                let mut nothing = [0; 64];
                while alive.read(&mut nothing).is_ok_and(|length| length > 0) {}
            }
            // From here on the number of the process may be given to another: it must not be signalled.
            let _ = give(&watched, "ended");
            let _ = sender.send(true);
        })?;
        Ok(Self { shell, orders, ended })
    }

    /// Whether every process of the server has ended.
    pub(crate) fn has_ended(&self) -> bool {
        *self.ended.borrow()
    }

    /// Sends a signal to the server, by name: `TERM`.
    pub(crate) fn signal(&self, name: &str) -> std::io::Result<()> {
        give(&self.orders, name)
    }

    /// Waits until every process of the server has ended.
    pub(crate) async fn ended(&self) {
        // An error means that the watching thread is gone, which it is only after it saw the end.
        let _ = self.ended.clone().wait_for(|ended| *ended).await;
    }

    /// Lets go of a server that has ended, and leaves its folder alone. Its process is not only dead but
    /// collected afterwards: PostgreSQL refuses to start while the number in its lock file is in use,
    /// if only by a process that nobody has waited for.
    pub(crate) fn release(mut self) {
        let _ = give(&self.orders, "released");
        let _ = self.shell.wait();
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).take();
        let _ = self.shell.wait();
    }
}

fn give(orders: &Orders, order: &str) -> std::io::Result<()> {
    match orders.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
        Some(pipe) => pipe.write_all(format!("{order}\n").as_bytes()),
        None => Ok(()),
    }
}
