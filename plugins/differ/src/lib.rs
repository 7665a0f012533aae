//! Differ: what separates the desired schema from the current one
