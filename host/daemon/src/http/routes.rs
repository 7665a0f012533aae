//! What can be asked, in one table: the router and `/v1/openapi.json` are made from it, so that neither has anything
//! that the other has not.

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::http::{Method, Uri};
use axum::routing::{MethodRouter, get, post};
use axum::{Json, Router};
use millrace_model::Failure;
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Value, json};

use super::active::Daemon;
use super::answer::{Refused, STATUS_OF};
use super::ask::{Nothing, OfPipeline};
use super::pipelines::Listed;
use super::runs::{Approve, Back, Listing, Start};
use super::{events, pipelines, runs};
use crate::run::{Tuned, TuningChange};
use crate::store::RunSummary;

/// No body that is understood is longer.
const BODY_BYTES: usize = 64 << 10;

/// One thing that can be asked.
struct Route {
    path: &'static str,
    method: Method,
    handler: MethodRouter<Daemon>,
    /// One sentence.
    does: &'static str,
    /// The body's schema. None: it has none.
    body: Option<Value>,
    /// The schema of an object with what the query may name.
    query: Option<Value>,
    answers: Vec<(u16, &'static str, Content)>,
}

/// What an answer consists of.
enum Content {
    Json(Value),
    Events,
    Text,
}

fn schema<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    SchemaGenerator::new(settings).into_root_schema_for::<T>().to_value()
}

fn object(description: &str) -> Content {
    Content::Json(json!({ "type": "object", "description": description }))
}

/// The answer to what stops, or begins something that a task does.
fn run_and_state(state: &str) -> Content {
    Content::Json(json!({
        "type": "object",
        "properties": {
            "run": { "type": ["string", "null"], "description": "The run's id." },
            "state": { "type": "string", "description": state },
        },
    }))
}

impl Route {
    fn get(path: &'static str, does: &'static str, handler: MethodRouter<Daemon>) -> Self {
        Self { path, method: Method::GET, handler, does, body: None, query: None, answers: Vec::new() }
    }

    fn post<T: JsonSchema>(path: &'static str, does: &'static str, handler: MethodRouter<Daemon>) -> Self {
        Self { method: Method::POST, body: Some(schema::<T>()), ..Self::get(path, does, handler) }
    }

    fn query<T: JsonSchema>(mut self) -> Self {
        self.query = Some(schema::<T>());
        self
    }

    fn answers(mut self, status: u16, when: &'static str, content: Content) -> Self {
        self.answers.push((status, when, content));
        self
    }

    /// A task of the daemon does it.
    fn accepts(self) -> Self {
        let content = Content::Json(json!({
            "type": "object", "properties": { "run": { "type": "string", "description": "The run's id." } },
        }));
        self.answers(202, "A task of the daemon does it from now on; follow its events.", content)
    }
}

fn routes() -> Vec<Route> {
    let mut routes = of_pipelines();
    routes.extend(of_runs());
    routes
}

fn of_pipelines() -> Vec<Route> {
    vec![
        Route::get("/v1/health", "Says that the daemon is there.", get(async || "ok")).answers(
            200,
            "It is there.",
            Content::Text,
        ),
        Route::get("/v1/pipelines", "Lists the pipelines of the daemon's folder.", get(pipelines::list)).answers(
            200,
            "The pipelines.",
            Content::Json(schema::<Vec<Listed>>()),
        ),
        Route::post::<Nothing>(
            "/v1/pipelines/{name}/plan",
            "Says what a run would do and why. Changes nothing.",
            post(pipelines::plan),
        )
        .answers(200, "The plan.", object("The plan, as `millrace plan --json` prints it.")),
        Route::post::<Start>(
            "/v1/pipelines/{name}/runs",
            "Plans, and begins to carry the plan out.",
            post(runs::start),
        )
        .accepts()
        .answers(200, "There is nothing to do.", run_and_state("`nothing-to-do`; `run` is null.")),
    ]
}

fn of_runs() -> Vec<Route> {
    let run = |route: Route| route.query::<OfPipeline>();
    let stopped = "Where the run stands, by the word that its journal has for it.";
    let stopping = "`stopping`: it takes longer than a request; follow the run's events.";
    vec![
        Route::get("/v1/runs", "Lists runs, the newest first.", get(runs::list)).query::<Listing>().answers(
            200,
            "The runs.",
            Content::Json(schema::<Vec<RunSummary>>()),
        ),
        run(Route::get("/v1/runs/{run}", "Shows a run: its state, how far it is, and its journal.", get(runs::show)))
            .answers(
                200,
                "The run.",
                object(
                    "`run`, as in the list; `active`: whether this daemon carries it out; `progress`: how far the copy \
                     is, or null; `stopped_by`: the failure that ended its last task, or null; `events`: its journal.",
                ),
            ),
        run(Route::get("/v1/runs/{run}/report", "Reports on a run.", get(runs::report))).answers(
            200,
            "The report.",
            object("The report, as `millrace report --json` prints it."),
        ),
        run(Route::get("/v1/runs/{run}/events", "Follows a run until its task ends.", get(events::follow))).answers(
            200,
            EVENTS,
            Content::Events,
        ),
        run(Route::post::<Approve>(
            "/v1/runs/{run}/approve",
            "Approves a run that waits, and continues it.",
            post(runs::approve),
        ))
        .accepts(),
        run(Route::post::<Start>(
            "/v1/runs/{run}/resume",
            "Continues a run that was interrupted or failed.",
            post(runs::resume),
        ))
        .accepts(),
        run(Route::post::<Back>(
            "/v1/runs/{run}/rollback",
            "Brings back the old tables of a run.",
            post(runs::rollback),
        ))
        .accepts(),
        run(Route::post::<TuningChange>(
            "/v1/runs/{run}/tune",
            "Changes how fast a run copies while it does; without a body, says how it is tuned.",
            post(runs::tune),
        ))
        .answers(200, "How the run is tuned.", Content::Json(schema::<Tuned>())),
        run(Route::post::<Nothing>(
            "/v1/runs/{run}/stop",
            "Stops a run where it is; it can be resumed.",
            post(runs::stop),
        ))
        .answers(200, "It has stopped.", run_and_state(stopped))
        .answers(202, "It is stopping.", run_and_state(stopping)),
        run(Route::post::<Nothing>(
            "/v1/runs/{run}/cancel",
            "Stops a run and gives it up: it cannot be resumed. Refused when applications see something of it.",
            post(runs::cancel),
        ))
        .answers(200, "It is given up.", run_and_state("`cancelled`."))
        .answers(202, "It is stopping, and will be given up.", run_and_state(stopping)),
    ]
}

const EVENTS: &str = "Server-sent events. `journal`: an event of the run's journal, with its sequence as id, none \
left out; a client that comes back with `Last-Event-ID` gets those after it. `progress`: how far the copy is, at most \
twice a second. `end`: nothing more comes, because no task of this daemon carries the run out any more: `state` says \
where it stands, and `stopped_by` which failure ended the task. `failure`: nothing more comes although there is more: \
ask again.";

pub(super) fn router(daemon: Daemon) -> Router {
    let routes = routes();
    let document = Arc::new(document(&routes));
    let described = get(async move || Json(Value::clone(&document)));
    let router = routes.into_iter().fold(Router::new(), |router, route| router.route(route.path, route.handler));
    router
        .route(DOCUMENT, described)
        .method_not_allowed_fallback(async |method: Method, uri: Uri| {
            let message = format!("{} does not know the method {method}", uri.path());
            Refused::from(Failure::config("serve.other-method", message))
        })
        .fallback(async |uri: Uri| {
            let message = format!("there is nothing under {}", uri.path());
            Refused::from(Failure::config("serve.unknown-path", message))
        })
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .with_state(daemon)
}

/// Where the description of the API is.
const DOCUMENT: &str = "/v1/openapi.json";

/// The description of the API.
fn document(routes: &[Route]) -> Value {
    let mut paths = serde_json::Map::new();
    for route in routes {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.as_str().to_ascii_lowercase()] = operation(route);
    }
    let codes: Vec<String> = STATUS_OF.iter().map(|(code, status)| format!("`{code}` ({})", status.as_u16())).collect();
    let statuses = format!(
        "Stable; `millrace explain CODE` prints its page. Codes with a status of their own: {}. Others: 422 where the \
         pipeline, the request or the rows are wrong, 503 where the same request may succeed later, 500 for a defect.",
        codes.join(", ")
    );
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Millrace",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Pipelines, and their runs. Every request carries the token; see `millrace serve --help`.",
        },
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "schemas": { "Failure": {
                "type": "object",
                "required": ["error"],
                "properties": { "error": {
                    "type": "object",
                    "required": ["code", "message", "fault"],
                    "properties": {
                        "code": { "type": "string", "description": statuses },
                        "message": { "type": "string", "description": "What happened, in one sentence." },
                        "fault": {
                            "enum": ["config", "data", "transient", "unsupported", "cancelled", "internal"],
                            "description": "Who must act.",
                        },
                        "fields": { "type": "array", "description": "Facts by name, as pairs." },
                        "advice": { "type": "string", "description": "What to do." },
                        "diagnostics": { "type": "array", "description": "All that is wrong with a pipeline." },
                    },
                } },
            } },
        },
    })
}

fn operation(route: &Route) -> Value {
    let mut parameters = Vec::new();
    for name in route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
        let description = match name {
            "run" => "A run's id, the beginning of exactly one, or `last`.",
            _ => "The name of the pipeline's file, without `.toml`.",
        };
        let schema = json!({ "type": "string" });
        parameters.push(
            json!({ "name": name, "in": "path", "required": true, "description": description, "schema": schema }),
        );
    }
    let properties = route.query.as_ref().and_then(|query| query["properties"].as_object());
    for (name, schema) in properties.into_iter().flatten() {
        parameters.push(json!({ "name": name, "in": "query", "required": false, "schema": schema }));
    }
    if route.path.ends_with("/events") {
        let description = "The id of the last event that the client has: what comes after it is sent.";
        let schema = json!({ "type": "integer" });
        parameters
            .push(json!({ "name": "Last-Event-ID", "in": "header", "description": description, "schema": schema }));
    }
    let mut responses = serde_json::Map::new();
    for (status, when, content) in &route.answers {
        let content = match content {
            Content::Json(schema) => json!({ "application/json": { "schema": schema } }),
            Content::Events => json!({ "text/event-stream": {} }),
            Content::Text => json!({ "text/plain": {} }),
        };
        responses.insert(status.to_string(), json!({ "description": when, "content": content }));
    }
    let failure = json!({ "application/json": { "schema": { "$ref": "#/components/schemas/Failure" } } });
    responses.insert("default".to_owned(), json!({ "description": "It was not done.", "content": failure }));
    let mut operation = json!({ "summary": route.does, "parameters": parameters, "responses": responses });
    if let Some(body) = &route.body {
        operation["requestBody"] = json!({ "required": false, "content": { "application/json": { "schema": body } } });
    }
    operation
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_has_every_path_and_every_field_of_a_body() {
        let document = document(&routes());
        assert_eq!(document["openapi"], "3.1.0");
        for route in routes() {
            let operation = &document["paths"][route.path][route.method.as_str().to_ascii_lowercase()];
            assert_eq!(operation["summary"], route.does, "{}", route.path);
            assert_eq!(operation["requestBody"].is_object(), route.method == Method::POST, "{}", route.path);
            assert!(!route.answers.is_empty(), "{} says what it answers", route.path);
        }
        let fields = |path: &str| {
            let schema = &document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"];
            assert_eq!(schema["additionalProperties"], false, "{path}: {schema}");
            let properties = schema["properties"].as_object().into_iter().flatten();
            properties.map(|(name, _)| name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(fields("/v1/runs/{run}/tune"), ["workers", "rows_per_second", "paused"]);
        assert_eq!(fields("/v1/runs/{run}/rollback"), ["discard_new_rows"]);
        assert_eq!(fields("/v1/runs/{run}/resume"), ["approved", "discard_target_rows"]);
        assert_eq!(fields("/v1/pipelines/{name}/runs"), ["approved", "discard_target_rows"]);
        assert_eq!(fields("/v1/runs/{run}/cancel"), [] as [&str; 0]);
        let references = document.to_string().matches("$ref").count();
        let known = document.to_string().matches("#/components/schemas/Failure").count();
        assert_eq!(references, known, "every reference leads somewhere");
    }
}
