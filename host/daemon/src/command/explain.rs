//! `millrace explain`: the page behind an error code.

use millrace_model::Failure;

use super::{Exit, Refusal, print_json};
use crate::cli::ExplainArgs;
use crate::explain;

pub(super) fn explain(arguments: &ExplainArgs) -> Result<Exit, Refusal> {
    let Some(code) = &arguments.code else {
        if arguments.json {
            let codes: Vec<&str> = explain::pages().iter().map(|(code, _)| *code).collect();
            print_json(&codes);
        } else {
            for (code, page) in explain::pages() {
                let title = page.lines().next().unwrap_or_default().trim_start_matches("# ");
                say!("{code:36} {title}");
            }
        }
        return Ok(Exit::Done);
    };
    let page = explain::page(code).ok_or_else(|| {
        Failure::config("run.unknown-code", format!("there is no error code {code}; `millrace explain` lists all"))
    })?;
    if arguments.json {
        print_json(&serde_json::json!({ "code": code, "page": page }));
    } else {
        say!("{code}\n\n{page}");
    }
    Ok(Exit::Done)
}
