//! Between the contract's types and the SDK's traits. What a plugin author never sees.
//!
//! `bindings` holds the interfaces that the host offers and all shared types, generated once; each kind's
//! module generates its exported interface upon them, and implements it for [`Component`] by calling the trait of
//! that kind on the [`instance`] that `configure` made. [`convert`] is the one place where a shared type crosses.
//!
//! Generated code describes each world in a custom section. The part that demands exports is emitted by the
//! export macros alone, in the plugin's own crate, so that a component exports one kind although all seven are
//! compiled here; imports that nobody calls are dropped when the component is made.

use std::marker::PhantomData;

pub mod bindings;
pub mod cleaner;
pub mod convert;
pub mod converter;
pub mod copier;
pub mod differ;
pub mod handles;
pub mod instance;
pub mod model_source;
pub mod plugin;
pub mod switcher;
pub mod validator;

/// What exports the interfaces on behalf of the plugin `P`.
pub struct Component<P>(PhantomData<P>);
