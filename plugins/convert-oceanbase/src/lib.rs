//! Converter: PostgreSQL types to OceanBase types
