//! A pipeline with its plugins loaded: checked completely, and nothing opened yet.

use std::fs;
use std::path::{Path, PathBuf};

use millrace_model::schema::TableName;
use millrace_model::{Cancel, Failure, Problem, StageKind};
use millrace_pipeline::{ContentDigest, Diagnostic, Pipeline, PluginReference, Resolver, Stage};
use millrace_runtime::{Plugin, Runtime, StageContext};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::explain;

/// A checked pipeline.
pub(crate) struct Setup {
    /// What the TOML declares.
    pub(crate) pipeline: Pipeline,
    /// The TOML, secrets unresolved.
    pub(crate) text: String,
    /// Where it was read from; relative paths in it start at its folder.
    pub(crate) origin: PathBuf,
    stages: Vec<LoadedStage>,
}

/// A stage and its plugin.
pub(crate) struct LoadedStage {
    /// Its place among the pipeline's stages.
    pub(crate) position: usize,
    /// What the TOML says.
    pub(crate) declaration: Stage,
    /// Its component.
    pub(crate) plugin: Plugin,
}

/// Why there is no setup.
#[derive(Debug)]
pub(crate) enum SetupError {
    /// The file could not be read, or a plugin could not be loaded.
    Failure(Failure),
    /// The pipeline is wrong: everything that is, at once.
    Wrong {
        /// What is wrong.
        diagnostics: Vec<Diagnostic>,
        /// The TOML that it is about.
        text: String,
        /// Its file.
        origin: PathBuf,
    },
}

impl From<Failure> for SetupError {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl SetupError {
    /// As programs are told: `{"error": {code, message, advice, …}}`, and of a wrong pipeline everything that is wrong.
    pub(crate) fn to_json(&self) -> Value {
        match self {
            Self::Failure(failure) => json!({ "error": explain::told(failure) }),
            Self::Wrong { diagnostics, origin, .. } => {
                let mut error = explain::told(&failure_of(diagnostics, origin));
                error["diagnostics"] = json!(diagnostics);
                json!({ "error": error })
            }
        }
    }

    /// As one failure, for those who cannot show lines.
    pub(crate) fn into_failure(self) -> Failure {
        match self {
            Self::Failure(failure) => failure,
            Self::Wrong { diagnostics, origin, .. } => failure_of(&diagnostics, &origin),
        }
    }
}

fn failure_of(diagnostics: &[Diagnostic], origin: &Path) -> Failure {
    let first = diagnostics.first();
    let lines: Vec<String> = diagnostics.iter().map(|d| format!("line {}: {}", d.line, d.message)).collect();
    Failure::config(
        first.map_or("pipeline.wrong", |d| d.code.as_str()),
        format!("{}: {}", origin.display(), lines.join("; ")),
    )
}

/// `${env:…}` and `${file:…}`, answered by the operating system.
struct System {
    folder: PathBuf,
}

impl Resolver for System {
    fn variable(&self, name: &str) -> Option<SecretString> {
        std::env::var(name).ok().map(SecretString::from)
    }

    fn file(&self, path: &Path) -> Result<SecretString, String> {
        fs::read_to_string(self.folder.join(path))
            .map(|text| SecretString::from(text.trim_end_matches(['\n', '\r'])))
            .map_err(|e| e.to_string())
    }
}

/// A pipeline's text, understood, before any plugin is loaded.
pub(crate) struct Declared {
    pipeline: Pipeline,
    text: String,
    origin: PathBuf,
}

impl Declared {
    /// Reads a pipeline's file.
    pub(crate) fn read(origin: &Path) -> Result<Self, SetupError> {
        let text = fs::read_to_string(origin).map_err(|e| {
            Failure::config("pipeline.unreadable", format!("the pipeline {} cannot be read: {e}", origin.display()))
        })?;
        Self::parse(&text, origin)
    }

    /// Understands a pipeline's text; `origin` is where it stands.
    fn parse(text: &str, origin: &Path) -> Result<Self, SetupError> {
        let origin = std::path::absolute(origin).unwrap_or_else(|_| origin.to_owned());
        let text = text.to_owned();
        match Pipeline::parse(&text, &System { folder: folder_of(&origin).to_owned() }) {
            Ok(pipeline) => Ok(Self { pipeline, text, origin }),
            Err(diagnostics) => Err(SetupError::Wrong { diagnostics, text, origin }),
        }
    }

    /// Its databases, and where relative paths start.
    pub(crate) fn databases(&self) -> (millrace_pipeline::Databases, PathBuf) {
        (self.pipeline.databases.clone(), folder_of(&self.origin).to_owned())
    }

    /// Loads its plugins, and lets them check what it says to them.
    pub(crate) fn load(self, runtime: &Runtime) -> Result<Setup, SetupError> {
        Setup::check(runtime, self)
    }
}

/// Where relative paths of a pipeline start.
fn folder_of(origin: &Path) -> &Path {
    origin.parent().unwrap_or(Path::new("."))
}

impl Setup {
    /// Reads a pipeline's file and checks it.
    pub(crate) fn read(runtime: &Runtime, origin: &Path) -> Result<Self, SetupError> {
        Declared::read(origin)?.load(runtime)
    }

    /// Checks a pipeline's text; `origin` is where it stands.
    pub(crate) fn load(runtime: &Runtime, text: &str, origin: &Path) -> Result<Self, SetupError> {
        Declared::parse(text, origin)?.load(runtime)
    }

    fn check(runtime: &Runtime, declared: Declared) -> Result<Self, SetupError> {
        let Declared { pipeline, text, origin } = declared;
        let wrong = |diagnostics| SetupError::Wrong { diagnostics, text: text.clone(), origin: origin.clone() };
        let known: Vec<&str> = millrace_bundle::PLUGINS.iter().map(|(name, _)| *name).collect();
        let mut diagnostics = pipeline.check_names(&known);
        let mut kinds = Vec::new();
        let mut problems = Vec::new();
        let mut stages = Vec::new();
        let loaded = load_stages(runtime, &pipeline, folder_of(&origin));
        for ((position, declaration), loaded) in pipeline.stages.iter().enumerate().zip(loaded) {
            let (kind, found) = match loaded {
                Ok(None) => (None, Vec::new()),
                Ok(Some(plugin)) => {
                    let found = check_config(&plugin, declaration)?;
                    let kind = plugin.kind();
                    if !declaration.rejects.keep {
                        let message = "rejected rows are always kept in quarantine";
                        let help = Some("leave `keep` out, or write `keep = true`".to_owned());
                        diagnostics.push(pipeline.diagnostic_at(
                            position,
                            "rejects",
                            "pipeline.rejects-not-kept",
                            message,
                            help,
                        ));
                    }
                    stages.push(LoadedStage { position, declaration: declaration.clone(), plugin });
                    (Some(kind), found)
                }
                Err(diagnostic) => {
                    diagnostics.push(*diagnostic);
                    (None, Vec::new())
                }
            };
            kinds.push(kind);
            problems.push(found);
        }
        diagnostics.extend(pipeline.check_stages(&kinds, &problems));
        if !diagnostics.is_empty() {
            diagnostics.sort_by_key(|d| d.span.start);
            return Err(wrong(diagnostics));
        }
        Ok(Self { pipeline, text, origin, stages })
    }

    /// The stages of a kind, in the pipeline's order.
    pub(crate) fn stages(&self, kind: StageKind) -> impl Iterator<Item = &LoadedStage> {
        self.stages.iter().filter(move |s| s.plugin.kind() == kind)
    }

    /// The stage of a kind of which there is at most one. None: the pipeline goes without.
    pub(crate) fn optional_stage(&self, kind: StageKind) -> Option<&LoadedStage> {
        self.stages(kind).next()
    }

    /// The stage of a kind that is needed here.
    ///
    /// # Errors
    /// `pipeline.no-stage`.
    pub(crate) fn stage(&self, kind: StageKind) -> Result<&LoadedStage, Failure> {
        self.optional_stage(kind).ok_or_else(|| {
            Failure::config("pipeline.no-stage", format!("pipeline {} has no {kind}", self.pipeline.name))
        })
    }

    /// The stage at a position.
    pub(crate) fn stage_at(&self, position: usize) -> Option<&LoadedStage> {
        self.stages.get(position)
    }

    /// All stages, in the pipeline's order.
    pub(crate) fn all_stages(&self) -> &[LoadedStage] {
        &self.stages
    }

    /// Where relative paths of the pipeline start.
    pub(crate) fn folder(&self) -> &Path {
        folder_of(&self.origin)
    }
}

impl LoadedStage {
    /// What its plugin is told.
    pub(crate) fn context(&self, cancel: &Cancel) -> StageContext {
        StageContext {
            cancel: cancel.clone(),
            ..StageContext::new(self.plugin.description().name.clone(), self.declaration.config.to_string())
        }
    }

    /// The text of the file that the stage names. None: it names none.
    pub(crate) fn document(&self, setup: &Setup) -> Result<Option<String>, Failure> {
        let Some(file) = &self.declaration.file else { return Ok(None) };
        let path = setup.folder().join(file);
        fs::read_to_string(&path)
            .map(Some)
            .map_err(|e| Failure::config("pipeline.unreadable-file", format!("{} cannot be read: {e}", path.display())))
    }

    /// Whether the pipeline lets this converter have the column.
    pub(crate) fn may_claim(&self, table: &TableName, column: &str) -> bool {
        let patterns = &self.declaration.columns;
        patterns.is_empty() || patterns.iter().any(|p| p.matches(table, column))
    }
}

/// Loads the plugins of all stages, each on a thread of its own: what this machine has not compiled yet is compiled on
/// all of its cores.
fn load_stages(runtime: &Runtime, pipeline: &Pipeline, folder: &Path) -> Vec<Result<Option<Plugin>, Box<Diagnostic>>> {
    std::thread::scope(|scope| {
        let load = |position| scope.spawn(move || load_stage(runtime, pipeline, position, folder));
        let loading: Vec<_> = (0..pipeline.stages.len()).map(load).collect();
        let loaded = loading.into_iter().map(std::thread::ScopedJoinHandle::join);
        loaded.map(|loaded| loaded.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

/// Loads the plugin of one stage. None: its name is unknown, which was said already.
fn load_stage(
    runtime: &Runtime,
    pipeline: &Pipeline,
    position: usize,
    folder: &Path,
) -> Result<Option<Plugin>, Box<Diagnostic>> {
    let at =
        |failure: Failure| Box::new(pipeline.diagnostic_at(position, "plugin", &failure.code, &failure.message, None));
    match &pipeline.stages[position].plugin {
        PluginReference::Builtin(name) => match millrace_bundle::plugin(name) {
            Some(bytes) => runtime.load(bytes, name).map(Some).map_err(at),
            None => Ok(None),
        },
        PluginReference::File { path, .. } => {
            let bytes = read_component(&folder.join(path)).map_err(at)?;
            // Nothing of a component is run before its content is known to be what the pipeline pins.
            if let Some(diagnostic) = pipeline.check_digest(position, &ContentDigest::of(&bytes)) {
                return Err(Box::new(diagnostic));
            }
            runtime.load(&bytes, &path.to_string_lossy()).map(Some).map_err(at)
        }
    }
}

fn check_config(plugin: &Plugin, declaration: &Stage) -> Result<Vec<Problem>, Failure> {
    plugin.check_config(&declaration.config.to_string())
}

/// A first-party plugin.
pub(crate) fn load_builtin(runtime: &Runtime, name: &str) -> Result<Plugin, Failure> {
    let bytes = millrace_bundle::plugin(name).ok_or_else(|| {
        let known: Vec<&str> = millrace_bundle::PLUGINS.iter().map(|(name, _)| *name).collect();
        Failure::config(
            "plugin.unknown",
            format!("there is no plugin {name}; the first-party ones are {}", known.join(", ")),
        )
    })?;
    runtime.load(bytes, name)
}

/// Anyone's component.
pub(crate) fn load_file(runtime: &Runtime, path: &Path) -> Result<Plugin, Failure> {
    runtime.load(&read_component(path)?, &path.to_string_lossy())
}

fn read_component(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path)
        .map_err(|e| Failure::config("plugin.unreadable", format!("the plugin {} cannot be read: {e}", path.display())))
}

/// Runs what blocks (plugins, and what they are lent) off the executor's threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|e| Err(Failure::internal("run.panicked", format!("a worker of the host panicked: {e}"))))
}
