//! Cleaner: backups past their grace and shadows of dead runs
