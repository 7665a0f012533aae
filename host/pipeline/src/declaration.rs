//! A pipeline as it was declared, in types in which nothing invalid can be written.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use millrace_model::stage::StageKind;
use millrace_model::{RejectValues, Tls};
use secrecy::SecretString;
use serde::{Serialize, Serializer};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::tables::{ColumnPattern, TableSelection};

/// A declared pipeline. Serialised without secrets.
#[derive(Clone, Debug, Serialize)]
pub struct Pipeline {
    /// Names the pipeline in runs, in reports, and in the bookkeeping of the target: what it owns there is
    /// found by this name.
    pub name: String,
    /// Both databases.
    pub databases: Databases,
    /// What is migrated.
    pub tables: TableSelection,
    /// In their order. Whether that order makes sense says [`Pipeline::check_stages`].
    pub stages: Vec<Stage>,
    #[serde(skip)]
    pub(crate) text: String,
}

impl Pipeline {
    /// The text that was parsed. It holds no secret: a password that stands in it is refused.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// SHA-256 of the text, in hexadecimal: two pipelines with the same digest declare the same. Secrets are
    /// not in it, since they are not in the text.
    pub fn digest(&self) -> String {
        hexadecimal(&Sha256::digest(self.text.as_bytes()))
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Which of the two databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DatabaseName {
    /// Where the rows come from.
    Source,
    /// Where they go.
    Target,
}

impl DatabaseName {
    /// As it is written in a pipeline.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Target => "target",
        }
    }
}

impl fmt::Display for DatabaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Both databases.
#[derive(Clone, Debug, Serialize)]
pub struct Databases {
    /// Where the rows come from.
    pub source: DatabaseDeclaration,
    /// Where they go.
    pub target: DatabaseDeclaration,
}

impl Databases {
    /// One of them.
    pub fn get(&self, name: DatabaseName) -> &DatabaseDeclaration {
        match name {
            DatabaseName::Source => &self.source,
            DatabaseName::Target => &self.target,
        }
    }
}

/// One database.
#[derive(Clone, Debug, Default, Serialize)]
pub struct DatabaseDeclaration {
    /// With its variables replaced. None: the database is not reached, plans are made from model files.
    #[serde(skip)]
    pub url: Option<SecretString>,
    /// The URL as it is written, for people: its secrets are variables.
    #[serde(rename = "url")]
    pub template: Option<String>,
    /// `postgres`, `oceanbase`, `mysql` or `mariadb`. None: the server says it, or the model's document.
    pub dialect: Option<String>,
    /// How long a statement may go unanswered before the server is asked, through another connection, whether it is
    /// still at work on it. None: 30 s.
    #[serde(serialize_with = "as_optional_milliseconds", rename = "patience_ms")]
    pub patience: Option<Duration>,
    /// What is asked of its connections. None: what its URL says, or TLS on the way to another machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Of `tls = "verify"`: a file of certificates that are trusted besides the system's, relative to the pipeline's
    /// folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
}

/// One stage.
#[derive(Clone, Debug, Serialize)]
pub struct Stage {
    /// What carries it out.
    pub plugin: PluginReference,
    /// Of a model source: whose model it reads.
    pub database: Option<DatabaseName>,
    /// Of a model source: the document it reads, relative to the pipeline's folder.
    pub file: Option<PathBuf>,
    /// Of a converter: the only columns that it is offered. Empty: all.
    pub columns: Vec<ColumnPattern>,
    /// What the plugin is configured with; always an object.
    pub config: Value,
    /// Of a copier: where the rows of a table that is rebuilt come from. From the target, that is from the table that is
    /// replaced, only those whose every column can be carried over there; all other tables come from the source.
    pub from: DatabaseName,
    /// Of a copier: bytes of rows in memory at once.
    #[serde(rename = "memory_bytes")]
    pub memory: u64,
    /// Of a copier: rows read a second, over all workers, at most. None: as many as can be.
    pub rows_per_second: Option<u64>,
    /// Of a copier: what becomes of rows that cannot be copied.
    pub rejects: Rejects,
    /// Of a switcher: whether the run waits for an approval before anything of the switch begins.
    pub approve: bool,
    /// Of a switcher: what stops the applications before names are swapped.
    pub before: Option<Hook>,
    /// Of a switcher: what starts them again.
    pub after: Option<Hook>,
    /// Of a switcher: what decides between staying and going back.
    pub health: Option<Health>,
    /// How often the stage's work is tried again after a transient failure, such as a lost connection.
    pub retries: u32,
    /// What becomes of the run when the stage fails for good. None: what its kind says,
    /// [`OnFailure::of_kind`].
    pub on_failure: Option<OnFailure>,
    /// Of a switcher: how writers are kept off, and for how long.
    pub cutover: Cutover,
    /// Of a cleaner: the folder to which tables are written before they are removed, relative to the pipeline's.
    /// None: they are removed without.
    pub archive: Option<PathBuf>,
    #[serde(skip)]
    pub(crate) places: Places,
}

/// How often a stage's work is tried again where the pipeline does not say.
pub const DEFAULT_RETRIES: u32 = 3;

/// What becomes of a run when one of its stages fails for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// It stops where it is: shadows are kept, and `resume` continues it.
    Stop,
    /// What applications see of it is undone, the last first.
    Rollback,
    /// It goes on as if the stage had succeeded.
    Continue,
}

impl OnFailure {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Stop, Self::Rollback, Self::Continue];

    /// As it is written in a pipeline.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Rollback => "rollback",
            Self::Continue => "continue",
        }
    }

    /// What is done where the pipeline does not say: a switch that failed is taken back, what could not be cleaned
    /// stays for the next time, and anything else stops the run.
    pub fn of_kind(kind: StageKind) -> Self {
        match kind {
            StageKind::Switcher => Self::Rollback,
            StageKind::Cleaner => Self::Continue,
            _ => Self::Stop,
        }
    }

    /// What a stage of this kind may be told. Before rows are copied there is nothing to roll back; and a run goes on
    /// only without what loses nothing.
    pub fn allowed_for(kind: StageKind) -> &'static [Self] {
        match kind {
            StageKind::ModelSource | StageKind::Differ | StageKind::Converter => &[Self::Stop],
            StageKind::Copier | StageKind::Validator | StageKind::Switcher => &[Self::Stop, Self::Rollback],
            StageKind::Cleaner => &[Self::Stop, Self::Continue],
        }
    }
}

impl fmt::Display for OnFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What carries a stage out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum PluginReference {
    /// A first-party plugin, by name.
    Builtin(String),
    /// Anyone's component.
    File {
        /// Relative to the pipeline's folder.
        path: PathBuf,
        /// What its content must hash to. None: it was not written, which [`Pipeline::check_digest`] refuses.
        sha256: Option<ContentDigest>,
    },
}

impl fmt::Display for PluginReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Builtin(name) => f.write_str(name),
            Self::File { path, .. } => path.display().fmt(f),
        }
    }
}

/// A SHA-256 digest: 64 hexadecimal digits, lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ContentDigest(String);

impl ContentDigest {
    /// The digest of a content.
    pub fn of(content: &[u8]) -> Self {
        Self(hexadecimal(&Sha256::digest(content)))
    }

    /// Reads 64 hexadecimal digits of any case. None: it is something else.
    pub fn parse(text: &str) -> Option<Self> {
        let is_digest = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
        is_digest.then(|| Self(text.to_ascii_lowercase()))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for ContentDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// What becomes of rows that cannot be converted or inserted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Rejects {
    /// Whether they are kept in quarantine, with the reason and the values; otherwise they are only counted.
    pub keep: bool,
    /// The share of a table's rows, from 0 to 1, past which the run stops.
    pub at_most: f64,
    /// What is kept of their values.
    pub values: RejectValues,
}

impl Default for Rejects {
    /// Kept with their values, and none is tolerated.
    fn default() -> Self {
        Self { keep: true, at_most: 0.0, values: RejectValues::Keep }
    }
}

/// What is called around the switch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hook {
    /// What is done.
    pub call: HookCall,
    /// How long it may take.
    #[serde(serialize_with = "as_milliseconds", rename = "timeout_ms")]
    pub timeout: Duration,
}

impl Hook {
    /// How long a hook may take that does not say.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(120);
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.call {
            HookCall::Command { program, arguments } => {
                f.write_str(program)?;
                arguments.iter().try_for_each(|argument| write!(f, " {argument}"))
            }
            HookCall::Post { url } => write!(f, "POST {url}"),
        }
    }
}

/// What a hook does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HookCall {
    /// Runs a program, without a shell.
    Command {
        /// Found on the path, or relative to the pipeline's folder where it has a slash.
        program: String,
        /// What it is given.
        arguments: Vec<String>,
    },
    /// Sends an empty HTTP POST; done is a status below 400.
    Post {
        /// `http` only: applications are asked inside the own network.
        url: String,
    },
}

/// How a switch keeps writers off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cutover {
    /// By which means.
    pub fence: FencePolicy,
    /// The target's accounts that applications write with, as `name` or `name@host`.
    pub accounts: Vec<String>,
    /// For how long at most writers are kept off by one attempt.
    #[serde(serialize_with = "as_milliseconds", rename = "budget_ms")]
    pub budget: Duration,
    /// How many attempts are made.
    pub attempts: u32,
}

impl Default for Cutover {
    fn default() -> Self {
        Self { fence: FencePolicy::Auto, accounts: Vec::new(), budget: Duration::from_secs(3), attempts: 5 }
    }
}

/// By which means a switch keeps writers off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FencePolicy {
    /// Table locks where the server proves to hold them, and to give them back when a session ends; else the accounts
    /// that are named; else nothing but the hook and the rename itself.
    Auto,
    /// Table locks where the server proves to hold them, even if it keeps those of a session that is gone.
    Tables,
    /// The accounts that are named are locked and their sessions ended.
    Accounts,
    /// Nothing but the hook and the rename itself.
    None,
}

impl FencePolicy {
    /// The words in a pipeline.
    pub const WORDS: [(&'static str, Self); 4] =
        [("auto", Self::Auto), ("tables", Self::Tables), ("accounts", Self::Accounts), ("none", Self::None)];
}

/// How the host learns whether the applications live with the new tables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Health {
    /// Answers with a status below 400 when they do. `http` only: the check is made inside the own network.
    pub url: String,
    /// How long it may take until it does so for the first time; then the run goes back.
    #[serde(serialize_with = "as_milliseconds", rename = "within_ms")]
    pub within: Duration,
}

#[allow(clippy::ref_option, reason = "serde asks for it")]
fn as_optional_milliseconds<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    match duration {
        Some(duration) => as_milliseconds(duration, serializer),
        None => serializer.serialize_none(),
    }
}

fn as_milliseconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// Where the parts of a stage stand in the text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    /// The stage itself.
    pub(crate) stage: Range<usize>,
    /// Its keys' values.
    pub(crate) keys: BTreeMap<String, Range<usize>>,
    /// The values of its `config`, under their JSON pointers.
    pub(crate) config: BTreeMap<String, Range<usize>>,
}

impl Places {
    /// The value of a key, else the plugin's name.
    pub(crate) fn key(&self, key: &str) -> Range<usize> {
        self.keys.get(key).or_else(|| self.keys.get("plugin")).unwrap_or(&self.stage).clone()
    }

    /// The value under a JSON pointer into `config`, else the nearest one around it that is written.
    pub(crate) fn pointer(&self, pointer: &str) -> Range<usize> {
        let mut pointer = pointer;
        loop {
            if let Some(place) = self.config.get(pointer) {
                return place.clone();
            }
            match pointer.rfind('/') {
                Some(end) => pointer = &pointer[..end],
                None => return self.key("config"),
            }
        }
    }
}

/// [`Stage::memory`] where none is given.
pub const DEFAULT_MEMORY_BYTES: u64 = 64 << 20;

/// Reads a size: a whole number and one of `KiB`, `MiB`, `GiB`; at least 1 MiB.
///
/// # Errors
/// One sentence that says what is wrong with it.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not a size; write a whole number and KiB, MiB or GiB, such as `256MiB`");
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let number: u64 = text[..unit_at].parse().map_err(|_| wrong())?;
    let bytes: u64 = match &text[unit_at..] {
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(wrong()),
    };
    let size = number.checked_mul(bytes).ok_or_else(wrong)?;
    if size < 1 << 20 { Err(format!("`{text}` is too little: the least is `1MiB`")) } else { Ok(size) }
}

/// Reads a duration: a whole number and one of `ms`, `s`, `m`, `h`, `d`.
///
/// # Errors
/// One sentence that says what is wrong with it.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration; write a whole number and ms, s, m, h or d, such as `30s`");
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let number: u64 = text[..unit_at].parse().map_err(|_| wrong())?;
    let milliseconds: u64 = match &text[unit_at..] {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(milliseconds).map(Duration::from_millis).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_a_number_and_a_unit() {
        assert_eq!(parse_size("256MiB"), Ok(256 << 20));
        assert_eq!(parse_size("1024KiB"), Ok(1 << 20));
        assert_eq!(parse_size("2GiB"), Ok(2 << 30));
        for wrong in ["", "256", "MiB", "1.5GiB", "256 MiB", "256MB", "1023KiB", "0MiB", "18446744073709551615GiB"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_duration_has_a_number_and_a_unit() {
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(parse_duration("24h"), Ok(Duration::from_secs(86_400)));
        for wrong in ["", "30", "s", "-1s", "1.5h", "1 h", "1h30m", "99999999999999999999s", "18446744073709551615d"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }
}
