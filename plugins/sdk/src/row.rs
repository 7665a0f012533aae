//! Rows of catalog queries, value by value in the order of the query.

use std::str::FromStr;

use millrace_model::Failure;

/// One row: every call takes the next value.
pub struct Row {
    /// What was asked for, for messages.
    subject: &'static str,
    values: std::vec::IntoIter<Option<String>>,
}

impl Row {
    /// `subject` names the query in messages.
    pub fn new(subject: &'static str, values: Vec<Option<String>>) -> Self {
        Self { subject, values: values.into_iter() }
    }

    /// A value that may be NULL.
    pub fn optional(&mut self) -> Result<Option<String>, Failure> {
        self.values.next().ok_or_else(|| unexpected(self.subject, "a row with too few values"))
    }

    /// A value that is never NULL.
    pub fn text(&mut self) -> Result<String, Failure> {
        self.optional()?.ok_or_else(|| unexpected(self.subject, "NULL where a value must be"))
    }

    /// A boolean as text; NULL is false.
    pub fn flag(&mut self) -> Result<bool, Failure> {
        Ok(matches!(self.optional()?.as_deref(), Some("true" | "t" | "1" | "YES")))
    }

    /// A number.
    pub fn number<T: FromStr>(&mut self) -> Result<T, Failure> {
        let text = self.text()?;
        text.parse().map_err(|_| unexpected(self.subject, &format!("'{text}' where a number must be")))
    }

    /// A number that may be NULL.
    pub fn optional_number<T: FromStr>(&mut self) -> Result<Option<T>, Failure> {
        self.optional()?
            .map(|text| text.parse().map_err(|_| unexpected(self.subject, &format!("'{text}' where a number must be"))))
            .transpose()
    }
}

/// The catalog answered in a shape that no known server gives.
pub fn unexpected(subject: &str, what: &str) -> Failure {
    Failure::internal("model.catalog-row", format!("the catalog query for {subject} gave {what}"))
        .with("subject", subject)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: &[Option<&str>]) -> Row {
        Row::new("test", values.iter().map(|v| v.map(str::to_owned)).collect())
    }

    #[test]
    fn values_come_in_the_order_of_the_query() {
        let mut row = row(&[Some("a"), None, Some("true"), Some("42"), None]);
        assert_eq!(row.text().as_deref(), Ok("a"));
        assert_eq!(row.optional(), Ok(None));
        assert_eq!(row.flag(), Ok(true));
        assert_eq!(row.number::<u32>(), Ok(42));
        assert_eq!(row.optional_number::<u32>(), Ok(None));
    }

    #[test]
    fn a_row_of_another_shape_is_a_failure_that_names_the_query() {
        assert_eq!(row(&[]).text().map_err(|f| f.code), Err("model.catalog-row".to_owned()));
        assert_eq!(row(&[None]).text().map_err(|f| f.code), Err("model.catalog-row".to_owned()));
        let failure = row(&[Some("x")]).number::<u32>().expect_err("x is no number");
        assert!(failure.message.contains("test") && failure.message.contains("'x'"), "{failure}");
    }
}
