//! The command as a user runs it: a process with a folder of its own for its state.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use millrace_test_engines::Database;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::task::JoinHandle;

/// How long one command may take in a test.
const LIMIT: Duration = Duration::from_secs(180);

/// The command with a fresh state folder and two databases.
#[derive(Debug)]
pub struct Millrace {
    program: PathBuf,
    folder: TempDir,
    environment: BTreeMap<String, String>,
}

impl Millrace {
    /// With the program at this path and no databases.
    ///
    /// # Panics
    /// When a temporary folder cannot be made.
    #[must_use]
    pub fn new(program: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let program = PathBuf::from(program);
        let millrace = Self { program, folder, environment: BTreeMap::new() };
        millrace.share_compiled_plugins();
        millrace
    }

    /// A state folder is fresh, but what the first-party plugins compile to is the same for all of them.
    fn share_compiled_plugins(&self) {
        let Some(target) = self.program.parent().and_then(Path::parent) else { return };
        let shared = target.join("tmp/compiled-plugins");
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&shared).expect("a folder in the target folder");
        fs::create_dir(self.state()).expect("a folder in a fresh folder");
        symlink(&shared, self.state().join("plugins")).expect("a link in a fresh folder");
    }

    /// From this source to this target.
    #[must_use]
    pub fn between(self, source: &Database, target: &Database) -> Self {
        self.with("MILLRACE_SOURCE_URL", &source.url).with("MILLRACE_TARGET_URL", &target.url)
    }

    /// With this environment variable.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The folder of this command's files; it goes with it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The folder of its state.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Writes a file into the folder and gives its path.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).expect("a folder in our own folder");
        }
        fs::write(&path, text).expect("a file in our own folder");
        path.to_str().expect("a temporary path is UTF-8").to_owned()
    }

    /// Runs the command to its end.
    ///
    /// # Errors
    /// When it cannot be started, or takes too long.
    pub async fn run(&self, arguments: &[&str]) -> Result<Outcome> {
        self.spawn(arguments)?.finish().await
    }

    /// Runs the command through a shell that says something first, such as `ulimit -f 100`.
    ///
    /// # Errors
    /// When it cannot be started, or takes too long.
    pub async fn run_after_saying(&self, shell: &str, arguments: &[&str]) -> Result<Outcome> {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{shell}; exec \"$@\""), "sh"]).arg(&self.program);
        self.start(command, arguments, &[])?.finish().await
    }

    /// Starts the command.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(&self, arguments: &[&str]) -> Result<Running> {
        self.spawn_with(arguments, &[])
    }

    /// [`Millrace::spawn`], with more environment variables for this once.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Result<Running> {
        self.start(Command::new(&self.program), arguments, environment)
    }

    fn start(&self, mut command: Command, arguments: &[&str], environment: &[(&str, &str)]) -> Result<Running> {
        let mut child = command
            .args(arguments)
            .envs(&self.environment)
            .envs(environment.iter().copied())
            .env("MILLRACE_STATE", self.state())
            .env_remove("MILLRACE_LOG")
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} could not be started", self.program.display()))?;
        let stdout = child.stdout.take().context("the command's output is piped")?;
        let stderr = child.stderr.take().context("the command's errors are piped")?;
        Ok(Running {
            child,
            stdout: tokio::spawn(read_all(stdout)),
            stderr: Some(BufReader::new(stderr)),
            said: String::new(),
            line: format!("millrace {}", arguments.join(" ")),
        })
    }
}

async fn read_all(mut stdout: ChildStdout) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    stdout.read_to_end(&mut bytes).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A command that runs.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: JoinHandle<std::io::Result<String>>,
    /// None: nobody reads it any more.
    stderr: Option<BufReader<ChildStderr>>,
    said: String,
    line: String,
}

impl Running {
    /// Waits for a line on standard error that contains this text, and gives it.
    ///
    /// # Errors
    /// When the command ends without saying it, or takes too long.
    pub async fn says(&mut self, text: &str) -> Result<String> {
        let waiting = async {
            loop {
                let mut line = String::new();
                let stderr = self.stderr.as_mut().context("nobody reads its errors any more")?;
                if stderr.read_line(&mut line).await? == 0 {
                    bail!("`{}` ended and never said {text:?}; it said:\n{}", self.line, self.said);
                }
                self.said.push_str(&line);
                if line.contains(text) {
                    return Ok(line.trim_end().to_owned());
                }
            }
        };
        match tokio::time::timeout(LIMIT, waiting).await {
            Ok(line) => line,
            Err(_) => bail!("a command did not say {text:?} within {LIMIT:?}"),
        }
    }

    /// Reads its errors no further, as a log collector that has died.
    pub fn stop_reading_errors(&mut self) {
        self.stderr = None;
    }

    /// Its process's number. None: it has ended.
    #[must_use]
    pub fn process(&self) -> Option<u32> {
        self.child.id()
    }

    /// Ends it by SIGKILL, as a power cut would.
    ///
    /// # Errors
    /// When it cannot be signalled.
    pub async fn kill(mut self) -> Result<()> {
        self.child.kill().await.context("a command could not be killed")
    }

    /// [`Running::kill`], and whether there was anything to kill: no, when it has ended by itself.
    ///
    /// # Errors
    /// When it cannot be signalled.
    pub async fn kill_unless_ended(mut self) -> Result<bool> {
        let ended = self.child.try_wait().context("a command could not be looked at")?.is_some();
        self.kill().await?;
        Ok(!ended)
    }

    /// Sends it what Ctrl-C sends.
    ///
    /// # Errors
    /// When it cannot be signalled.
    pub async fn interrupt(&self) -> Result<()> {
        let process = self.child.id().context("the command has ended")?;
        let status = Command::new("kill").args(["-s", "INT", &process.to_string()]).status().await?;
        ensure!(status.success(), "the command could not be interrupted");
        Ok(())
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it takes too long.
    pub async fn finish(mut self) -> Result<Outcome> {
        let Ok(status) = tokio::time::timeout(LIMIT, self.ending()).await else {
            bail!("`{}` took more than {LIMIT:?}; it said:\n{}", self.line, clipped(&self.said));
        };
        let (status, stdout) = (status?, self.stdout.await??);
        Ok(Outcome { line: self.line, code: status.code(), stdout, stderr: self.said })
    }

    /// Reads its errors to their end, and waits for its own.
    async fn ending(&mut self) -> Result<ExitStatus> {
        while let Some(stderr) = &mut self.stderr {
            let mut line = Vec::new();
            if stderr.read_until(b'\n', &mut line).await? == 0 {
                break;
            }
            self.said.push_str(&String::from_utf8_lossy(&line));
        }
        Ok(self.child.wait().await?)
    }
}

/// How a command ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was typed.
    pub line: String,
    /// The exit code. None: a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it said besides.
    pub stderr: String,
}

impl Outcome {
    /// Demands this exit code.
    ///
    /// # Errors
    /// When it is another, with all that the command said.
    pub fn expect(self, code: i32) -> Result<Self> {
        ensure!(self.code == Some(code), "expected exit code {code}\n{self}");
        Ok(self)
    }

    /// Fails where the command printed this text anywhere.
    ///
    /// # Errors
    /// When it did, with the outcome.
    pub fn never_says(self, text: &str) -> Result<Self> {
        ensure!(!self.stdout.contains(text) && !self.stderr.contains(text), "it said {text:?}\n{self}");
        Ok(self)
    }

    /// Demands that it said this, on either output.
    ///
    /// # Errors
    /// When it did not, with all that it did say.
    pub fn says(self, text: &str) -> Result<Self> {
        ensure!(self.stdout.contains(text) || self.stderr.contains(text), "expected to read {text:?}\n{self}");
        Ok(self)
    }

    /// What it printed, as JSON.
    ///
    /// # Errors
    /// When it is not.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.stdout).with_context(|| format!("expected JSON\n{self}"))
    }

    /// The code of the failure that a command with `--json` printed: of a failure, of the first thing that is wrong
    /// with a pipeline, or of the first problem of a check. None: there is none.
    ///
    /// # Errors
    /// When it printed no JSON.
    pub fn failure(&self) -> Result<Option<String>> {
        let json = self.json()?;
        let code = ["/error/code", "/failure/code", "/diagnostics/0/code", "/problems/0/code"]
            .iter()
            .find_map(|path| json.pointer(path))
            .and_then(Value::as_str);
        Ok(code.map(str::to_owned))
    }

    /// Demands a failure with this code, from a command with `--json`.
    ///
    /// # Errors
    /// When there is none, or another one.
    pub fn fails_with(self, code: &str) -> Result<Self> {
        let found = self.failure()?;
        ensure!(found.as_deref() == Some(code), "expected a failure {code}\n{self}");
        Ok(self)
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let code = self.code.map_or_else(|| "a signal".to_owned(), |code| code.to_string());
        writeln!(f, "$ {}\n{}{}", self.line, clipped(&self.stdout), clipped(&self.stderr))?;
        write!(f, "exit code: {code}")
    }
}

/// Both ends of a long text.
fn clipped(text: &str) -> String {
    const ENDS: usize = 4000;
    let characters = text.chars().count();
    if characters <= 2 * ENDS {
        return text.to_owned();
    }
    let first: String = text.chars().take(ENDS).collect();
    let last: String = text.chars().skip(characters - ENDS).collect();
    format!("{first}\n…\n{last}")
}
