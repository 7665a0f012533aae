//! What every guest may say, its log lines, and ask: whether it should go on.

use crate::contract::{log, progress};
use crate::fault::shortened;
use crate::state::State;

/// Of one log line's message.
const MESSAGE_BYTES: usize = 4 << 10;
/// Of one field's value.
const FIELD_BYTES: usize = 256;
/// Of one log line.
const FIELDS: usize = 32;

impl log::Host for State {
    fn enabled(&mut self, level: log::Level) -> wasmtime::Result<bool> {
        Ok(match level {
            log::Level::Trace => tracing::enabled!(target: "plugin", tracing::Level::TRACE),
            log::Level::Debug => tracing::enabled!(target: "plugin", tracing::Level::DEBUG),
            log::Level::Info => tracing::enabled!(target: "plugin", tracing::Level::INFO),
            log::Level::Warn => tracing::enabled!(target: "plugin", tracing::Level::WARN),
            log::Level::Error => tracing::enabled!(target: "plugin", tracing::Level::ERROR),
        })
    }

    fn write(&mut self, level: log::Level, message: String, fields: Vec<(String, String)>) -> wasmtime::Result<()> {
        let limit = self.limits.log_lines_per_call;
        self.log_lines = self.log_lines.saturating_add(1);
        if self.log_lines > limit {
            if self.log_lines == limit + 1 {
                tracing::warn!(
                    target: "plugin",
                    plugin = self.plugin,
                    stage = self.context.stage,
                    "writes more than {limit} log lines in one call: the others are dropped"
                );
            }
            return Ok(());
        }
        let written = self.context.account.log_line(self.limits.log_lines_per_stage);
        if written >= self.limits.log_lines_per_stage {
            if written == self.limits.log_lines_per_stage {
                tracing::warn!(
                    target: "plugin",
                    plugin = self.plugin,
                    stage = self.context.stage,
                    "has written {written} log lines: the others are dropped"
                );
            }
            return Ok(());
        }
        let message = shortened(&message, MESSAGE_BYTES);
        let fields = fields
            .iter()
            .take(FIELDS)
            .map(|(name, value)| format!("{}={:?}", shortened(name, 64), shortened(value, FIELD_BYTES)))
            .collect::<Vec<_>>()
            .join(" ");
        macro_rules! emit {
            ($emit:ident) => {
                tracing::$emit!(
                    target: "plugin",
                    plugin = self.plugin,
                    stage = self.context.stage,
                    fields,
                    "{message}"
                )
            };
        }
        match level {
            log::Level::Trace => emit!(trace),
            log::Level::Debug => emit!(debug),
            log::Level::Info => emit!(info),
            log::Level::Warn => emit!(warn),
            log::Level::Error => emit!(error),
        }
        Ok(())
    }
}

impl progress::Host for State {
    fn cancelled(&mut self) -> wasmtime::Result<bool> {
        Ok(self.context.cancel.is_cancelled())
    }
}
