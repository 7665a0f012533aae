//! Rights on tables, as switchers and cleaners hold them: the interface `tables`, bound by hand.
//!
//! The generator of bindings cannot bind it: it names a resource's destructor `drop`, and `admin` has a method of
//! that name. What the other bindings expect of an interface's module is here under the names that they use:
//! [`Host`], [`HostWithStore`], [`add_to_linker`] and the types.

use millrace_model::capability::TableAdmin;
use millrace_model::{Failure, TableName};
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, HasData, Lift, Linker, Lower, Resource, ResourceType};

pub use super::Admin;
use super::answer;
use crate::contract::failure::Error;
use crate::contract::model;
use crate::state::State;

/// One rename, as the contract has it.
#[derive(ComponentType, Lift)]
#[component(record)]
pub struct Rename {
    old: model::TableName,
    new: model::TableName,
}

/// Whoever has the store's state at hand.
pub trait Host {
    /// The state.
    fn state(&mut self) -> &mut State;
}

impl Host for State {
    fn state(&mut self) -> &mut State {
        self
    }
}

impl<H: Host + ?Sized> Host for &mut H {
    fn state(&mut self) -> &mut State {
        H::state(self)
    }
}

/// What other bindings ask for beside [`Host`]; there is nothing to it.
pub trait HostWithStore<T>: HasData {}

impl<T, D: HasData + ?Sized> HostWithStore<T> for D {}

/// The interface's name.
const INTERFACE: &str = "millrace:stage/tables@0.1.0";

/// What a request gives: the contract's result, in the tuple that functions return.
type Answer<T> = wasmtime::Result<(Result<T, Error>,)>;

/// Offers the interface.
pub fn add_to_linker<T, D>(linker: &mut Linker<T>, host_getter: fn(&mut T) -> D::Data<'_>) -> wasmtime::Result<()>
where
    T: 'static,
    D: HostWithStore<T>,
    for<'a> D::Data<'a>: Host,
{
    let mut interface = linker.instance(INTERFACE)?;
    interface.resource("admin", ResourceType::host::<Admin>(), move |mut store, rep| {
        let mut host = host_getter(store.data_mut());
        host.state().table.delete(Resource::<Admin>::new_own(rep))?;
        Ok(())
    })?;

    /// One method: its name, its parameters after `admin`, and what it does with the admin.
    macro_rules! method {
        ($name:literal, ($($parameter:ident: $type:ty),*), $result:ty, |$admin:ident| $body:expr) => {
            interface.func_wrap(
                concat!("[method]admin.", $name),
                move |mut store: StoreContextMut<'_, T>,
                      (admin, $($parameter,)*): (Resource<Admin>, $($type,)*)|
                      -> Answer<$result> {
                    let mut host = host_getter(store.data_mut());
                    asked(host.state(), &admin, |$admin| $body)
                },
            )?;
        };
    }
    method!("exists", (table: model::TableName), bool, |admin| admin.exists(&name(table)));
    method!("owned", (table: model::TableName), bool, |admin| admin.owned(&name(table)));
    method!("lock-writes", (tables: Vec<model::TableName>, timeout_ms: u32), (), |admin| {
        let tables: Vec<TableName> = tables.into_iter().map(name).collect();
        admin.lock_writes(&tables, timeout_ms)
    });
    method!("unlock", (), (), |admin| admin.unlock());
    method!("rename-all", (renames: Vec<Rename>, timeout_ms: u32), (), |admin| {
        let renames: Vec<(TableName, TableName)> =
            renames.into_iter().map(|rename| (name(rename.old), name(rename.new))).collect();
        admin.rename_all(&renames, timeout_ms)
    });
    // Spelled out: a trait object has a destructor of the same name.
    method!("drop", (table: model::TableName), (), |admin| TableAdmin::drop(admin, &name(table)));
    method!("archive", (table: model::TableName), String, |admin| admin.archive(&name(table)));

    interface.func_wrap(
        "[method]admin.dialect",
        move |mut store: StoreContextMut<'_, T>, (admin,): (Resource<Admin>,)| {
            let mut host = host_getter(store.data_mut());
            Ok((host.state().table.get(&admin)?.0.dialect(),))
        },
    )?;
    interface.func_wrap(
        "[method]admin.version",
        move |mut store: StoreContextMut<'_, T>, (admin,): (Resource<Admin>,)| {
            let mut host = host_getter(store.data_mut());
            Ok((host.state().table.get(&admin)?.0.version(),))
        },
    )?;
    Ok(())
}

/// Does one request on the host's time.
fn asked<R: ComponentType + Lower>(
    state: &mut State,
    admin: &Resource<Admin>,
    request: impl FnOnce(&mut dyn TableAdmin) -> Result<R, Failure>,
) -> Answer<R> {
    state.on_host_time(|state| Ok((answer(request(state.table.get_mut(admin)?.0.as_mut())),)))
}

fn name(name: model::TableName) -> TableName {
    TableName { schema: name.schema, name: name.name }
}
