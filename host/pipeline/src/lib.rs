//! Pipelines: TOML to a checked declaration, and the rules of a run's journal
