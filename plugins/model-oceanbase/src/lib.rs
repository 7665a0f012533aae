//! Model source: the schema of an OceanBase (MySQL mode) database
