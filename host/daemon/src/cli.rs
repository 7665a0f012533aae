//! The command line: what may be said. What it means is in [`crate::command`].

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::run::MOST_WORKERS;
use crate::store::MOST_LISTED;

/// Moves tables from one database to another while people depend on both.
#[derive(Debug, Parser)]
#[command(name = "millrace", version, propagate_version = true, subcommand_required = true)]
#[command(after_help = "Examples:
  millrace check shop.toml           is the pipeline right, and do both databases answer?
  millrace plan shop.toml            what would a run do? Changes nothing.
  millrace run shop.toml             do it
  millrace rollback last             the old tables again

Exit codes: 0 done, 1 failed with nothing switched, 2 the pipeline or the command is wrong,
3 validation found differences, 4 waiting for approval, 5 rolled back, 6 failed and the new tables are live,
or may be. Output that could not be written is 1, after the work was done; Ctrl-C at a question is 1,
and nothing was done.")]
pub(crate) struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub(crate) global: Global,
    /// The command.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct Global {
    /// The folder of the daemon's state: runs, their journals, compiled plugins
    /// [env: MILLRACE_STATE] [default: $XDG_STATE_HOME/millrace, or ~/.local/state/millrace]
    // The variable is read where the folder is needed: clap would show it in the usage of every mistake.
    #[arg(long, global = true, value_name = "DIR", help_heading = "Global options")]
    pub(crate) state: Option<PathBuf>,
    /// How much is logged: error, warn, info, debug, trace, or a filter such as `millrace=debug,sqlx=warn`
    #[arg(
        long,
        global = true,
        env = "MILLRACE_LOG",
        default_value = "warn",
        value_name = "FILTER",
        help_heading = "Global options"
    )]
    pub(crate) log: String,
    /// How logs are written, to standard error
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text, help_heading = "Global options")]
    pub(crate) log_format: LogFormat,
}

/// How logs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// A line of text an event.
    Text,
    /// A JSON object an event.
    Json,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check a pipeline completely: its text, its plugins, both databases. Changes nothing
    #[command(after_help = "Example:\n  millrace check pipelines/full.toml")]
    Check(PipelineArgs),
    /// Say what a run would do and why, for every column. Changes nothing
    #[command(
        after_help = "Examples:\n  millrace plan shop.toml\n  millrace plan shop.toml --out review/   plan.json, plan.md and SQL files, to carry to `millrace apply`\n  millrace plan shop.toml --try           also makes its new tables, empty, and takes them away"
    )]
    Plan(PlanArgs),
    /// Carry out a plan made elsewhere; refused if the target no longer is what the plan was made for
    #[command(
        after_help = "The SQL in plan.json is carried out as it stands, with the rights of the target's account: apply only\na plan that you would run as a script.\n\nExample:\n  millrace apply review/ --yes"
    )]
    Apply(ApplyArgs),
    /// Plan and carry out: build new tables beside the old, copy, prove, swap names
    #[command(
        after_help = "Examples:\n  millrace run shop.toml\n  millrace run shop.toml --yes    without waiting for approval"
    )]
    Run(RunArgs),
    /// Continue a run that was interrupted or failed
    #[command(after_help = "Example:\n  millrace resume last")]
    Resume(ContinueArgs),
    /// Change how fast a run copies while it does: workers, rows a second, pause
    #[command(
        after_help = "Examples:\n  millrace tune last --workers 4 --rows-per-second 50000\n  millrace tune last --pause\n  millrace tune last --resume\n  millrace tune last    says how it is tuned\n\nWhat is tuned lasts until the process that carries the run out ends."
    )]
    Tune(TuneArgs),
    /// Approve a run that waits, and continue it
    #[command(after_help = "Example:\n  millrace approve last")]
    Approve(ContinueArgs),
    /// Bring back the old tables of a run, until they have been cleaned up
    #[command(
        after_help = "Examples:\n  millrace rollback last\n  millrace rollback last --discard-new-rows    although rows were written to the new tables"
    )]
    Rollback(RollbackArgs),
    /// Give up a run that is not going on, before anything of it is live; the next clean removes what it made
    #[command(after_help = "Example:\n  millrace cancel last")]
    Cancel(RunSelector),
    /// List runs, newest first
    #[command(after_help = "Example:\n  millrace runs --json")]
    Runs(RunsArgs),
    /// Show one run: its state, its tables and its journal
    #[command(after_help = "Example:\n  millrace show last")]
    Show(RunSelector),
    /// Report on a run: what changed, why, how fast, and what to do next
    #[command(after_help = "Examples:\n  millrace report last\n  millrace report last --format html --out report.html")]
    Report(ReportArgs),
    /// Export and compare models
    #[command(subcommand)]
    Model(ModelCommand),
    /// Remove what runs have left: old tables past their grace, and with --leftovers all that no run needs any more
    #[command(
        after_help = "Examples:\n  millrace clean shop.toml                says what would go, and asks\n  millrace clean shop.toml --yes\n  millrace clean shop.toml --leftovers    also the new tables of runs that failed, were broken off, or are over"
    )]
    Clean(CleanArgs),
    /// List and export the rows that a run has left out, or try them again
    #[command(
        args_conflicts_with_subcommands = true,
        after_help = "Examples:\n  millrace rejects last\n  millrace rejects last --format csv --out rejects.csv\n  millrace rejects retry last    after their cause was removed: insert them into the live tables"
    )]
    Rejects(RejectsArgs),
    /// Compare copiers on a pipeline's databases
    #[command(subcommand)]
    Bench(BenchCommand),
    /// Compare the tables that applications use with their source, and mend what differs when asked
    #[command(
        after_help = "Examples:\n  millrace validate shop.toml --level comprehensive    names every row that differs\n  millrace validate shop.toml --tables orders,stock --json\n  millrace validate shop.toml --repair                 shows what it would copy again, and asks"
    )]
    Validate(ValidateArgs),
    /// Bring back tables that the cleaner archived before it dropped them
    #[command(
        after_help = "Examples:\n  millrace restore shop.toml archive/orders_bak_20260501093000.20260501-093000-8f3a2c.sql.zst --as orders_old\n  millrace restore shop.toml archive/    all of a folder"
    )]
    Restore(RestoreArgs),
    /// Explain an error code
    #[command(after_help = "Example:\n  millrace explain copy.rejects-exceeded")]
    Explain(ExplainArgs),
    /// List and inspect plugins
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Serve an HTTP API under which pipelines are run
    #[command(
        after_help = "Example:\n  millrace serve --pipelines /etc/millrace\n  curl -H @<(printf 'Authorization: Bearer %s' \"$(cat ~/.local/state/millrace/api-token)\") http://127.0.0.1:7077/v1/runs\n\nEvery request needs the token. Where no --token-file is named, the daemon makes one in its state folder, which only\nits own user can read, and says where it is when it listens. GET /v1/openapi.json describes the API."
    )]
    Serve(ServeArgs),
    /// Print completions for a shell
    #[command(after_help = "Example:\n  millrace completions bash > /etc/bash_completion.d/millrace")]
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Write man pages to a folder
    #[command(after_help = "Example:\n  millrace man /usr/local/share/man/man1")]
    Man {
        /// The folder; made if it is not there
        dir: PathBuf,
    },
}

/// A pipeline's file.
#[derive(Debug, Args)]
pub(crate) struct PipelineArgs {
    /// The pipeline's TOML file
    pub(crate) pipeline: PathBuf,
    /// Print facts as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `plan`.
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// The pipeline and the form of output.
    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,
    /// Write the plan to this folder: plan.json, plan.md, the SQL, and the pipeline. Must be new or empty
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Also try the plan's statements at the target, on empty tables that are gone afterwards, and say what it refuses
    #[arg(long = "try")]
    pub(crate) try_out: bool,
}

/// `apply`.
#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    /// The folder that `plan --out` wrote
    pub(crate) dir: PathBuf,
    /// The pipeline's file, where it is not the folder's own copy
    #[arg(long, value_name = "FILE")]
    pub(crate) pipeline: Option<PathBuf>,
    /// Do not wait for approval
    #[arg(long)]
    pub(crate) yes: bool,
    /// Go on although applications wrote to tables that are replaced: their rows stay in the backups
    #[arg(long)]
    pub(crate) discard_target_rows: bool,
    /// Print the outcome as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `run`.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The pipeline and the form of output.
    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,
    /// Do not wait for approval
    #[arg(long)]
    pub(crate) yes: bool,
    /// Go on although applications wrote to tables that are replaced: their rows stay in the backups
    #[arg(long)]
    pub(crate) discard_target_rows: bool,
}

/// One run.
#[derive(Debug, Args)]
pub(crate) struct RunSelector {
    /// A run's id, the beginning of one, or `last`: the last run of any pipeline, or of the one that is named
    #[arg(default_value = "last")]
    pub(crate) run: String,
    /// Only runs of the pipeline with this name
    #[arg(long, value_name = "NAME")]
    pub(crate) pipeline: Option<String>,
    /// Print facts as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `tune`.
#[derive(Debug, Args)]
pub(crate) struct TuneArgs {
    /// The run.
    #[command(flatten)]
    pub(crate) run: RunSelector,
    /// Chunks copied at once over all tables, of which no table gets more than its copier allows; 0: as planned
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=i64::from(MOST_WORKERS)))]
    pub(crate) workers: Option<u32>,
    /// Rows read a second at most, over all workers; 0: as many as the pipeline allows
    #[arg(long, value_name = "N")]
    pub(crate) rows_per_second: Option<u64>,
    /// Read no further rows until --resume
    #[arg(long, conflicts_with = "resume")]
    pub(crate) pause: bool,
    /// Go on
    #[arg(long)]
    pub(crate) resume: bool,
}

/// `rollback`.
#[derive(Debug, Args)]
pub(crate) struct RollbackArgs {
    /// The run.
    #[command(flatten)]
    pub(crate) run: RunSelector,
    /// Go back although rows were written to the new tables: they stay with these, as shadows, until they are cleaned up
    #[arg(long)]
    pub(crate) discard_new_rows: bool,
}

/// `resume` and `approve`.
#[derive(Debug, Args)]
pub(crate) struct ContinueArgs {
    /// The run.
    #[command(flatten)]
    pub(crate) run: RunSelector,
    /// Do not wait for approval
    #[arg(long)]
    pub(crate) yes: bool,
    /// Go on although applications wrote to tables that are replaced: their rows stay in the backups
    #[arg(long)]
    pub(crate) discard_target_rows: bool,
}

/// `runs`.
#[derive(Debug, Args)]
pub(crate) struct RunsArgs {
    /// Print facts as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// At most so many
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_LISTED)))]
    pub(crate) limit: u32,
    /// Only runs of the pipeline with this name
    #[arg(long, value_name = "NAME")]
    pub(crate) pipeline: Option<String>,
}

/// `report`.
#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// A run's id, the beginning of one, or `last`: the last run of any pipeline, or of the one that is named
    #[arg(default_value = "last")]
    pub(crate) run: String,
    /// Only runs of the pipeline with this name
    #[arg(long, value_name = "NAME")]
    pub(crate) pipeline: Option<String>,
    /// The report's form
    #[arg(long, value_enum, default_value_t = ReportFormat::Markdown)]
    pub(crate) format: ReportFormat,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    pub(crate) json: bool,
    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// A report's form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// One JSON object.
    Json,
    /// Markdown.
    Markdown,
    /// One self-contained page.
    Html,
}

/// `model`.
#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// Write a database's model as JSON, to be read elsewhere by `model-file`
    #[command(after_help = "Example:\n  millrace model export shop.toml --database source --out source.json")]
    Export {
        /// The pipeline's TOML file
        pipeline: PathBuf,
        /// Whose model
        #[arg(long, value_enum, default_value_t = WhichDatabase::Source)]
        database: WhichDatabase,
        /// Write to this file instead of standard output
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Say what separates the target from what the pipeline wants it to be, or one exported model from another
    #[command(
        after_help = "Examples:\n  millrace model diff shop.toml\n  millrace model diff desired.json current.json"
    )]
    Diff {
        /// The pipeline's TOML file, or an exported model: the desired one
        desired: PathBuf,
        /// An exported model: the current one
        current: Option<PathBuf>,
        /// Print facts as JSON
        #[arg(long)]
        json: bool,
    },
}

/// One of a pipeline's databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum WhichDatabase {
    /// Where the rows come from.
    Source,
    /// Where they go.
    Target,
}

/// `clean`.
#[derive(Debug, Args)]
pub(crate) struct CleanArgs {
    /// The pipeline and the form of output.
    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,
    /// Remove without asking
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) yes: bool,
    /// Only say what would be removed, and what stays and why
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Remove at once what runs left that failed, whose process is gone, that were rolled back or given up. The first two
    /// are given up: they cannot be continued any more. Runs that work or wait for approval are left alone
    #[arg(long)]
    pub(crate) leftovers: bool,
    /// Give this run up as well, which waits for approval, or which another state folder has: nobody will continue it
    #[arg(long, value_name = "RUN")]
    pub(crate) give_up: Vec<String>,
}

/// `rejects`.
#[derive(Debug, Args)]
pub(crate) struct RejectsArgs {
    /// What to do with them instead of listing them.
    #[command(subcommand)]
    pub(crate) command: Option<RejectsCommand>,
    /// A run's id, the beginning of one, or `last`: the last run of any pipeline, or of the one that is named
    #[arg(default_value = "last")]
    pub(crate) run: String,
    /// Only runs of the pipeline with this name
    #[arg(long, value_name = "NAME")]
    pub(crate) pipeline: Option<String>,
    /// Print facts as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Export in this form
    #[arg(long, value_enum, conflicts_with = "json")]
    pub(crate) format: Option<RejectsFormat>,
    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE", requires = "format")]
    pub(crate) out: Option<PathBuf>,
}

/// What may be done with rejects.
#[derive(Debug, Subcommand)]
pub(crate) enum RejectsCommand {
    /// Read the rows from the source again, convert them, and insert them into the live tables; what fails stays
    #[command(after_help = "Example:\n  millrace rejects retry last")]
    Retry(RunSelector),
}

/// In which form rejects are exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RejectsFormat {
    /// Comma-separated values with a header (RFC 4180).
    Csv,
    /// A JSON object a line.
    Jsonl,
}

/// `bench`.
#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// Let copiers copy the same rows into throw-away tables, in alternation, and compare rate, latency and cost
    #[command(
        after_help = "Examples:\n  millrace bench copy --pipeline shop.toml --table public.orders --copier copy-range --copier copy-adaptive\n  millrace bench copy --pipeline shop.toml --table orders --rows 1000000 --copier 'copy-range {\"workers\": 4}' --copier ./acme.wasm"
    )]
    Copy(BenchCopyArgs),
}

/// `bench copy`.
#[derive(Debug, Args)]
pub(crate) struct BenchCopyArgs {
    /// The pipeline whose databases, tables and converters are used; nothing of it is switched
    #[arg(long, value_name = "FILE")]
    pub(crate) pipeline: PathBuf,
    /// A copier: a first-party one's name or a component's file, and perhaps its configuration as JSON. May be repeated
    #[arg(long, value_name = "COPIER", required = true)]
    pub(crate) copier: Vec<String>,
    /// The source's table
    #[arg(long, value_name = "TABLE")]
    pub(crate) table: String,
    /// Only so many rows, the first ones
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rows: Option<u64>,
    /// How often each copier copies
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) repeat: u32,
    /// The folder in which bench-copy.json and bench-copy.html are saved
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) out: PathBuf,
    /// Print the figures as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `validate`.
#[derive(Debug, Args)]
pub(crate) struct ValidateArgs {
    /// The pipeline and the form of output.
    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,
    /// How deep to look [default: as the pipeline's validator is configured, else detailed]
    #[arg(long, value_enum)]
    pub(crate) level: Option<ValidationLevel>,
    /// Only these tables, by their names in the source or in the target, with `*` as in the pipeline
    #[arg(long, value_name = "TABLES", value_delimiter = ',')]
    pub(crate) tables: Vec<String>,
    /// Copy what differs from the source again: shows the plan, asks, and validates again
    #[arg(long)]
    pub(crate) repair: bool,
    /// Repair without asking
    #[arg(long, requires = "repair")]
    pub(crate) yes: bool,
    /// Repair although applications have written to the tables since they are live: their rows are overwritten or deleted
    #[arg(long, requires = "repair")]
    pub(crate) discard_new_rows: bool,
}

/// How deep a validation looks; each level finds what the one before finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ValidationLevel {
    /// How many rows there are.
    Basic,
    /// Also the tables' own shape, and a sample of rows.
    Standard,
    /// Every row, by digests.
    Detailed,
    /// Every row that differs by name, and rows that break the target's own rules.
    Comprehensive,
}

impl ValidationLevel {
    /// The word in a validator's configuration.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Basic => "basic",
            Self::Standard => "standard",
            Self::Detailed => "detailed",
            Self::Comprehensive => "comprehensive",
        }
    }
}

/// `restore`.
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The pipeline and the form of output.
    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,
    /// An archive, or a folder of archives
    pub(crate) archive: PathBuf,
    /// Under this name instead of the table's own; of one archive only
    #[arg(long = "as", value_name = "TABLE")]
    pub(crate) name: Option<String>,
}

/// `explain`.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The code, such as copy.rejects-exceeded. Without one: all codes
    pub(crate) code: Option<String>,
    /// Print facts as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `plugin`.
#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// List the first-party plugins
    #[command(after_help = "Example:\n  millrace plugin list --json")]
    List {
        /// Print facts as JSON
        #[arg(long)]
        json: bool,
    },
    /// Say what a plugin is, what it needs, and how it is configured
    #[command(
        after_help = "Examples:\n  millrace plugin inspect convert-oceanbase\n  millrace plugin inspect ./acme-phone.wasm"
    )]
    Inspect {
        /// A first-party plugin's name, or a component's file
        plugin: String,
        /// Print facts as JSON
        #[arg(long)]
        json: bool,
    },
}

/// `serve`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ServeArgs {
    /// Where to listen. Beyond loopback only with --token-file
    #[arg(long, default_value = "127.0.0.1:7077", value_name = "ADDRESS")]
    pub(crate) listen: SocketAddr,
    /// The folder of the pipelines' TOML files
    #[arg(long, value_name = "DIR")]
    pub(crate) pipelines: PathBuf,
    /// A file that holds the token which clients send as `Authorization: Bearer …`
    /// [default: `api-token` in the state folder, made where it is not there]
    #[arg(long, env = "MILLRACE_TOKEN_FILE", value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// A name under which clients ask this daemon, beside localhost and its addresses. May be repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) host: Vec<String>,
}
