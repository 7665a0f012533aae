//! Model source: the schema of a PostgreSQL database
