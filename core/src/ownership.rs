//! Which node announces a VIP: a pure function of what a speaker knows.
