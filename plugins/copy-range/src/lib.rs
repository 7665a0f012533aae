//! Copier: key ranges in parallel
