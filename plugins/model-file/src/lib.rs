//! Model source: a schema exported to a file.
//!
//! Source and target are often in different networks. `millrace model export` writes a database's model where
//! it can be reached; this plugin reads it where a plan is made.

use millrace_plugin_sdk::handle::Catalog;
use millrace_plugin_sdk::model::{DatabaseModel, document};
use millrace_plugin_sdk::{Failure, ModelSource, Plugin, Problem, schemars, serde};

/// There is nothing to configure: the stage's `file` names the document.
#[derive(Debug, Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(crate = "serde", deny_unknown_fields)]
#[schemars(crate = "schemars")]
pub struct Config {}

/// Reads the JSON document of a model.
#[derive(Debug, Default)]
pub struct ModelFile;

impl Plugin for ModelFile {
    const NAME: &'static str = "model-file";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "Reads the schema that `millrace model export` wrote to a file.";
    type Config = Config;

    fn configure(_config: Config) -> Result<Self, Vec<Problem>> {
        Ok(Self)
    }
}

impl ModelSource for ModelFile {
    fn load(&self, _catalog: Option<&dyn Catalog>, document: Option<&str>) -> Result<DatabaseModel, Failure> {
        let document = document.ok_or_else(|| {
            Failure::config("model.no-document", "the stage names no file, and model-file reads nothing else")
        })?;
        document::read(document)
    }
}

millrace_plugin_sdk::export!(ModelFile as model - source);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_exported_is_read_back() {
        let model = DatabaseModel { dialect: "postgres".to_owned(), version: "18.4".to_owned(), ..Default::default() };
        let text = document::write(&model);
        assert_eq!(ModelFile.load(None, Some(&text)), Ok(model));
    }

    #[test]
    fn a_stage_without_a_file_is_told_so() {
        assert_eq!(ModelFile.load(None, None).unwrap_err().code, "model.no-document");
    }

    #[test]
    fn a_document_of_another_version_is_refused() {
        let failure = ModelFile.load(None, Some(r#"{"format": 2, "model": {}}"#)).unwrap_err();
        assert_eq!(failure.code, "model.unknown-format");
    }
}
