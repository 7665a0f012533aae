//! Validator: counts and a digest of every row
