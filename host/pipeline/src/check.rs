//! The second half of the check: what can be said only when the plugins are loaded.

use millrace_model::stage::{Problem, StageKind};

use crate::declaration::{ContentDigest, DatabaseName, OnFailure, Pipeline, PluginReference, Stage};
use crate::diagnostic::Diagnostic;
use crate::suggestion::did_you_mean;

/// Which kinds a key is for.
const KEYS_OF_KINDS: &[(&str, &[StageKind])] = &[
    ("database", &[StageKind::ModelSource]),
    ("file", &[StageKind::ModelSource]),
    ("columns", &[StageKind::Converter]),
    ("from", &[StageKind::Copier]),
    ("memory", &[StageKind::Copier]),
    ("rows_per_second", &[StageKind::Copier]),
    ("rejects", &[StageKind::Copier]),
    ("approve", &[StageKind::Switcher]),
    ("before", &[StageKind::Switcher]),
    ("after", &[StageKind::Switcher]),
    ("health", &[StageKind::Switcher]),
    ("fence", &[StageKind::Switcher]),
    ("accounts", &[StageKind::Switcher]),
    ("budget", &[StageKind::Switcher]),
    ("attempts", &[StageKind::Switcher]),
    ("archive", &[StageKind::Cleaner]),
];

impl Pipeline {
    /// A problem with a stage (counted from 0), shown at one of its keys, or at its plugin's name where it does
    /// not have that key. For what only the caller can find, such as a component that cannot be loaded.
    pub fn diagnostic_at(
        &self,
        stage: usize,
        key: &str,
        code: impl Into<String>,
        message: impl Into<String>,
        help: Option<String>,
    ) -> Diagnostic {
        let span = self.stages.get(stage).map_or(0..0, |stage| stage.places.key(key));
        Diagnostic::new(&self.text, span, code, message, help)
    }

    /// The stages whose plugin is called by a name that none of the first-party plugins has.
    pub fn check_names(&self, known: &[&str]) -> Vec<Diagnostic> {
        let mut diagnostics = Vec::new();
        for (number, stage) in self.stages.iter().enumerate() {
            if let PluginReference::Builtin(name) = &stage.plugin
                && !known.contains(&name.as_str())
            {
                let message = format!("there is no first-party plugin `{name}`");
                let help = Some(did_you_mean(name, known));
                diagnostics.push(self.diagnostic_at(number, "plugin", "pipeline.unknown-plugin", message, help));
            }
        }
        diagnostics
    }

    /// Compares what a stage's component hashes to with what the pipeline says. None: it is the same, or the
    /// plugin is a first-party one.
    pub fn check_digest(&self, stage: usize, found: &ContentDigest) -> Option<Diagnostic> {
        let PluginReference::File { path, sha256 } = &self.stages.get(stage)?.plugin else {
            return None;
        };
        let path = path.display();
        match sha256 {
            Some(expected) if expected == found => None,
            Some(expected) => {
                let message =
                    format!("{path} is not the component that was pinned: it hashes to {found}, not to {expected}");
                let help = "compare it with what its vendor publishes before the pin is changed".to_owned();
                Some(self.diagnostic_at(stage, "sha256", "pipeline.sha256-differs", message, Some(help)))
            }
            None => {
                let message = format!("{path} is not pinned by its content");
                let help = format!("if it is what its vendor published, add: sha256 = \"{found}\"");
                Some(self.diagnostic_at(stage, "plugin", "pipeline.sha256-missing", message, Some(help)))
            }
        }
    }

    /// Checks the stages against their kinds, and shows what their plugins say about their configurations at
    /// the values that they are about. Both lists are as long as the stages; a kind is None when the plugin
    /// could not be loaded, and then nothing is said that could be wrong because of it.
    pub fn check_stages(&self, kinds: &[Option<StageKind>], config_problems: &[Vec<Problem>]) -> Vec<Diagnostic> {
        let mut check = Check { pipeline: self, kinds, diagnostics: Vec::new() };
        for (number, stage) in self.stages.iter().enumerate() {
            check.configuration(stage, config_problems.get(number).map_or(&[], Vec::as_slice));
            if let Some(kind) = check.kind(number) {
                check.keys(number, stage, kind);
                check.needs(number, kind);
                check.repeated(number, stage, kind);
            }
        }
        if (0..self.stages.len()).all(|number| check.kind(number).is_some()) {
            check.completeness();
        }
        check.diagnostics.sort_by_key(|d| (d.span.start, d.span.end));
        check.diagnostics
    }
}

struct Check<'p> {
    pipeline: &'p Pipeline,
    kinds: &'p [Option<StageKind>],
    diagnostics: Vec<Diagnostic>,
}

impl Check<'_> {
    fn kind(&self, stage: usize) -> Option<StageKind> {
        self.kinds.get(stage).copied().flatten()
    }

    fn add(&mut self, stage: usize, key: &str, code: &str, message: String, help: Option<&str>) {
        self.diagnostics.push(self.pipeline.diagnostic_at(stage, key, code, message, help.map(str::to_owned)));
    }

    fn configuration(&mut self, stage: &Stage, problems: &[Problem]) {
        for problem in problems {
            let message = match problem.path.as_str() {
                "" => format!("{} refuses its `config`: {}", stage.plugin, problem.message),
                path => {
                    let path = path.trim_start_matches('/').replace('/', ".").replace("~1", "/").replace("~0", "~");
                    format!("{} refuses `{path}`: {}", stage.plugin, problem.message)
                }
            };
            let span = stage.places.pointer(&problem.path);
            self.diagnostics.push(Diagnostic::new(&self.pipeline.text, span, "pipeline.bad-config", message, None));
        }
    }

    /// Keys that a stage of this kind does not have, and those that it must have.
    fn keys(&mut self, number: usize, stage: &Stage, kind: StageKind) {
        for (key, kinds) in KEYS_OF_KINDS {
            if stage.places.keys.contains_key(*key) && !kinds.contains(&kind) {
                let kinds: Vec<String> = kinds.iter().map(ToString::to_string).collect();
                let message = format!("`{key}` is for a {}; `{}` is a {kind}", kinds.join(" or a "), stage.plugin);
                self.add(number, key, "pipeline.key-of-other-kind", message, None);
            }
        }
        if let Some(policy) = stage.on_failure
            && !OnFailure::allowed_for(kind).contains(&policy)
        {
            let allowed: Vec<String> = OnFailure::allowed_for(kind).iter().map(|p| format!("`{p}`")).collect();
            let why = match policy {
                OnFailure::Continue => "a run does not go on without it",
                _ => "it leaves nothing that could be undone",
            };
            let message = format!("a {kind} cannot `{policy}` on failure: {why}");
            let help = format!("it can be told {}", allowed.join(" or "));
            self.add(number, "on_failure", "pipeline.bad-policy", message, Some(&help));
        }
        if kind == StageKind::ModelSource {
            match stage.database {
                None => {
                    let message = format!("`{}` does not say whose model it reads", stage.plugin);
                    self.add(
                        number,
                        "plugin",
                        "pipeline.missing-key",
                        message,
                        Some("add `database = \"source\"` or `database = \"target\"`"),
                    );
                }
                Some(name) if stage.file.is_none() && self.pipeline.databases.get(name).url.is_none() => {
                    let message = format!(
                        "`{}` has nothing to read: the {name} database has no `url`, and the stage no `file`",
                        stage.plugin
                    );
                    self.add(number, "database", "pipeline.missing-key", message, None);
                }
                Some(_) => {}
            }
        }
    }

    /// Whether a stage finds what it needs among those before it, and nothing before it that belongs after it.
    fn needs(&mut self, number: usize, kind: StageKind) {
        let later = (0..number).rev().find(|&n| self.kind(n).is_some_and(|before| before > kind));
        if let Some(later) = later {
            let message = format!(
                "the {kind} `{}` stands after the {} `{}`",
                self.pipeline.stages[number].plugin,
                self.kinds[later].map(|k| k.to_string()).unwrap_or_default(),
                self.pipeline.stages[later].plugin
            );
            let order = "the order is: model sources, differ, converters, copier, validators, switcher, cleaner";
            self.add(number, "plugin", "pipeline.stage-order", message, Some(order));
        }
        let needed: &[StageKind] = match kind {
            StageKind::ModelSource | StageKind::Differ | StageKind::Converter | StageKind::Cleaner => &[],
            StageKind::Copier => &[StageKind::Converter],
            StageKind::Validator => &[StageKind::Copier],
            StageKind::Switcher => &[StageKind::Copier, StageKind::Validator],
        };
        for &wanted in needed {
            // One that stands after is a matter of order; one that may be hidden in an unknown kind is not missed.
            let somewhere = (0..self.pipeline.stages.len()).any(|n| self.kind(n).is_none_or(|k| k == wanted));
            if somewhere {
                continue;
            }
            let plugin = &self.pipeline.stages[number].plugin;
            if (kind, wanted) == (StageKind::Switcher, StageKind::Validator) {
                let message = format!("`{plugin}` would swap names although nothing proves that the rows arrived");
                let help = Some("add a stage with `plugin = \"validate\"` before it");
                self.add(number, "plugin", "pipeline.switch-without-validator", message, help);
            } else {
                let message = format!("`{plugin}` needs a {wanted} before it, and there is none");
                self.add(number, "plugin", "pipeline.stage-missing", message, None);
            }
        }
    }

    fn repeated(&mut self, number: usize, stage: &Stage, kind: StageKind) {
        let same = |n: &usize| {
            let before = &self.pipeline.stages[*n];
            self.kind(*n) == Some(kind)
                && match kind {
                    StageKind::ModelSource => stage.database.is_some() && before.database == stage.database,
                    // Of two that are wholly alike the second is never asked.
                    StageKind::Converter | StageKind::Validator => {
                        before.plugin == stage.plugin
                            && before.columns == stage.columns
                            && before.config == stage.config
                    }
                    StageKind::Differ | StageKind::Copier | StageKind::Switcher | StageKind::Cleaner => true,
                }
        };
        let Some(first) = (0..number).find(same) else {
            return;
        };
        let first = &self.pipeline.stages[first].plugin;
        let message = match (kind, stage.database) {
            (StageKind::ModelSource, Some(name)) => {
                format!("`{}` is a second model source of the {name} database, after `{first}`", stage.plugin)
            }
            (StageKind::Converter | StageKind::Validator, _) => {
                format!("`{}` stands twice with the same columns and the same `config`", stage.plugin)
            }
            _ => format!("`{}` is a second {kind}, after `{first}`", stage.plugin),
        };
        self.add(number, "plugin", "pipeline.stage-twice", message, None);
    }

    /// What every pipeline has.
    fn completeness(&mut self) {
        let stages = &self.pipeline.stages;
        let has = |kind| self.kinds.contains(&Some(kind));
        let models = [DatabaseName::Source, DatabaseName::Target].map(|name| {
            let reads = |(n, stage): (usize, &Stage)| {
                self.kind(n) == Some(StageKind::ModelSource) && stage.database == Some(name)
            };
            (format!("model source with `database = \"{name}\"`"), stages.iter().enumerate().any(reads))
        });
        let others = [StageKind::Differ, StageKind::Converter].map(|kind| (kind.to_string(), has(kind)));
        // A model source that does not say whose model it reads has been named already.
        let unsaid =
            |(n, stage): (usize, &Stage)| self.kind(n) == Some(StageKind::ModelSource) && stage.database.is_none();
        let models_unsaid = stages.iter().enumerate().any(unsaid);
        let missing: Vec<String> = models
            .into_iter()
            .filter(|_| !models_unsaid)
            .chain(others)
            .filter(|(_, there)| !there)
            .map(|(what, _)| format!("the pipeline has no {what}"))
            .collect();
        for message in missing {
            let span = stages.first().map_or(0..0, |stage| stage.places.stage.clone());
            self.diagnostics.push(Diagnostic::new(&self.pipeline.text, span, "pipeline.stage-missing", message, None));
        }
    }
}
