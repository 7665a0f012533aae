//! Where a component keeps the plugin between calls.

use std::cell::RefCell;
use std::rc::Rc;

use millrace_model::Failure;

use super::bindings::millrace::stage::failure::Error;
use super::convert;

/// Empty until `configure` has succeeded.
pub struct Slot<P>(RefCell<Option<Rc<P>>>);

impl<P> Slot<P> {
    /// Before `configure`.
    pub const fn empty() -> Self {
        Self(RefCell::new(None))
    }

    /// Keeps the plugin; an earlier one is let go.
    pub fn keep(&self, plugin: P) {
        *self.0.borrow_mut() = Some(Rc::new(plugin));
    }
}

/// A plugin that the component keeps; `export!` implements it.
pub trait Kept: Sized + 'static {
    /// Gives access to the component's one slot.
    fn with_slot<R>(action: impl FnOnce(&Slot<Self>) -> R) -> R;
}

/// Calls the plugin; its failure crosses as the contract's error.
pub(super) fn call<P: Kept, R>(action: impl FnOnce(&P) -> Result<R, Failure>) -> Result<R, Error> {
    let plugin = P::with_slot(|slot| slot.0.borrow().clone());
    let called = match plugin {
        Some(plugin) => action(&plugin),
        None => {
            Err(Failure::internal("plugin.not-configured", "the plugin was called before `configure` had succeeded"))
        }
    };
    called.map_err(convert::failure_out)
}
