//! Model source: a schema exported to a file
