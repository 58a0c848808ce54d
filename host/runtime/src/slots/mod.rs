//! Where instances live: the linear memories and stacks that wasmtime asks for, made here and used again
//! for one request after the other, each time as new.
//!
//! wasmtime's own pool can do the same; what it cannot do safely on most kernels is to reset only what
//! a guest has touched (`pagemap.rs`), and that is most of what a fresh instance costs.
//!
//! What a guest leaves behind is wiped when its instance ends, not when the next one begins.
//!
//! | file | what |
//! |---|---|
//! | `space.rs` | address space: mapped, opened, closed, given back |
//! | `pagemap.rs` | which pages hold something |
//! | `faults.rs` | whether more pages can hold something than before |
//! | `image.rs` | what a memory holds at first |
//! | `shelf.rs` | what is kept for the next request |
//! | `room.rs` | how much all of them may keep |
//! | `idle.rs` | whether the pages that nobody changes are used |

mod faults;
mod idle;
mod image;
mod pagemap;
mod room;
mod shelf;
mod space;

use std::fmt;
use std::io;
use std::mem;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use wasmtime::{LinearMemory, MemoryCreator, MemoryType, StackCreator, StackMemory};

use self::faults::Moment;
pub(crate) use self::faults::Polling;
use self::idle::{Idle, Verdict};
pub(crate) use self::image::{Image, Segment};
use self::pagemap::Pagemap;
use self::room::{Room, Taken};
use self::shelf::Shelf;
use self::space::Space;
use crate::config::ResetChoice;

/// What a slot keeps of a memory for the next one, in bytes: as much as is written over between two
/// requests rather than given back to the system.
pub(crate) const KEPT: usize = 2 << 20;

/// As much it keeps where the stock has room for more. An interpreter writes to many places of a large
/// memory for each request, and getting a page anew costs more than writing it over.
pub(crate) const MOST_KEPT: usize = 8 << 20;

/// Up to so many bytes are written over without a look at them. Where there are more, those that nobody has
/// changed since the last time are told from the others now and then, and go back if nobody uses them
/// (`idle.rs`): one request that touches much would otherwise make all that follow it in its slot pay for it.
const UNSEEN: usize = 128 << 10;

/// A page, however large the system makes them: comparing with it is many times faster than a loop.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// What tells this thread from all that there ever were; none while it ends.
fn thread_number() -> Option<usize> {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: usize = THREADS.fetch_add(1, Ordering::Relaxed);
    }
    NUMBER.try_with(|number| *number).ok()
}

/// How the memory of an instance that has ended is made new. Its `Display` is for the log at start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// The kernel says which pages hold something, and those are written over.
    Scan,
    /// Everything that may hold something is written over.
    Overwrite,
}

impl fmt::Display for Reset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reset::Scan => "where they were written (PAGEMAP_SCAN)",
            Reset::Overwrite => "whole, slower (this system has no PAGEMAP_SCAN)",
        })
    }
}

/// Whether the system has so much address space, in bytes.
///
/// # Errors
///
/// The system's.
pub(crate) fn try_to_reserve(bytes: usize) -> io::Result<()> {
    Space::reserve(bytes, rustix::param::page_size()).map(drop)
}

/// The slots of all apps that are not in use, and what is needed to make them new. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Stock(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    memories: Shelf<Slot>,
    stacks: Shelf<Space>,
    /// None where every page must be taken for written.
    pagemap: Option<Pagemap>,
    /// The system tells which thread took how many page faults.
    counts_faults: bool,
    /// For what slots keep beyond [`KEPT`].
    room: Room,
}

impl Stock {
    /// So many memories and stacks are kept at most, by so many threads. All memories together keep `beyond` bytes
    /// more than [`KEPT`] each.
    pub(crate) fn new(most: usize, beyond: usize, threads: usize, choice: ResetChoice) -> Self {
        let pagemap = match choice {
            ResetChoice::Auto => Pagemap::open()
                .inspect_err(|error| tracing::debug!("no PAGEMAP_SCAN: {error}"))
                .ok(),
            ResetChoice::Overwrite => None,
        };
        // Without a scan there is none to be left out.
        let counts_faults = pagemap.is_some()
            && faults::try_out()
                .inspect_err(|error| tracing::debug!("page faults are not counted: {error}"))
                .is_ok();
        Self(Arc::new(Shared {
            counts_faults,
            memories: Shelf::new(most, threads),
            stacks: Shelf::new(most, threads),
            pagemap,
            room: Room::new(beyond),
        }))
    }

    /// How memories are made new.
    pub(crate) fn reset(&self) -> Reset {
        match self.0.pagemap {
            Some(_) => Reset::Scan,
            None => Reset::Overwrite,
        }
    }

    /// How many memories are kept now.
    pub(crate) fn kept(&self) -> usize {
        self.0.memories.len()
    }

    /// The slots of one app.
    pub(crate) fn slots(&self) -> Slots {
        Slots {
            stock: Arc::clone(&self.0),
            image: Arc::default(),
        }
    }
}

/// Where the instances of one app live. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Slots {
    stock: Arc<Shared>,
    image: Arc<OnceLock<Arc<Image>>>,
}

impl Slots {
    /// What the memory of each instance from now on begins with. It can be set once.
    pub(crate) fn begin_with(&self, image: Image) {
        let set = self.image.set(Arc::new(image));
        debug_assert!(set.is_ok(), "an app has one image");
    }
}

/// Room for one memory. What is not open holds nothing.
#[derive(Debug)]
struct Slot {
    space: Space,
    /// So much of it can be read and written, from its start, in bytes.
    open: usize,
    /// What is mapped into it. The rest is zeros.
    image: Option<Arc<Image>>,
    /// For what it keeps beyond [`KEPT`] while nobody uses it.
    beyond: Option<Taken>,
    /// What is known of pages that hold something, and the same as at first.
    idle: Idle,
    /// All parts that held something when nobody used it any more, if that is known.
    holds: Option<Vec<Range<usize>>>,
}

impl Slot {
    /// An empty one.
    fn new(size: usize, guard: usize) -> io::Result<Self> {
        Ok(Self {
            space: Space::reserve(size, guard)?,
            open: 0,
            image: None,
            beyond: None,
            idle: Idle::default(),
            holds: None,
        })
    }

    fn has(&self, image: Option<&Arc<Image>>) -> bool {
        self.image.as_ref().map(Arc::as_ptr) == image.map(Arc::as_ptr)
    }

    /// Gives a new memory its size and its image. What was in it before is gone, but for an image.
    fn furnish(&mut self, size: usize, image: Option<&Arc<Image>>) -> io::Result<()> {
        if size != self.open || self.image.is_none() && image.is_some() {
            self.holds = None;
        }
        // Whoever gets less than the last one has not paid for the rest.
        self.space.give_back(size.min(self.open)..self.open)?;
        self.space.close(size.min(self.open)..self.open)?;
        self.space.open(self.open.min(size)..size)?;
        self.open = size;
        if let (None, Some(image)) = (&self.image, image) {
            self.space.map(image.place().clone(), image.file(), 0)?;
            self.image = Some(Arc::clone(image));
        }
        Ok(())
    }

    /// Writes over those pages of a part that are not what they were at first, and tells the others.
    ///
    /// # Safety
    ///
    /// As for [`Slot::restore`].
    #[expect(unsafe_code, reason = "what a guest has written must go")]
    unsafe fn restore_changed(&mut self, part: Range<usize>, unchanged: &mut Vec<Range<usize>>) {
        let page = rustix::param::page_size();
        for start in part.step_by(page) {
            let page = start..start + page;
            // SAFETY: as the caller says.
            if unsafe { self.is_as_at_first(&page) } {
                match unchanged.last_mut() {
                    Some(last) if last.end == page.start => last.end = page.end,
                    _ => unchanged.push(page),
                }
            } else {
                // SAFETY: as the caller says.
                unsafe { self.restore(page) }
            }
        }
    }

    /// Whether a page is what it was at first. An image consists of whole pages.
    ///
    /// # Safety
    ///
    /// As for [`Slot::restore`].
    #[expect(unsafe_code, reason = "what a guest has written must go")]
    unsafe fn is_as_at_first(&self, page: &Range<usize>) -> bool {
        // SAFETY: as the caller says.
        let now = unsafe { self.space.read(page.clone()) };
        match &self.image {
            Some(image) if image.place().start <= page.start && page.end <= image.place().end => {
                now == image.bytes(page)
            }
            _ => now == &ZEROS[..now.len()],
        }
    }

    /// Writes over a part what was there at first.
    ///
    /// # Safety
    ///
    /// The part is open, and nobody else uses the memory.
    #[expect(unsafe_code, reason = "what a guest has written must go")]
    unsafe fn restore(&mut self, part: Range<usize>) {
        let Some(image) = &self.image else {
            // SAFETY: as the caller says.
            unsafe { self.space.zero(part) };
            return;
        };
        let place = image.place();
        let begin = place.start.clamp(part.start, part.end);
        let end = place.end.clamp(begin, part.end);
        // SAFETY: as the caller says; all three are parts of the part.
        unsafe {
            self.space.zero(part.start..begin);
            if begin < end {
                self.space.write(begin, image.bytes(&(begin..end)));
            }
            self.space.zero(end..part.end);
        }
    }
}

impl Shared {
    /// Makes a slot new whose memory was `minimum` bytes at first, and has been used since that moment.
    fn clean(&self, slot: &mut Slot, minimum: usize, since: Option<&Moment>) -> io::Result<()> {
        // First: what follows may bring faults of its own.
        let is_undisturbed = since.is_some_and(Moment::is_undisturbed);
        // The next one has not paid for what this one has grown by.
        slot.space.give_back(minimum..slot.open)?;
        slot.space.close(minimum..slot.open)?;
        slot.open = minimum;
        let holds = slot.holds.take();
        let rest = match &self.pagemap {
            Some(pagemap) => {
                let held = holds.filter(|_| is_undisturbed && !slot.idle.looks());
                let (held, told) = match held {
                    Some(held) => (held, minimum),
                    None => scan(pagemap, &slot.space, minimum)?,
                };
                self.restore(slot, held, told)?
            }
            // All of the image would have to be copied; mapping it again where it is used costs less.
            None if slot.image.is_some() => 0,
            None => {
                let kept = minimum.min(KEPT);
                #[expect(unsafe_code, reason = "what a guest has written must go")]
                // SAFETY: as in `restore`.
                unsafe {
                    slot.restore(0..kept);
                }
                kept
            }
        };
        slot.space.give_back(rest..minimum)
    }

    /// Writes over those parts of a slot that hold something, which are all up to `told`, as far as it may keep them. The
    /// result is where that ends: what is behind it has to be given back.
    fn restore(
        &self,
        slot: &mut Slot,
        mut held: Vec<Range<usize>>,
        told: usize,
    ) -> io::Result<usize> {
        let mut seen = 0;
        // Up to where there are `KEPT` bytes.
        let mut near = told;
        let mut unchanged = Vec::new();
        let mut idle = mem::take(&mut slot.idle);
        for part in held.iter().cloned() {
            if seen <= KEPT {
                near = part.end - (seen + part.len()).saturating_sub(KEPT);
            }
            seen += part.len();
            idle.see(&part);
            #[expect(unsafe_code, reason = "what a guest has written must go")]
            // SAFETY: what holds something is within what is open, and the instance that used it is gone: its
            // memory is being dropped.
            unsafe {
                if seen <= UNSEEN || !idle.looks() {
                    slot.restore(part);
                } else {
                    slot.restore_changed(part, &mut unchanged);
                }
            }
        }
        let given_back = match idle.judge(&unchanged) {
            Verdict::Keep => Vec::new(),
            Verdict::Probe(parts) => parts,
            Verdict::GiveBack => unchanged,
        };
        slot.idle = idle;
        let is_as_held = given_back.is_empty();
        for part in given_back {
            seen -= part.len();
            slot.space.give_back(part)?;
        }
        if seen > KEPT {
            slot.beyond = self.room.take(seen - KEPT);
        }
        let rest = match seen <= KEPT || slot.beyond.is_some() {
            true => told,
            false => near,
        };
        if self.counts_faults && is_as_held {
            held.retain_mut(|part| {
                part.end = part.end.min(rest);
                part.start < part.end
            });
            slot.holds = Some(held);
        }
        Ok(rest)
    }
}

/// The parts of a memory of `minimum` bytes that hold something, as many as a slot may keep; and up to where those are
/// all.
fn scan(
    pagemap: &Pagemap,
    space: &Space,
    minimum: usize,
) -> io::Result<(Vec<Range<usize>>, usize)> {
    let start = space.start().as_ptr() as usize;
    let mut held = Vec::new();
    let told = pagemap.scan(start..start + minimum, MOST_KEPT, |region| {
        held.push(region.start - start..region.end - start);
    })?;
    Ok((held, told - start))
}

/// The memory of one instance.
struct Memory {
    stock: Arc<Shared>,
    /// There until this is dropped.
    slot: Option<Slot>,
    minimum: usize,
    size: usize,
    /// When it was made, if all that is done with it since can be known.
    made: Option<Moment>,
    /// Its slot is not to be used again.
    is_spoilt: bool,
}

#[expect(unsafe_code, reason = "wasmtime trusts the memory that it is given")]
// SAFETY: new memories are zero, or what an image has put there on purpose: they are mapped, or `clean`
// has made them so. Nothing but the instance uses them until they are dropped. Their space is as large
// as wasmtime asks, with the guard that it asks for on either side, and never moves; what lies beyond the
// size is closed.
unsafe impl MemoryCreator for Slots {
    fn new_memory(
        &self,
        ty: MemoryType,
        minimum: usize,
        _maximum: Option<usize>,
        reserved: Option<usize>,
        guard: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        let size = reserved.unwrap_or(minimum);
        let page = rustix::param::page_size();
        if ty.is_shared() || minimum > size || !minimum.is_multiple_of(page) {
            return Err("a memory of a kind that this server has no room for".to_owned());
        }
        let image = self.image.get();
        if image.is_some_and(|image| image.place().end > minimum) {
            return Err("a memory that is smaller than what it begins with".to_owned());
        }
        let kept = self
            .stock
            .memories
            .take(|slot| slot.open == minimum && slot.has(image));
        let usable = kept.filter(|slot| {
            let has_right_image = slot.image.is_none() || slot.has(image);
            has_right_image && slot.space.size() == size && slot.space.guard() >= guard
        });
        let mut slot = match usable {
            Some(slot) => slot,
            None => Slot::new(size, guard).map_err(no_room)?,
        };
        // It is the instance's from now on, which has paid for all of its memory.
        slot.beyond = None;
        slot.furnish(minimum, image).map_err(no_room)?;
        Ok(Box::new(Memory {
            stock: Arc::clone(&self.stock),
            slot: Some(slot),
            minimum,
            size: minimum,
            made: (self.stock.counts_faults.then(Moment::now)).flatten(),
            is_spoilt: false,
        }))
    }
}

/// How a refusal of the system begins. wasmtime takes text where a memory cannot be made.
const NO_ROOM: &str = "the system has no room for an instance: ";

fn no_room(error: io::Error) -> String {
    format!("{NO_ROOM}{error}")
}

/// What the system said, if an instance could not be made for want of its memory.
pub(crate) fn refusal(error: &wasmtime::Error) -> Option<String> {
    let cause = error.root_cause().to_string();
    cause.starts_with(NO_ROOM).then_some(cause)
}

impl Memory {
    fn slot(&self) -> &Slot {
        let slot = self.slot.as_ref();
        slot.expect("it has its slot until it is dropped")
    }
}

#[expect(unsafe_code, reason = "wasmtime trusts the memory that it is given")]
// SAFETY: the pointer is to space that is this memory's alone and that stays where it is until this is
// dropped, of which `size` bytes are open.
unsafe impl LinearMemory for Memory {
    fn byte_size(&self) -> usize {
        self.size
    }

    fn byte_capacity(&self) -> usize {
        self.slot().space.size()
    }

    fn grow_to(&mut self, size: usize) -> wasmtime::Result<()> {
        let slot = self.slot.as_mut();
        let slot = slot.expect("it has its slot until it is dropped");
        if size > slot.space.size() {
            return Err(wasmtime::Error::msg(
                "a memory cannot be larger than its slot",
            ));
        }
        if size > slot.open {
            if let Err(error) = slot.space.open(slot.open..size) {
                // The system may have opened a part of it, and may not close it again. The guest goes on,
                // and what it leaves there must reach nobody.
                self.is_spoilt = true;
                let _ = slot.space.close(slot.open..size);
                return Err(error.into());
            }
            slot.open = size;
        }
        self.size = self.size.max(size);
        Ok(())
    }

    fn as_ptr(&self) -> *mut u8 {
        self.slot().space.start().as_ptr()
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let Some(mut slot) = self.slot.take() else {
            return;
        };
        if self.is_spoilt {
            return;
        }
        match self
            .stock
            .clean(&mut slot, self.minimum, self.made.as_ref())
        {
            // Where there is no room for it, dropping it unmaps it.
            Ok(()) => drop(self.stock.memories.put(slot)),
            Err(error) => tracing::warn!("a guest's memory is unmapped, not used again: {error}"),
        }
    }
}

/// The stack of one instance.
struct Stack {
    stock: Arc<Shared>,
    /// There until this is dropped.
    space: Option<Space>,
}

#[expect(unsafe_code, reason = "wasmtime trusts the stack that it is given")]
// SAFETY: a stack is used by nobody else until it is dropped, is of the size that was asked for, in whole
// pages, and has a guard below it. It is not zeroed when it is used again: a guest cannot read it.
unsafe impl StackCreator for Slots {
    fn new_stack(&self, size: usize, _zeroed: bool) -> wasmtime::Result<Box<dyn StackMemory>> {
        let page = rustix::param::page_size();
        let size = size.next_multiple_of(page);
        let kept = self.stock.stacks.take(|_| true);
        let space = match kept.filter(|space| space.size() == size) {
            Some(space) => space,
            None => {
                let opened = Space::reserve(size, page).and_then(|mut space| {
                    space.open(0..size)?;
                    Ok(space)
                });
                opened.map_err(|error| wasmtime::Error::msg(no_room(error)))?
            }
        };
        Ok(Box::new(Stack {
            stock: Arc::clone(&self.stock),
            space: Some(space),
        }))
    }
}

impl Stack {
    fn space(&self) -> &Space {
        let space = self.space.as_ref();
        space.expect("it has its space until it is dropped")
    }
}

#[expect(unsafe_code, reason = "wasmtime trusts the stack that it is given")]
// SAFETY: all of it is open but for the guard, and stays where it is.
unsafe impl StackMemory for Stack {
    fn top(&self) -> *mut u8 {
        let space = self.space();
        space.start().as_ptr().wrapping_add(space.size())
    }

    fn range(&self) -> Range<usize> {
        let start = self.space().start().as_ptr() as usize;
        start..start + self.space().size()
    }

    fn guard_range(&self) -> Range<*mut u8> {
        self.space().guard_below()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if let Some(space) = self.space.take() {
            drop(self.stock.stacks.put(space));
        }
    }
}

#[cfg(test)]
mod tests;
