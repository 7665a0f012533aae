//! The pipelines of the daemon's folder.

use std::fs;
use std::path::PathBuf;

use axum::Json;
use axum::extract::State;
use millrace_model::{Failure, Plan};
use schemars::JsonSchema;
use serde::Serialize;

use super::active::Daemon;
use super::answer::Refused;
use super::ask::{Body, Errand, Nothing, Segment};
use crate::databases::Databases;
use crate::planner;
use crate::setup::{Setup, SetupError, blocking};

/// One pipeline's file.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Listed {
    /// The file's name without `.toml`; what requests call it by.
    file: String,
    /// The pipeline's own name. None: it is wrong.
    name: Option<String>,
    /// What is wrong. None: nothing.
    problem: Option<String>,
}

impl Daemon {
    fn file_of(&self, name: &str) -> Result<PathBuf, Failure> {
        let plain = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\']);
        let path = self.pipelines.join(format!("{name}.toml"));
        if plain && path.is_file() {
            return Ok(path);
        }
        Err(Failure::config("serve.unknown-pipeline", format!("there is no pipeline {name}")))
    }

    /// Loads a pipeline of the folder, off the executor's threads.
    pub(super) async fn setup(&self, name: &str) -> Result<Setup, Refused> {
        let path = self.file_of(name)?;
        let runtime = self.runtime.clone();
        Ok(blocking(move || Ok(Setup::read(&runtime, &path))).await??)
    }
}

pub(super) async fn list(State(daemon): State<Daemon>) -> Result<Json<Vec<Listed>>, Refused> {
    let unreadable = |e: std::io::Error| {
        Failure::internal("serve.no-pipelines", format!("the folder of the pipelines cannot be read: {e}"))
    };
    let mut names = Vec::new();
    for entry in fs::read_dir(&daemon.pipelines).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|e| e == "toml")
            && let Some(name) = path.file_stem().and_then(|n| n.to_str())
        {
            names.push(name.to_owned());
        }
    }
    names.sort();
    let mut listed = Vec::with_capacity(names.len());
    for file in names {
        let path = daemon.file_of(&file)?;
        let runtime = daemon.runtime.clone();
        let loaded = blocking(move || Ok(Setup::read(&runtime, &path).map_err(SetupError::into_failure))).await?;
        let (name, problem) = match loaded {
            Ok(setup) => (Some(setup.pipeline.name), None),
            Err(failure) => (None, Some(failure.message)),
        };
        listed.push(Listed { file, name, problem });
    }
    Ok(Json(listed))
}

pub(super) async fn plan(
    State(daemon): State<Daemon>,
    Segment(name): Segment,
    Body(Nothing {}): Body<Nothing>,
) -> Result<Json<Plan>, Refused> {
    let setup = daemon.setup(&name).await?;
    let errand = Errand::default();
    let databases = Databases::open(&setup, &errand.cancel).await?;
    let planned = planner::plan(&setup, &databases, &errand.cancel).await?;
    Ok(Json(planned.plan))
}
