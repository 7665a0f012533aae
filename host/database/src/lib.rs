//! Databases: pools, dialects, readers and writers
