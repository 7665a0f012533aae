//! Real databases for tests, benches and the quickstart
