//! The contract in `wit/` parses, has the seven worlds, gives none of them more than it should, and documents
//! every line.

use std::path::PathBuf;

use wit_parser::{Docs, InterfaceId, PackageId, Resolve, TypeDefKind, WorldItem, WorldKey};

fn contract() -> (Resolve, PackageId) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(&folder).expect("the contract parses");
    (resolve, package)
}

fn interface_names<'a>(
    resolve: &'a Resolve,
    items: impl Iterator<Item = (&'a WorldKey, &'a WorldItem)>,
) -> Vec<String> {
    items
        .map(|(key, _)| match key {
            WorldKey::Interface(id) => resolve.interfaces[*id].name.clone().expect("it has a name"),
            WorldKey::Name(name) => panic!("{name} is no interface"),
        })
        .collect()
}

/// World, what it exports besides `plugin`, and what it imports at most.
const WORLDS: [(&str, &str, &[&str]); 7] = [
    ("cleaner-plugin", "cleaner", &["log", "progress", "tables", "model", "failure"]),
    ("converter-plugin", "converter", &["log", "model", "columns", "failure"]),
    ("copier-plugin", "copier", &["log", "progress", "rows", "comparison", "model", "columns", "failure"]),
    ("differ-plugin", "differ", &["log", "model", "failure"]),
    ("model-source-plugin", "model-source", &["log", "progress", "catalog", "model", "failure"]),
    ("switcher-plugin", "switcher", &["log", "progress", "tables", "model", "failure"]),
    ("validator-plugin", "validator", &["log", "progress", "comparison", "failure"]),
];

#[test]
fn there_are_seven_worlds_and_each_exports_one_kind() {
    let (resolve, package) = contract();
    let name = &resolve.packages[package].name;
    assert_eq!(name.to_string(), "millrace:stage@0.1.0");
    let mut worlds: Vec<&str> = resolve.packages[package].worlds.keys().map(String::as_str).collect();
    worlds.sort_unstable();
    assert_eq!(worlds, WORLDS.map(|(world, _, _)| world));
    for (world, kind, _) in WORLDS {
        let world = &resolve.worlds[resolve.packages[package].worlds[world]];
        assert_eq!(interface_names(&resolve, world.exports.iter()), ["plugin", kind], "{}", world.name);
    }
}

#[test]
fn no_world_can_do_more_than_its_kind_needs() {
    let (resolve, package) = contract();
    for (world, _, allowed) in WORLDS {
        let world = &resolve.worlds[resolve.packages[package].worlds[world]];
        for import in interface_names(&resolve, world.imports.iter()) {
            assert!(allowed.contains(&import.as_str()), "{} imports {import}", world.name);
        }
    }
}

#[test]
fn every_function_record_field_and_case_is_documented() {
    let (resolve, package) = contract();
    let mut missing = Vec::new();
    let mut look = |docs: &Docs, place: String| {
        if docs.contents.is_none() {
            missing.push(place);
        }
    };
    for (name, world) in &resolve.packages[package].worlds {
        look(&resolve.worlds[*world].docs, format!("world {name}"));
    }
    for (name, id) in &resolve.packages[package].interfaces {
        look(&resolve.interfaces[*id].docs, format!("interface {name}"));
        look_into(&resolve, *id, &mut |docs, item| look(docs, format!("{name}.{item}")));
    }
    assert!(missing.is_empty(), "not documented: {missing:#?}");
}

fn look_into(resolve: &Resolve, id: InterfaceId, look: &mut impl FnMut(&Docs, String)) {
    let interface = &resolve.interfaces[id];
    for (name, function) in &interface.functions {
        look(&function.docs, name.clone());
    }
    for (name, id) in &interface.types {
        let definition = &resolve.types[*id];
        match &definition.kind {
            TypeDefKind::Type(_) => continue,
            TypeDefKind::Record(record) => {
                record.fields.iter().for_each(|field| look(&field.docs, format!("{name}.{}", field.name)));
            }
            TypeDefKind::Enum(choices) => {
                choices.cases.iter().for_each(|case| look(&case.docs, format!("{name}.{}", case.name)));
            }
            TypeDefKind::Variant(variant) => {
                variant.cases.iter().for_each(|case| look(&case.docs, format!("{name}.{}", case.name)));
            }
            _ => {}
        }
        look(&definition.docs, name.clone());
    }
}
