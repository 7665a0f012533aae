//! Rows as the text of INSERT statements.
