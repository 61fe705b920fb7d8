//! Forebay's assembly: `cli` and `server` -> `api` -> `engine` -> `definition`, no arrow back. The parts below it (source, changelog,
//! transform, sink, store) know the model and nothing of each other; `engine::assemble` alone knows them all.

pub mod api;
pub mod cli;
pub mod definition;
pub mod engine;
pub mod server;
pub mod workbench;
