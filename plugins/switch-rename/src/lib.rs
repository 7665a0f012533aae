//! Switcher: one atomic rename for all tables of a run
