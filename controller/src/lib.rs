//! The controller: gives addresses from pools to Services and writes their status.

#![forbid(unsafe_code)]
