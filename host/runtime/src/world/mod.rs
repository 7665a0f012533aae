//! One module a world. Each says how its exports are called; what worlds have in common is here: which kind of
//! stage a component is, and what a component of that kind may import.

pub(crate) mod cleaner;
pub(crate) mod converter;
pub(crate) mod copier;
pub(crate) mod differ;
pub(crate) mod model_source;
pub(crate) mod switcher;
pub(crate) mod validator;

use millrace_model::StageKind;
use wasmtime::Store;
use wasmtime::component::{Instance, Linker};

use crate::state::State;

/// The export that every world has.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)] // generated
pub(crate) mod introduction {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package millrace:host;
            world introduction { export millrace:stage/plugin@0.1.0; }
        ",
        world: "millrace:host/introduction",
    });
}

/// The exports of one world's instance.
pub(crate) trait Loadable: Sized + Send + 'static {
    /// Which world.
    const KIND: StageKind;
    /// Offers what the world imports.
    fn link(linker: &mut Linker<State>) -> wasmtime::Result<()>;
    /// Finds the exports, and looks at their types.
    fn attach(store: &mut Store<State>, instance: &Instance) -> wasmtime::Result<Self>;
}

macro_rules! by_kind {
    ($kind:expr, $world:ident => $body:expr) => {
        match $kind {
            StageKind::ModelSource => {
                type $world = model_source::Exports;
                $body
            }
            StageKind::Differ => {
                type $world = differ::Exports;
                $body
            }
            StageKind::Converter => {
                type $world = converter::Exports;
                $body
            }
            StageKind::Copier => {
                type $world = copier::Exports;
                $body
            }
            StageKind::Validator => {
                type $world = validator::Exports;
                $body
            }
            StageKind::Switcher => {
                type $world = switcher::Exports;
                $body
            }
            StageKind::Cleaner => {
                type $world = cleaner::Exports;
                $body
            }
        }
    };
}

/// Offers what plugins of this kind import.
pub(crate) fn link(kind: StageKind, linker: &mut Linker<State>) -> wasmtime::Result<()> {
    by_kind!(kind, World => World::link(linker))
}

/// Looks at the types of what an instance of this kind exports.
pub(crate) fn check_exports(kind: StageKind, store: &mut Store<State>, instance: &Instance) -> wasmtime::Result<()> {
    by_kind!(kind, World => World::attach(store, instance).map(|_| ()))
}

/// The contract's package.
const PACKAGE: &str = "millrace:stage/";
/// The version that this host speaks. A guest of another patch version fits.
const VERSION: (&str, &str) = ("0", "1");

/// Interface and version of an import or export of the contract's package.
fn of_contract(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix(PACKAGE)?.split_once('@')
}

fn is_spoken(version: &str) -> bool {
    let mut parts = version.split('.');
    (parts.next(), parts.next()) == (Some(VERSION.0), Some(VERSION.1))
}

/// Which world a component is of, by what it exports; else why it is of none.
pub(crate) fn kind_of(exports: &[String]) -> Result<StageKind, String> {
    let ours: Vec<(&str, &str)> = exports.iter().filter_map(|name| of_contract(name)).collect();
    let kinds: Vec<StageKind> = StageKind::ALL
        .into_iter()
        .filter(|kind| ours.iter().any(|(interface, _)| *interface == kind.interface()))
        .collect();
    if let Some((interface, version)) = ours.iter().find(|(_, version)| !is_spoken(version)) {
        return Err(format!(
            "it exports {interface} in version {version}, and this host speaks {}.{}",
            VERSION.0, VERSION.1
        ));
    }
    match kinds[..] {
        [kind] if ours.iter().any(|(interface, _)| *interface == "plugin") => Ok(kind),
        [kind] => Err(format!("it is a {kind} that does not introduce itself: it does not export {PACKAGE}plugin")),
        [] if exports.is_empty() => Err("it exports nothing".to_owned()),
        [] => Err(format!("it exports no stage, but {}", exports.join(", "))),
        [..] => {
            let names: Vec<&str> = kinds.iter().map(|kind| kind.interface()).collect();
            Err(format!("it exports several stages, {}: a plugin is exactly one", names.join(" and ")))
        }
    }
}

/// What a world imports from the contract, functions or types.
fn allowed(kind: StageKind) -> &'static [&'static str] {
    match kind {
        StageKind::ModelSource => &["failure", "model", "log", "progress", "catalog"],
        StageKind::Differ => &["failure", "model", "log"],
        StageKind::Converter => &["failure", "model", "columns", "log"],
        StageKind::Copier => &["failure", "model", "columns", "comparison", "log", "progress", "rows"],
        StageKind::Validator => &["failure", "comparison", "log", "progress"],
        StageKind::Switcher | StageKind::Cleaner => &["failure", "model", "log", "progress", "tables"],
    }
}

/// Refuses a component that wants more than its world gives. WASI is given to all: it is empty.
pub(crate) fn check_imports(kind: StageKind, imports: &[String]) -> Result<(), String> {
    let refused: Vec<&str> = imports
        .iter()
        .map(String::as_str)
        .filter(|name| match of_contract(name) {
            Some((interface, version)) => !allowed(kind).contains(&interface) || !is_spoken(version),
            None => !name.starts_with("wasi:"),
        })
        .collect();
    if refused.is_empty() {
        Ok(())
    } else {
        Err(format!("it imports {}, which a {kind} is not given", refused.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn a_components_exports_say_its_kind() {
        let kind = |exports: &[&str]| kind_of(&names(exports));
        assert_eq!(kind(&["millrace:stage/plugin@0.1.0", "millrace:stage/differ@0.1.0"]), Ok(StageKind::Differ));
        assert_eq!(
            kind(&["millrace:stage/plugin@0.1.3", "millrace:stage/model-source@0.1.3"]),
            Ok(StageKind::ModelSource)
        );
        for (exports, reason) in [
            (&[][..], "exports nothing"),
            (&["wasi:cli/run@0.2.0"], "exports no stage, but wasi:cli/run@0.2.0"),
            (&["millrace:stage/differ@0.1.0"], "does not introduce itself"),
            (&["millrace:stage/plugin@0.1.0", "millrace:stage/differ@0.2.0"], "differ in version 0.2.0"),
            (
                &["millrace:stage/plugin@0.1.0", "millrace:stage/differ@0.1.0", "millrace:stage/copier@0.1.0"],
                "several stages, differ and copier",
            ),
        ] {
            let error = kind(exports).expect_err(reason);
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn a_converter_is_not_given_tables() {
        let imports = names(&["millrace:stage/log@0.1.0", "wasi:io/streams@0.2.6"]);
        assert_eq!(check_imports(StageKind::Converter, &imports), Ok(()));
        let imports = names(&["millrace:stage/tables@0.1.0"]);
        let error = check_imports(StageKind::Converter, &imports).expect_err("refused");
        assert!(error.contains("millrace:stage/tables@0.1.0"), "{error}");
        assert!(check_imports(StageKind::Switcher, &imports).is_ok());
        assert!(check_imports(StageKind::Switcher, &names(&["acme:net/http"])).is_err());
    }
}
