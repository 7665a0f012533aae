//! A pipeline as it was declared, in types in which nothing invalid can be written.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

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
    /// Of a switcher: how writers are kept off, and for how long.
    pub cutover: Cutover,
    /// Of a cleaner: the folder to which tables are written before they are removed, relative to the pipeline's.
    /// None: they are removed without.
    pub archive: Option<PathBuf>,
    #[serde(skip)]
    pub(crate) places: Places,
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
}

impl Default for Rejects {
    /// Kept, and none is tolerated.
    fn default() -> Self {
        Self { keep: true, at_most: 0.0 }
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
    fn a_duration_has_a_number_and_a_unit() {
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(parse_duration("24h"), Ok(Duration::from_secs(86_400)));
        for wrong in ["", "30", "s", "-1s", "1.5h", "1 h", "1h30m", "99999999999999999999s", "18446744073709551615d"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }
}
