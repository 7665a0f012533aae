//! A stage's `config` table on its way from JSON into a plugin's own type.

use millrace_model::Problem;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Reads a configuration. Empty text and `null` mean `{}`.
///
/// # Errors
/// One problem for each key that is wrong by itself, at its JSON pointer; else one for the whole table.
pub fn parse<C: DeserializeOwned>(text: &str) -> Result<C, Vec<Problem>> {
    let whole = |message: String| vec![Problem { path: String::new(), message }];
    let value = if text.trim().is_empty() {
        Value::Null
    } else {
        serde_json::from_str(text).map_err(|e| whole(format!("the configuration is not JSON: {e}")))?
    };
    let table = match value {
        Value::Null => Map::new(),
        Value::Object(table) => table,
        other => return Err(whole(format!("the configuration is a table, not {other}"))),
    };
    let error = match C::deserialize(Value::Object(table.clone())) {
        Ok(config) => return Ok(config),
        Err(error) => error,
    };
    let problems = problems_by_key::<C>(&table);
    Err(if problems.is_empty() { whole(error.to_string()) } else { problems })
}

/// Serde stops at the first error and does not say where it was. So each key is tried alone: it is wrong when
/// it fails in another way than a table without any keys does.
fn problems_by_key<C: DeserializeOwned>(table: &Map<String, Value>) -> Vec<Problem> {
    let alone = |table: Map<String, Value>| C::deserialize(Value::Object(table)).err().map(|e| e.to_string());
    let without_keys = alone(Map::new());
    table
        .iter()
        .filter_map(|(key, value)| {
            let message = alone(Map::from_iter([(key.clone(), value.clone())]))?;
            let names_another_key = message.starts_with("missing field");
            (without_keys.as_ref() != Some(&message) && !names_another_key)
                .then(|| Problem { path: pointer(&[key]), message })
        })
        .collect()
}

/// The JSON pointer (RFC 6901) of a key below other keys.
pub fn pointer(keys: &[&str]) -> String {
    keys.iter().map(|key| format!("/{}", key.replace('~', "~0").replace('/', "~1"))).collect()
}

/// The JSON Schema of a configuration.
pub fn schema<C: JsonSchema>() -> String {
    schemars::schema_for!(C).as_value().to_string()
}

/// Seconds of a duration as pipelines write it: `90s`, `30m`, `24h`, `7d`, `500ms` (rounded up).
///
/// # Errors
/// A sentence that says what a duration looks like.
pub fn seconds(text: &str) -> Result<u64, String> {
    milliseconds(text).map(|ms| ms.div_ceil(1000))
}

/// As [`seconds`], in milliseconds.
///
/// # Errors
/// A sentence that says what a duration looks like.
pub fn milliseconds(text: &str) -> Result<u64, String> {
    let refused = || format!("`{text}` is no duration: write a whole number and ms, s, m, h or d, such as `24h`");
    let trimmed = text.trim();
    let digits = trimmed.find(|c: char| !c.is_ascii_digit()).ok_or_else(refused)?;
    let (number, unit) = trimmed.split_at(digits);
    let unit: u64 = match unit.trim_start() {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(refused()),
    };
    number.parse::<u64>().ok().and_then(|n| n.checked_mul(unit)).ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize, JsonSchema, Debug, PartialEq)]
    #[serde(deny_unknown_fields, default)]
    struct Config {
        workers: u32,
        region: String,
    }

    impl Default for Config {
        fn default() -> Self {
            Self { workers: 8, region: "CN".to_owned() }
        }
    }

    #[test]
    fn nothing_null_and_an_empty_table_are_the_defaults() {
        for text in ["", "null", "{}"] {
            assert_eq!(parse::<Config>(text), Ok(Config::default()), "{text:?}");
        }
    }

    #[test]
    fn every_wrong_key_is_named_by_its_pointer() {
        let problems = parse::<Config>(r#"{"workers": "many", "region": "DE", "a/b": 1}"#).unwrap_err();
        let paths: Vec<&str> = problems.iter().map(|p| p.path.as_str()).collect();
        assert_eq!(paths, ["/workers", "/a~1b"]);
        assert!(problems[1].message.contains("unknown field"), "{}", problems[1].message);
    }

    #[test]
    fn what_is_no_table_is_refused_as_a_whole() {
        for text in ["[1]", "{", "7"] {
            assert_eq!(parse::<Config>(text).unwrap_err()[0].path, "", "{text:?}");
        }
    }

    #[test]
    fn the_schema_names_the_keys() {
        let schema: Value = serde_json::from_str(&schema::<Config>()).unwrap();
        assert_eq!(schema["properties"]["workers"]["default"], 8);
        assert_eq!(schema["additionalProperties"], false);
    }

    #[test]
    fn durations_have_a_number_and_a_unit() {
        assert_eq!(seconds("90s"), Ok(90));
        assert_eq!(seconds("24h"), Ok(86_400));
        assert_eq!(seconds("7d"), Ok(604_800));
        assert_eq!(milliseconds("30 s"), Ok(30_000));
        assert_eq!(seconds("1ms"), Ok(1));
        for text in ["", "24", "h", "-1s", "1.5h", "99999999999999999999d"] {
            assert!(seconds(text).is_err(), "{text:?}");
        }
    }
}
