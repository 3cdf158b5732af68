//! Every object file that processes map, identified once.
