//! An admin of tables for tests of what stages may ask of one.

use millrace_model::capability::TableAdmin;
use millrace_model::{Failure, TableName};

/// Does whatever it is asked. It has the tables that the function says.
pub(crate) struct Willing<F>(pub(crate) F);

impl<F: Fn(&TableName) -> bool + Send> TableAdmin for Willing<F> {
    fn dialect(&self) -> String {
        "oceanbase".to_owned()
    }
    fn version(&self) -> String {
        String::new()
    }
    fn exists(&mut self, table: &TableName) -> Result<bool, Failure> {
        Ok((self.0)(table))
    }
    fn existing(&mut self, tables: &[TableName]) -> Result<Vec<TableName>, Failure> {
        Ok(tables.iter().filter(|table| (self.0)(table)).cloned().collect())
    }
    fn owned(&mut self, _: &TableName) -> Result<bool, Failure> {
        Ok(true)
    }
    fn owned_among(&mut self, tables: &[TableName]) -> Result<Vec<TableName>, Failure> {
        Ok(tables.to_vec())
    }
    fn raise_fence(&mut self, _: &[TableName], _: u32) -> Result<String, Failure> {
        Ok(String::new())
    }
    fn lift_fence(&mut self) -> Result<(), Failure> {
        Ok(())
    }
    fn compare_last(&mut self, _: &[TableName]) -> Result<String, Failure> {
        Ok(String::new())
    }
    fn set_numbers(&mut self, _: &[TableName]) -> Result<(), Failure> {
        Ok(())
    }
    fn rename_all(&mut self, _: &[(TableName, TableName)], _: u32) -> Result<(), Failure> {
        Ok(())
    }
    fn try_out(&mut self, _: &[TableName]) -> Result<(), Failure> {
        Ok(())
    }
    fn remove(&mut self, _: &TableName) -> Result<(), Failure> {
        Ok(())
    }
    fn archive(&mut self, _: &TableName) -> Result<Option<String>, Failure> {
        Ok(None)
    }
}
