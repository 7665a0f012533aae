//! The command line: what may be said. What it means is in [`crate::command`].

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Moves tables from one database to another while people depend on both.
#[derive(Debug, Parser)]
#[command(name = "millrace", version, propagate_version = true, subcommand_required = true)]
#[command(after_help = "Examples:
  millrace check shop.toml           is the pipeline right, and do both databases answer?
  millrace plan shop.toml            what would a run do? Changes nothing.
  millrace run shop.toml             do it
  millrace rollback last             the old tables again

Exit codes: 0 done, 1 failed with nothing switched, 2 the pipeline or the command is wrong,
3 validation found differences, 4 waiting for approval, 5 rolled back.")]
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
    /// [default: $XDG_STATE_HOME/millrace, or ~/.local/state/millrace]
    #[arg(long, global = true, env = "MILLRACE_STATE", value_name = "DIR", help_heading = "Global options")]
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
        after_help = "Examples:\n  millrace plan shop.toml\n  millrace plan shop.toml --out review/   plan.json, plan.md and SQL files, to carry to `millrace apply`"
    )]
    Plan(PlanArgs),
    /// Carry out a plan made elsewhere; refused if the target no longer is what the plan was made for
    #[command(after_help = "Example:\n  millrace apply review/ --yes")]
    Apply(ApplyArgs),
    /// Plan and carry out: build new tables beside the old, copy, prove, swap names
    #[command(
        after_help = "Examples:\n  millrace run shop.toml\n  millrace run shop.toml --yes    without waiting for approval"
    )]
    Run(RunArgs),
    /// Continue a run that was interrupted or failed
    #[command(after_help = "Example:\n  millrace resume last")]
    Resume(ContinueArgs),
    /// Approve a run that waits, and continue it
    #[command(after_help = "Example:\n  millrace approve last")]
    Approve(ContinueArgs),
    /// Bring back the old tables of a run, until they have been cleaned up
    #[command(
        after_help = "Examples:\n  millrace rollback last\n  millrace rollback last --discard-new-rows    although rows were written to the new tables"
    )]
    Rollback(RollbackArgs),
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
    /// Remove backups past their grace, and shadows of dead runs
    #[command(
        after_help = "Examples:\n  millrace clean shop.toml          says what would go, and asks\n  millrace clean shop.toml --yes"
    )]
    Clean(CleanArgs),
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
    #[command(after_help = "Example:\n  millrace serve --listen 127.0.0.1:7077 --pipelines /etc/millrace")]
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
}

/// One run.
#[derive(Debug, Args)]
pub(crate) struct RunSelector {
    /// A run's id, the beginning of one, or `last`
    #[arg(default_value = "last")]
    pub(crate) run: String,
    /// Print facts as JSON
    #[arg(long)]
    pub(crate) json: bool,
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
}

/// `runs`.
#[derive(Debug, Args)]
pub(crate) struct RunsArgs {
    /// Print facts as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// At most so many
    #[arg(long, default_value_t = 20)]
    pub(crate) limit: u32,
}

/// `report`.
#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// A run's id, the beginning of one, or `last`
    #[arg(default_value = "last")]
    pub(crate) run: String,
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
    #[arg(long)]
    pub(crate) yes: bool,
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
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
}
