//! `millrace plugin list`, `inspect`.

use std::path::Path;

use millrace_model::Failure;
use millrace_runtime::{Plugin, Runtime};
use serde::Serialize;

use super::{Exit, Refusal, print_json};
use crate::cli::PluginCommand;
use crate::console;
use crate::setup::{load_builtin, load_file};

/// A plugin's facts.
#[derive(Debug, Serialize)]
struct Facts {
    name: String,
    version: String,
    kind: String,
    summary: String,
    sha256: String,
    origin: String,
    imports: Vec<String>,
    config_schema: serde_json::Value,
}

impl Facts {
    fn of(plugin: &Plugin) -> Self {
        let description = plugin.description();
        Self {
            name: description.name.clone(),
            version: description.version.clone(),
            kind: plugin.kind().interface().to_owned(),
            summary: description.summary.clone(),
            sha256: plugin.sha256().to_owned(),
            origin: plugin.origin().to_owned(),
            imports: plugin.imports(),
            config_schema: serde_json::from_str(&description.config_schema).unwrap_or_default(),
        }
    }
}

pub(super) fn plugin(runtime: &Runtime, command: PluginCommand) -> Result<Exit, Refusal> {
    match command {
        PluginCommand::List { json } => {
            let facts = millrace_bundle::PLUGINS
                .iter()
                .map(|(name, bytes)| runtime.load(bytes, name).map(|plugin| Facts::of(&plugin)))
                .collect::<Result<Vec<_>, Failure>>()?;
            if json {
                print_json(&facts);
            } else {
                let mut table = console::table(&["name", "kind", "version", "summary"]);
                for fact in &facts {
                    table.add_row([&fact.name, &fact.kind, &fact.version, &fact.summary]);
                }
                say!("{table}");
            }
        }
        PluginCommand::Inspect { plugin, json } => {
            let is_file = plugin.ends_with(".wasm") || plugin.contains('/');
            let plugin = if is_file { load_file(runtime, Path::new(&plugin)) } else { load_builtin(runtime, &plugin) }?;
            let facts = Facts::of(&plugin);
            if json {
                print_json(&facts);
            } else {
                print(&facts);
            }
        }
    }
    Ok(Exit::Done)
}

fn print(facts: &Facts) {
    say!("{} {}: {}", facts.name, facts.version, facts.summary);
    say!("kind     {}", facts.kind);
    say!("sha256   {}", facts.sha256);
    say!("origin   {}", facts.origin);
    let (system, lent): (Vec<&String>, Vec<&String>) = facts.imports.iter().partition(|name| name.starts_with("wasi:"));
    let join = |names: &[&String]| names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
    say!("imports  {}", join(&lent));
    if !system.is_empty() {
        say!("         {}", join(&system));
        say!(
            "         (what its language brings along: answered with no variables, arguments, files, sockets or time)"
        );
    }
    say!("config");
    let schema = serde_json::to_string_pretty(&facts.config_schema).unwrap_or_default();
    for line in schema.lines() {
        say!("  {line}");
    }
}
