//! Scenarios, faults, hostile guests and the command line, against real databases
