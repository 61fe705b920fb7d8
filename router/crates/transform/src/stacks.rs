//! The stacks that calls into plugins run on. An instance needs one, and for a small plugin the kernel's work of making it is a good
//! part of what it costs to open: so the stacks of instances that ended are kept for the next ones.
//!
//! Promises: a stack is in one instance's hands at a time, has an inaccessible page below it, and at most [`KEPT`] idle ones hold at
//! most [`WARM`] bytes of memory each. What is left on a stack from one call the next one's guest cannot see: it has no way to
//! name an address outside its linear memory.

#![allow(
    unsafe_code,
    reason = "wasmtime takes a stack as raw memory, which only the kernel's own calls give"
)]

use std::ops::Range;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap_anonymous, mprotect, munmap};
use wasmtime::{StackCreator, StackMemory};

use crate::pool::INSTANCES;

/// Idle stacks that are kept: as many as a route keeps instances of a plugin.
const KEPT: usize = INSTANCES;
/// What an idle stack keeps of its memory, from its top. Few calls need more.
const WARM: usize = 64 << 10;

/// Gives stacks, and takes them back when instances end.
#[derive(Default)]
pub(crate) struct Stacks(Arc<Mutex<Vec<Mapping>>>);

// SAFETY: a mapping is page-aligned, zeroed by the kernel when it is new, readable and writable but for its first page, and lives until
// the stack that holds it is dropped.
unsafe impl StackCreator for Stacks {
    fn new_stack(&self, size: usize, zeroed: bool) -> wasmtime::Result<Box<dyn StackMemory>> {
        let kept = match zeroed {
            true => None,
            false => lock(&self.0).pop(),
        };
        let mapping = match kept.filter(|mapping| mapping.stack().len() >= size) {
            Some(mapping) => mapping,
            None => Mapping::new(size)?,
        };
        Ok(Box::new(Stack { mapping: Some(mapping), home: self.0.clone() }))
    }
}

/// A stack in use.
struct Stack {
    /// There until it is dropped.
    mapping: Option<Mapping>,
    home: Arc<Mutex<Vec<Mapping>>>,
}

impl Stack {
    fn mapping(&self) -> &Mapping {
        self.mapping.as_ref().expect("there until it is dropped")
    }
}

// SAFETY: as of the `StackCreator` above.
unsafe impl StackMemory for Stack {
    fn top(&self) -> *mut u8 {
        pointer(self.range().end)
    }

    fn range(&self) -> Range<usize> {
        self.mapping().stack()
    }

    fn guard_range(&self) -> Range<*mut u8> {
        pointer(self.mapping().start)..pointer(self.range().start)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let Some(mapping) = self.mapping.take() else { return };
        if !mapping.cool() {
            return;
        }
        let mut kept = lock(&self.home);
        // else it is unmapped, when the list is free for others again
        if kept.len() < KEPT {
            kept.push(mapping);
        }
    }
}

/// Pages of our own, by their address: one that nobody may touch, and the stack above it.
struct Mapping {
    start: usize,
    /// Bytes, the first page included.
    len: usize,
}

impl Mapping {
    fn new(size: usize) -> rustix::io::Result<Mapping> {
        let len = size.next_multiple_of(page()) + page();
        // SAFETY: new pages wherever the kernel has room: nobody else's memory changes.
        let start = unsafe { mmap_anonymous(ptr::null_mut(), len, ProtFlags::empty(), MapFlags::PRIVATE) }?;
        let mapping = Mapping { start: start.expose_provenance(), len };
        let stack = mapping.stack();
        // SAFETY: pages of the mapping above.
        unsafe { mprotect(pointer(stack.start), stack.len(), MprotectFlags::READ | MprotectFlags::WRITE) }?;
        Ok(mapping)
    }

    /// Where the stack is.
    fn stack(&self) -> Range<usize> {
        self.start + page()..self.start + self.len
    }

    /// Gives the kernel back what a deep call used. False if it does not take it.
    fn cool(&self) -> bool {
        let stack = self.stack();
        let cold = stack.len().saturating_sub(WARM);
        // SAFETY: pages of the mapping, which hold nothing that anybody will read.
        unsafe { madvise(pointer(stack.start), cold, Advice::LinuxDontNeed) }.is_ok()
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping's own pages, and nobody has them any more. A failure leaves them mapped.
        let _ = unsafe { munmap(pointer(self.start), self.len) };
    }
}

fn pointer<T>(address: usize) -> *mut T {
    ptr::with_exposed_provenance_mut(address)
}

fn page() -> usize {
    rustix::param::page_size()
}

fn lock(kept: &Mutex<Vec<Mapping>>) -> MutexGuard<'_, Vec<Mapping>> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use super::*;

    const SIZE: usize = 1 << 20;

    /// Bytes of memory behind a stack.
    fn resident(stack: &dyn StackMemory) -> usize {
        let pagemap = std::fs::File::open("/proc/self/pagemap").expect("a page map");
        let is_there = |address: &usize| {
            let mut entry = [0; 8];
            pagemap.read_exact_at(&mut entry, (address / page() * 8) as u64).expect("an entry");
            // present, or swapped out
            u64::from_le_bytes(entry) >> 62 != 0
        };
        stack.range().step_by(page()).filter(is_there).count() * page()
    }

    /// What the kernel lets one do with the page below it.
    fn guard(stack: &dyn StackMemory) -> String {
        let at = stack.guard_range().start.addr();
        let maps = std::fs::read_to_string("/proc/self/maps").expect("maps");
        let is_of = |line: &&str| {
            let (from, to) =
                line.split_once(' ').and_then(|(range, _)| range.split_once('-')).expect("a range");
            let [from, to] = [from, to].map(|hex| usize::from_str_radix(hex, 16).expect("an address"));
            (from..to).contains(&at)
        };
        maps.lines().find(is_of).and_then(|line| line.split(' ').nth(1)).expect("rights").to_owned()
    }

    fn fill(stack: &dyn StackMemory) {
        let range = stack.range();
        // SAFETY: the stack is ours.
        unsafe { ptr::write_bytes(pointer::<u8>(range.start), 7, range.len()) };
    }

    #[test]
    fn a_stack_is_used_again_and_idle_ones_hold_little() {
        let stacks = Stacks::default();
        let stack = stacks.new_stack(SIZE, false).expect("a stack");
        let (range, top) = (stack.range(), stack.top().addr());
        assert_eq!((range.len(), range.end, range.start % page()), (SIZE, top, 0));
        assert_eq!(stack.guard_range().end.addr(), range.start);
        fill(&*stack);
        assert_eq!((resident(&*stack), guard(&*stack).as_str()), (SIZE, "---p"));
        drop(stack);

        let again = stacks.new_stack(SIZE, false).expect("a stack");
        assert_eq!(again.range(), range);
        assert_eq!((resident(&*again), guard(&*again).as_str()), (WARM, "---p"));
        // in use: another gets another
        let other = stacks.new_stack(SIZE, false).expect("a stack");
        assert_ne!(other.range(), range);
    }

    #[test]
    fn one_that_must_be_clean_or_larger_is_new() {
        let stacks = Stacks::default();
        fill(&*stacks.new_stack(SIZE, false).expect("a stack"));
        let clean = stacks.new_stack(SIZE, true).expect("a stack");
        assert_eq!(resident(&*clean), 0);
        assert_eq!(stacks.new_stack(2 * SIZE, false).expect("a stack").range().len(), 2 * SIZE);
    }

    #[test]
    fn only_so_many_are_kept() {
        let stacks = Stacks::default();
        let many: Vec<_> = (0..=KEPT).map(|_| stacks.new_stack(SIZE, false).expect("a stack")).collect();
        drop(many);
        assert_eq!(lock(&stacks.0).len(), KEPT);
    }
}
