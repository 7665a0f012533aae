//! Pipelines that are right, and everything that can be wrong with one.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use millrace_model::stage::{Problem, StageKind};
use millrace_pipeline::{
    Color, ContentDigest, DEFAULT_RETRIES, DatabaseName, Diagnostic, KNOWN_KEYS, OnFailure, Pipeline, PluginReference,
    Rejects, Resolver, render, summary,
};
use secrecy::{ExposeSecret, SecretString};

const PASSWORD: &str = "hush-hush";

/// An environment in which everything is set, but for what is named after something missing.
struct Everything;

impl Resolver for Everything {
    fn variable(&self, name: &str) -> Option<SecretString> {
        match name {
            "MISSING" => None,
            "REDIS" => Some("redis://h".into()),
            _ if name.contains("TARGET") => Some(format!("mysql://root:{PASSWORD}@h:2881/shop").into()),
            _ => Some(format!("postgres://root:{PASSWORD}@h:5432/shop").into()),
        }
    }

    fn file(&self, path: &Path) -> Result<SecretString, String> {
        if path == Path::new("/missing") {
            Err("No such file or directory".into())
        } else {
            Ok(format!("mysql://root:{PASSWORD}@h:2881/shop\n").into())
        }
    }
}

const HEAD: &str = r#"
name = "shop"
[databases.source]
url = "${env:SOURCE}"
[databases.target]
url = "${env:TARGET}"
"#;

const MODELS: &str = r#"
[[stage]]
plugin = "model-postgres"
database = "source"
[[stage]]
plugin = "model-oceanbase"
database = "target"
"#;

fn stages(plugins: &[&str]) -> String {
    plugins.iter().map(|plugin| format!("[[stage]]\nplugin = \"{plugin}\"\n")).collect()
}

fn parse(text: &str) -> Pipeline {
    Pipeline::parse(text, &Everything).unwrap_or_else(|d| panic!("{}", render(&d, text, "test.toml", Color::Plain)))
}

fn wrong(text: &str) -> Vec<Diagnostic> {
    Pipeline::parse(text, &Everything).expect_err("something is wrong with it")
}

/// What is wrong, as code and what stands in the text there.
fn found(diagnostics: &[Diagnostic], text: &str) -> Vec<(String, String)> {
    diagnostics.iter().map(|d| (d.code.clone(), text[d.span.clone()].to_owned())).collect()
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(code, part)| ((*code).to_owned(), (*part).to_owned())).collect()
}

/// Kinds as the first-party plugins have them; what is not known here is a converter.
fn kinds(pipeline: &Pipeline) -> Vec<Option<StageKind>> {
    let kind = |plugin: &PluginReference| match plugin.to_string().split('-').next().unwrap_or_default() {
        "model" => StageKind::ModelSource,
        "differ" => StageKind::Differ,
        "copy" => StageKind::Copier,
        "validate" => StageKind::Validator,
        "switch" => StageKind::Switcher,
        "clean" => StageKind::Cleaner,
        _ => StageKind::Converter,
    };
    pipeline.stages.iter().map(|stage| Some(kind(&stage.plugin))).collect()
}

fn checked(text: &str) -> Vec<(String, String)> {
    let pipeline = parse(text);
    found(&pipeline.check_stages(&kinds(&pipeline), &[]), text)
}

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pipelines").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn every_pipeline_that_we_ship_is_right() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pipelines");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let name = entry.expect("it is readable").file_name().into_string().expect("it has a plain name");
        let text = file(&name);
        assert_eq!(checked(&text), [], "{name}");
        count += 1;
    }
    assert!(count >= 5, "{count} pipelines");
}

#[test]
fn the_reference_names_every_key() {
    let reference: toml::Table = file("reference.toml").parse().expect("it is TOML");
    let mut named: BTreeMap<String, Vec<String>> = BTreeMap::new();
    collect("", &toml::Value::Table(reference), &mut named);
    for (place, keys) in KNOWN_KEYS {
        for key in *keys {
            let there = named.get(*place).is_some_and(|named| named.iter().any(|n| n == key));
            assert!(there, "reference.toml does not name the key `{key}` of [{place}]");
        }
    }
}

fn collect(place: &str, value: &toml::Value, named: &mut BTreeMap<String, Vec<String>>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                named.entry(place.to_owned()).or_default().push(key.clone());
                let inner = if place.is_empty() { key.clone() } else { format!("{place}.{key}") };
                collect(&inner, value, named);
            }
        }
        toml::Value::Array(items) => items.iter().for_each(|item| collect(place, item, named)),
        _ => {}
    }
}

#[test]
fn a_whole_pipeline_is_read() {
    let text = file("reference.toml");
    let pipeline = parse(&text);
    assert_eq!(pipeline.name, "reference");
    let target = pipeline.databases.get(DatabaseName::Target);
    assert_eq!(target.template.as_deref(), Some("${file:/run/secrets/target_url}"));
    let url = target.url.as_ref().expect("it has one").expose_secret();
    assert_eq!(url, format!("mysql://root:{PASSWORD}@h:2881/shop"), "the file's last newline is no part of it");
    assert_eq!(pipeline.stages[1].file.as_deref(), Some(Path::new("target.json")));
    assert!(matches!(&pipeline.stages[3].plugin, PluginReference::File { sha256: Some(_), .. }));
    assert_eq!(pipeline.stages[3].config, serde_json::json!({ "region": "CN" }));
    assert_eq!(pipeline.stages[5].rejects, Rejects::default());
    let health = pipeline.stages[7].health.as_ref().expect("it has one");
    assert_eq!(health.within, Duration::from_secs(30));
    assert_eq!(pipeline.stages[7].before.as_ref().map(ToString::to_string).as_deref(), Some("systemctl stop shop"));
}

#[test]
fn a_pipeline_is_neither_printed_nor_serialised_with_its_secrets() {
    let text = file("full.toml");
    let pipeline = parse(&text);
    let printed = format!("{pipeline:?} {pipeline:#?} {}", serde_json::to_string(&pipeline).expect("plain data"));
    assert!(!printed.contains(PASSWORD));
    assert!(printed.contains("${env:SHOP_SOURCE_URL}"));
    assert_eq!(pipeline.digest(), ContentDigest::of(text.as_bytes()).as_str());
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let text = r#"name = "my shop"
nmae = "x"
[databases.source]
url = "${env:MISSING}"
dialekt = "postgres"
[databases.target]
url = "mysql://root:hunter2@h/db"
[tables]
include = ["a.b.c.d", 7]
rename = { "public.a" = "x", "public.b" = "X", "c.*" = "y" }
[[stage]]
plugin = "model-postgres"
database = "sourec"
sha256 = "abc"
[[stage]]
plugin = "copy-range"
rejects = { keep = "yes", at_most = 2 }
config = { list = [1, { deep = nan }], path = "${env:X}" }
[[stage]]
plugin = "switch-rename"
before = []
after = ["", "x"]
health = { url = "ftp://x", within = "soon" }
[[stage]]
columns = ["phone"]
"#;
    let diagnostics = wrong(text);
    let expected = pairs(&[
        ("pipeline.bad-name", "\"my shop\""),
        ("pipeline.unknown-key", "nmae"),
        ("pipeline.unset-variable", "${env:MISSING}"),
        ("pipeline.unknown-key", "dialekt"),
        ("pipeline.password-in-text", "\"mysql://root:hunter2@h/db\""),
        ("pipeline.bad-pattern", "\"a.b.c.d\""),
        ("pipeline.wrong-type", "7"),
        ("pipeline.renamed-to-one", "\"X\""),
        ("pipeline.bad-pattern", "\"c.*\" = \"y\""),
        ("pipeline.unknown-database", "\"sourec\""),
        ("pipeline.bad-sha256", "\"abc\""),
        ("pipeline.wrong-type", "\"yes\""),
        ("pipeline.bad-ratio", "2"),
        ("pipeline.wrong-type", "nan"),
        ("pipeline.variable-not-allowed", "\"${env:X}\""),
        ("pipeline.bad-hook", "[]"),
        ("pipeline.bad-hook", "[\"\", \"x\"]"),
        ("pipeline.bad-health-url", "\"ftp://x\""),
        ("pipeline.bad-duration", "\"soon\""),
        ("pipeline.missing-key", "[[stage]]"),
        ("pipeline.bad-pattern", "\"phone\""),
    ]);
    assert_eq!(found(&diagnostics, text), expected);
    let shown = render(&diagnostics, text, "shop.toml", Color::Plain);
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(shown.contains("shop.toml:2:1"), "{shown}");
    assert!(shown.contains("nmae = \"x\""), "the line itself is shown:\n{shown}");
    assert!(shown.contains("did you mean `name`?"), "{shown}");
    assert!(shown.contains("shop.toml: 21 problems"), "{shown}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics.txt");
    if std::env::var_os("MILLRACE_REGENERATE").is_some() {
        std::fs::write(&path, &shown).expect("the snapshot is writable");
    }
    let kept = std::fs::read_to_string(&path).expect("the snapshot is there");
    assert_eq!(shown, kept, "if that is meant, run again with MILLRACE_REGENERATE=1 and read the difference");
    let failure = summary(&diagnostics, "shop.toml");
    assert_eq!((failure.code.as_str(), failure.fields.len()), ("pipeline.invalid", 21));
    assert!(!failure.to_string().contains("hunter2"));
    let json = serde_json::to_value(&diagnostics[1]).expect("plain data");
    assert_eq!(json["line"], 2);
    assert_eq!(json["help"], "did you mean `name`?");
}

#[test]
fn a_line_that_is_not_toml_is_shown_with_its_neighbours_mistakes() {
    let text = format!("{HEAD}[tables]\ninclude = [\"public.*\nexclude = [1]\n{MODELS}");
    let diagnostics = wrong(&text);
    assert!(diagnostics.iter().any(|d| d.code == "pipeline.syntax" && d.line == 8), "{diagnostics:#?}");
    let text = format!("{HEAD}name = \"again\"\nurl = \"twice\"\n{MODELS}");
    let diagnostics = wrong(&text);
    assert!(diagnostics.iter().any(|d| d.code == "pipeline.syntax"), "{diagnostics:#?}");
    assert!(wrong("").iter().all(|d| d.code == "pipeline.missing-key"));
    assert_eq!(wrong("").len(), 3);
}

#[test]
fn a_url_is_one_of_a_database_that_is_known() {
    let with = |source: &str| {
        let text = format!("{HEAD}{MODELS}").replace("${env:SOURCE}\"", source);
        found(&wrong(&text), &text)
    };
    assert_eq!(with("${env:REDIS}\"")[0].0, "pipeline.unknown-database");
    assert_eq!(with("${file:/missing}\""), pairs(&[("pipeline.unreadable-secret", "${file:/missing}")]));
    assert_eq!(with("${vault:x}\"")[0], ("pipeline.bad-variable".into(), "${vault:x}".into()));
    assert_eq!(with("${env:SOURCE}\"\ndialect = \"mysql\"")[0].0, "pipeline.unknown-dialect");
    assert_eq!(with("${env:SOURCE}\"\ndialect = \"postgrse\"")[0].0, "pipeline.unknown-dialect");
}

#[test]
fn stages_are_checked_when_their_kinds_are_known() {
    let plan = format!("{HEAD}{MODELS}{}", stages(&["differ", "convert-oceanbase"]));
    assert_eq!(checked(&plan), []);
    let whole = ["differ", "./v.wasm", "convert-oceanbase", "copy-range", "validate", "switch-rename", "clean-expired"];
    assert_eq!(checked(&format!("{HEAD}{MODELS}{}", stages(&whole))), []);

    let unproved = ["differ", "convert-oceanbase", "copy-range", "switch-rename"];
    let expected = pairs(&[("pipeline.switch-without-validator", "\"switch-rename\"")]);
    assert_eq!(checked(&format!("{HEAD}{MODELS}{}", stages(&unproved))), expected);

    let late = ["differ", "convert-oceanbase", "copy-range", "switch-rename", "validate"];
    let expected = pairs(&[("pipeline.stage-order", "\"validate\"")]);
    assert_eq!(checked(&format!("{HEAD}{MODELS}{}", stages(&late))), expected);

    let twice = ["differ", "differ", "convert-oceanbase", "convert-oceanbase", "copy-range", "copy-fast"];
    let expected = pairs(&[
        ("pipeline.stage-twice", "\"differ\""),
        ("pipeline.stage-twice", "\"convert-oceanbase\""),
        ("pipeline.stage-twice", "\"copy-fast\""),
    ]);
    assert_eq!(checked(&format!("{HEAD}{MODELS}{}", stages(&twice))), expected);

    let found = checked(&format!("{HEAD}{MODELS}{}", stages(&["differ"])));
    assert_eq!(found, pairs(&[("pipeline.stage-missing", "[[stage]]")]), "no converter");

    let found = checked(&format!("{HEAD}{}{MODELS}", stages(&["differ", "convert-oceanbase"])));
    assert_eq!(found.len(), 2, "both model sources stand too late: {found:?}");

    let found = checked(&format!("{HEAD}{}", stages(&["model-postgres", "differ", "validate"])));
    let codes: Vec<&str> = found.iter().map(|(code, _)| code.as_str()).collect();
    assert_eq!(codes, ["pipeline.stage-missing", "pipeline.missing-key", "pipeline.stage-missing"], "{found:?}");
}

#[test]
fn a_key_is_for_its_kind_of_stage() {
    let text = format!(
        "{HEAD}{MODELS}{}rejects = {{}}\napprove = true\n{}database = \"source\"\ncolumns = [\"a.b\"]\n{}approve = true\n",
        stages(&["differ"]),
        stages(&["convert-oceanbase"]),
        stages(&["copy-range"])
    );
    let expected = pairs(&[
        ("pipeline.key-of-other-kind", "{}"),
        ("pipeline.key-of-other-kind", "true"),
        ("pipeline.key-of-other-kind", "\"source\""),
        // The copy would not wait for anybody.
        ("pipeline.key-of-other-kind", "true"),
    ]);
    assert_eq!(checked(&text), expected);
}

#[test]
fn a_model_source_has_something_to_read() {
    let text = file("plan-from-files.toml").replace("file = \"source.json\"\n", "");
    assert_eq!(checked(&text), pairs(&[("pipeline.missing-key", "\"source\"")]));
}

#[test]
fn what_a_plugin_says_about_its_configuration_is_shown_where_it_stands() {
    let text = format!(
        "{HEAD}{MODELS}{}config = {{ limits = [1, {{ \"a/b\" = \"deep\" }}], rate = 0x10 }}\n{}",
        stages(&["differ"]),
        stages(&["convert-oceanbase"])
    );
    let pipeline = parse(&text);
    assert_eq!(pipeline.stages[2].config, serde_json::json!({ "limits": [1, { "a/b": "deep" }], "rate": 16 }));
    let problem = |path: &str| Problem { path: path.into(), message: "no".into() };
    let mut problems = vec![Vec::new(); 4];
    problems[2] = vec![problem("/limits/1/a~1b"), problem("/limits/1/missing"), problem("/rate"), problem("")];
    problems[3] = vec![problem("/workers")];
    let diagnostics = pipeline.check_stages(&kinds(&pipeline), &problems);
    assert!(diagnostics.iter().all(|d| d.code == "pipeline.bad-config"));
    let mut places: Vec<&str> = diagnostics.iter().map(|d| &text[d.span.clone()]).collect();
    places.sort_unstable();
    let whole = "{ limits = [1, { \"a/b\" = \"deep\" }], rate = 0x10 }";
    assert_eq!(places, ["\"convert-oceanbase\"", "\"deep\"", "0x10", "{ \"a/b\" = \"deep\" }", whole]);
}

#[test]
fn a_component_is_pinned_by_its_content() {
    let text = format!("{HEAD}{MODELS}{}", stages(&["./v.wasm", "differ"]));
    let found = ContentDigest::of(b"content");
    let missing = parse(&text).check_digest(2, &found).expect("it is not pinned");
    assert_eq!(missing.code, "pipeline.sha256-missing");
    assert!(missing.help.expect("it helps").contains(&format!("sha256 = \"{found}\"")));
    assert!(parse(&text).check_digest(3, &found).is_none(), "a first-party plugin is not pinned");

    let pinned = |digest: &str| text.replace("./v.wasm\"\n", &format!("./v.wasm\"\nsha256 = \"{digest}\"\n"));
    assert!(parse(&pinned(&found.as_str().to_uppercase())).check_digest(2, &found).is_none());
    let other = parse(&pinned(&"0".repeat(64))).check_digest(2, &found).expect("it is another one");
    assert_eq!(other.code, "pipeline.sha256-differs");

    let named = text.replace("\"differ\"\n", &format!("\"differ\"\nsha256 = \"{found}\"\n"));
    assert_eq!(wrong(&named)[0].code, "pipeline.bad-sha256");
}

#[test]
fn a_plugin_that_nobody_has_is_named_with_one_that_is_there() {
    let text = format!("{HEAD}{MODELS}{}", stages(&["diffre"]));
    let diagnostics = parse(&text).check_names(&["model-postgres", "model-oceanbase", "differ"]);
    assert_eq!(found(&diagnostics, &text), pairs(&[("pipeline.unknown-plugin", "\"diffre\"")]));
    assert_eq!(diagnostics[0].help.as_deref(), Some("did you mean `differ`?"));
    let shouted = format!("{HEAD}{MODELS}{}", stages(&["Differ"]));
    assert_eq!(wrong(&shouted)[0].code, "pipeline.unknown-plugin");
}

#[test]
fn nothing_that_is_written_makes_the_parser_fall_over() {
    let whole = file("reference.toml");
    for cut in (0..whole.len()).filter(|&at| whole.is_char_boundary(at)).step_by(7) {
        let text = &whole[..cut];
        if let Err(diagnostics) = Pipeline::parse(text, &Everything) {
            render(&diagnostics, text, "cut.toml", Color::Styled);
        }
    }
    let odd = [
        "\u{0}",
        "\u{feff}",
        "stage = 1",
        "[[stage]]",
        "stage = []",
        "databases = 1",
        "name = \"ä\u{7}\"",
        "[[[",
        "ä = ",
    ];
    for text in odd {
        let diagnostics = wrong(text);
        assert!(!diagnostics.is_empty(), "{text:?}");
        render(&diagnostics, text, "odd.toml", Color::Plain);
    }
}

#[test]
fn a_stage_says_how_often_it_is_tried_again_and_what_becomes_of_its_failure() {
    let text = format!("{HEAD}patience = \"5s\"\n{MODELS}") + &stages(&["differ", "convert-oceanbase"]);
    let pipeline = parse(&text);
    assert_eq!(pipeline.databases.target.patience, Some(Duration::from_secs(5)));
    assert_eq!(pipeline.databases.source.patience, None);
    assert!(pipeline.stages.iter().all(|stage| stage.retries == DEFAULT_RETRIES && stage.on_failure.is_none()));

    let text = text.replace("\"convert-oceanbase\"", "\"convert-oceanbase\"\nretries = 0\non_failure = \"stop\"");
    let stage = &parse(&text).stages[3];
    assert_eq!((stage.retries, stage.on_failure), (0, Some(OnFailure::Stop)));

    let with = |keys: &str| {
        let text = text.replace("retries = 0\non_failure = \"stop\"", keys);
        found(&wrong(&text), &text)
    };
    assert_eq!(with("retries = 1.5"), pairs(&[("pipeline.bad-retries", "1.5")]));
    assert_eq!(with("retries = -1"), pairs(&[("pipeline.bad-retries", "-1")]));
    assert_eq!(with("retries = 101"), pairs(&[("pipeline.bad-retries", "101")]));
    assert_eq!(with("rows_per_second = 0.5"), pairs(&[("pipeline.bad-rate", "0.5")]));
    assert_eq!(with("rows_per_second = -1"), pairs(&[("pipeline.bad-rate", "-1")]));
    assert_eq!(with("retries = \"3\""), pairs(&[("pipeline.wrong-type", "\"3\"")]));
    assert_eq!(with("on_failure = \"rolback\""), pairs(&[("pipeline.bad-policy", "\"rolback\"")]));
    let text = text.replace("\"5s\"", "\"0s\"");
    assert_eq!(found(&wrong(&text), &text), pairs(&[("pipeline.bad-duration", "\"0s\"")]));
}

#[test]
fn a_stage_is_told_only_what_it_can_do_on_failure() {
    let all = ["differ", "convert-oceanbase", "copy-range", "validate", "switch-rename", "clean-expired"];
    let text = format!("{HEAD}{MODELS}") + &stages(&all);
    for (plugin, refused) in [
        ("differ", &["rollback", "continue"][..]),
        ("convert-oceanbase", &["rollback", "continue"]),
        ("copy-range", &["continue"]),
        ("validate", &["continue"]),
        ("switch-rename", &["continue"]),
        ("clean-expired", &["rollback"]),
    ] {
        for policy in ["stop", "rollback", "continue"] {
            let line = format!("plugin = \"{plugin}\"\n");
            let text = text.replace(&line, &format!("{line}on_failure = \"{policy}\"\n"));
            let expected = if refused.contains(&policy) {
                pairs(&[("pipeline.bad-policy", &format!("\"{policy}\""))])
            } else {
                Vec::new()
            };
            assert_eq!(checked(&text), expected, "{plugin} {policy}");
        }
    }
    assert_eq!(OnFailure::of_kind(StageKind::Switcher), OnFailure::Rollback);
    assert_eq!(OnFailure::of_kind(StageKind::Cleaner), OnFailure::Continue);
    assert_eq!(OnFailure::of_kind(StageKind::Validator), OnFailure::Stop);
}

#[test]
fn a_file_of_another_kind_is_one_mistake_and_not_one_for_each_of_its_lines() {
    let prose = "# Notes\n".to_owned() + &"This is a line of text, and no pipeline.\n".repeat(700);
    let model = "{\n".to_owned() + &"  \"format\": 1,\n".repeat(700) + "}\n";
    for text in [prose, model] {
        let diagnostics = wrong(&text);
        assert_eq!(diagnostics.len(), 1, "{diagnostics:?}");
        assert!(diagnostics[0].message.starts_with("this is no pipeline"), "{}", diagnostics[0].message);
    }
}
