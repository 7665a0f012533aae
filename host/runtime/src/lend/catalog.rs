//! A catalog session, as model sources hold it.

use wasmtime::component::Resource;

use super::{Session, answer};
use crate::contract::catalog;
use crate::contract::failure::Error;
use crate::state::State;

type Answer<T> = wasmtime::Result<Result<T, Error>>;

impl catalog::Host for State {}

impl catalog::HostSession for State {
    fn dialect(&mut self, session: Resource<Session>) -> wasmtime::Result<String> {
        Ok(self.table.get(&session)?.0.dialect())
    }

    fn version(&mut self, session: Resource<Session>) -> wasmtime::Result<String> {
        Ok(self.table.get(&session)?.0.version())
    }

    fn query(
        &mut self,
        session: Resource<Session>,
        statement: String,
        parameters: Vec<String>,
    ) -> Answer<Vec<Vec<Option<String>>>> {
        self.on_host_time(|state| Ok(answer(state.table.get_mut(&session)?.0.query(&statement, &parameters))))
    }

    fn drop(&mut self, session: Resource<Session>) -> wasmtime::Result<()> {
        self.table.delete(session)?;
        Ok(())
    }
}
