//! Rights on tables, as switchers and cleaners hold them.

use millrace_model::capability::TableAdmin;
use millrace_model::{Failure, TableName};
use wasmtime::component::Resource;

use super::{Admin, answer};
use crate::contract::failure::Error;
use crate::contract::{model, tables as wit};
use crate::state::State;
use crate::translate::table_name_to_guest;

type Answer<T> = wasmtime::Result<Result<T, Error>>;

fn name(name: model::TableName) -> TableName {
    TableName { schema: name.schema, name: name.name }
}

fn names(tables: Vec<model::TableName>) -> Vec<TableName> {
    tables.into_iter().map(name).collect()
}

fn to_guest(names: &[TableName]) -> Vec<model::TableName> {
    names.iter().map(table_name_to_guest).collect()
}

/// Does one request on the host's time.
fn asked<R>(
    state: &mut State,
    admin: &Resource<Admin>,
    request: impl FnOnce(&mut dyn TableAdmin) -> Result<R, Failure>,
) -> Answer<R> {
    state.on_host_time(|state| Ok(answer(request(state.table.get_mut(admin)?.0.as_mut()))))
}

impl wit::Host for State {}

impl wit::HostAdmin for State {
    fn dialect(&mut self, admin: Resource<Admin>) -> wasmtime::Result<String> {
        Ok(self.table.get(&admin)?.0.dialect())
    }

    fn version(&mut self, admin: Resource<Admin>) -> wasmtime::Result<String> {
        Ok(self.table.get(&admin)?.0.version())
    }

    fn exists(&mut self, admin: Resource<Admin>, table: model::TableName) -> Answer<bool> {
        asked(self, &admin, |admin| admin.exists(&name(table)))
    }

    fn existing(&mut self, admin: Resource<Admin>, tables: Vec<model::TableName>) -> Answer<Vec<model::TableName>> {
        asked(self, &admin, |admin| Ok(to_guest(&admin.existing(&names(tables))?)))
    }

    fn owned_among(&mut self, admin: Resource<Admin>, tables: Vec<model::TableName>) -> Answer<Vec<model::TableName>> {
        asked(self, &admin, |admin| Ok(to_guest(&admin.owned_among(&names(tables))?)))
    }

    fn owned(&mut self, admin: Resource<Admin>, table: model::TableName) -> Answer<bool> {
        asked(self, &admin, |admin| admin.owned(&name(table)))
    }

    fn raise_fence(
        &mut self,
        admin: Resource<Admin>,
        tables: Vec<model::TableName>,
        timeout_ms: u32,
    ) -> Answer<String> {
        asked(self, &admin, |admin| admin.raise_fence(&names(tables), timeout_ms))
    }

    fn lift_fence(&mut self, admin: Resource<Admin>) -> Answer<()> {
        asked(self, &admin, |admin| admin.lift_fence())
    }

    fn compare_last(&mut self, admin: Resource<Admin>, tables: Vec<model::TableName>) -> Answer<String> {
        asked(self, &admin, |admin| admin.compare_last(&names(tables)))
    }

    fn set_numbers(&mut self, admin: Resource<Admin>, tables: Vec<model::TableName>) -> Answer<()> {
        asked(self, &admin, |admin| admin.set_numbers(&names(tables)))
    }

    fn rename_all(&mut self, admin: Resource<Admin>, renames: Vec<wit::Rename>, timeout_ms: u32) -> Answer<()> {
        let renames: Vec<(TableName, TableName)> =
            renames.into_iter().map(|rename| (name(rename.old), name(rename.new))).collect();
        asked(self, &admin, |admin| admin.rename_all(&renames, timeout_ms))
    }

    fn try_out(&mut self, admin: Resource<Admin>, tables: Vec<model::TableName>) -> Answer<()> {
        asked(self, &admin, |admin| admin.try_out(&names(tables)))
    }

    fn remove(&mut self, admin: Resource<Admin>, table: model::TableName) -> Answer<()> {
        asked(self, &admin, |admin| admin.remove(&name(table)))
    }

    fn archive(&mut self, admin: Resource<Admin>, table: model::TableName) -> Answer<Option<String>> {
        asked(self, &admin, |admin| admin.archive(&name(table)))
    }

    fn drop(&mut self, admin: Resource<Admin>) -> wasmtime::Result<()> {
        self.table.delete(admin)?;
        Ok(())
    }
}
