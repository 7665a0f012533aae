//! What a plugin author depends on.
//!
//! A plugin is a crate of type `cdylib` with one type that implements [`Plugin`] and the trait of its kind
//! (one of [`kind`]), and one line, `millrace_plugin_sdk::export!(MyPlugin as converter);`, which makes the
//! crate a component of that kind's world when it is built for `wasm32-wasip2`. Built natively, the same
//! crate is an ordinary library: its unit tests call the traits, with doubles of the [`handle`]s that the
//! host would lend.
//!
//! The life of an instance: the host calls `describe`, then `configure` once with the stage's `config`
//! table; the instance is kept, and every later call goes to it. An instance is used by one thread at a
//! time; the host makes several where it wants to run in parallel, so nothing that one call leaves behind
//! may matter to the next.
//!
//! [`view`] and [`build`] read and make columns; [`log`] talks to the host, and [`progress`] says whether to go on.

pub mod build;
pub mod configuration;
#[doc(hidden)]
pub mod glue;
pub mod handle;
pub mod kind;
pub mod log;
pub mod progress;
pub mod row;
pub mod view;

pub use millrace_columnar as columnar;
pub use millrace_columnar::{Array, Values};
pub use millrace_model as model;
pub use millrace_model::{Failure, Fault, Problem};
pub use schemars;
pub use serde;
pub use serde_json;

pub use kind::{Cleaner, Conversion, Converted, Converter, Copier, Differ, ModelSource, Plugin, Switcher, Validator};

/// Makes the crate a component of one kind's world: `export!(MyPlugin as converter)`. The kinds are
/// `model_source`, `differ`, `converter`, `copier`, `validator`, `switcher` and `cleaner`; `model-source` may be
/// written so, too. On other targets than WebAssembly it only checks that the type implements its kind's trait.
#[macro_export]
macro_rules! export {
    ($plugin:ty as model-source) => {
        $crate::__export_kind!($plugin, model_source, ModelSource);
    };
    ($plugin:ty as model_source) => {
        $crate::__export_kind!($plugin, model_source, ModelSource);
    };
    ($plugin:ty as differ) => {
        $crate::__export_kind!($plugin, differ, Differ);
    };
    ($plugin:ty as converter) => {
        $crate::__export_kind!($plugin, converter, Converter);
    };
    ($plugin:ty as copier) => {
        $crate::__export_kind!($plugin, copier, Copier);
    };
    ($plugin:ty as validator) => {
        $crate::__export_kind!($plugin, validator, Validator);
    };
    ($plugin:ty as switcher) => {
        $crate::__export_kind!($plugin, switcher, Switcher);
    };
    ($plugin:ty as cleaner) => {
        $crate::__export_kind!($plugin, cleaner, Cleaner);
    };
}

/// What [`export!`] expands to, for every kind.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_kind {
    ($plugin:ty, $kind:ident, $trait:ident) => {
        const _: () = {
            const fn implements_its_kind<P: $crate::kind::$trait>() {}
            implements_its_kind::<$plugin>();
        };
        #[cfg(target_family = "wasm")]
        const _: () = {
            thread_local! {
                static INSTANCE: $crate::glue::instance::Slot<$plugin> =
                    const { $crate::glue::instance::Slot::empty() };
            }
            impl $crate::glue::instance::Kept for $plugin {
                fn with_slot<R>(action: impl FnOnce(&$crate::glue::instance::Slot<Self>) -> R) -> R {
                    INSTANCE.with(action)
                }
            }
            type Component = $crate::glue::Component<$plugin>;
    $crate::glue::plugin::export_plugin!(Component with_types_in $crate::glue::plugin);
    $crate::glue::$kind::export_kind!(Component with_types_in $crate::glue::$kind);
        };
    };
}

/// The README's converter compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
