//! The street as a whole: the real binary between a real MySQL and real destinations.

mod crash;
mod definitions;
mod demo;
mod docs;
mod faults;
mod plugins;
mod rig;
