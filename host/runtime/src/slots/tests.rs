//! Slots as wasmtime uses them: what one memory leaves behind, the next must not find.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;
use crate::source::Source;

const PAGE: usize = 64 << 10;
const SIZE: usize = 4 << 30;
const GUARD: usize = 1 << 20;

fn memory(slots: &Slots, pages: usize) -> Box<dyn LinearMemory> {
    let ty = MemoryType::new(u32::try_from(pages).unwrap(), None);
    slots
        .new_memory(ty, pages * PAGE, None, Some(SIZE), GUARD)
        .unwrap()
}

#[expect(unsafe_code, reason = "a guest would use the memory")]
fn bytes(memory: &mut dyn LinearMemory) -> &mut [u8] {
    // SAFETY: `byte_size` bytes are open, and the memory is borrowed for as long as they are.
    unsafe { std::slice::from_raw_parts_mut(memory.as_ptr(), memory.byte_size()) }
}

/// 300 KiB that are nowhere zero, at 128 KiB, with a gap of zeros behind the first part.
fn image() -> (Image, Vec<u8>) {
    let data: Vec<u8> = (0..200_000u32).map(|n| (n % 251) as u8 + 1).collect();
    let segments = [
        Segment {
            at: 2 * PAGE,
            bytes: 0..70_001,
        },
        Segment {
            at: 4 * PAGE + 17,
            bytes: 70_001..200_000,
        },
    ];
    let mut expected = vec![0; 8 * PAGE];
    for Segment { at, bytes } in &segments {
        expected[*at..at + bytes.len()].copy_from_slice(&data[bytes.clone()]);
    }
    let image = Image::new(2 * PAGE..7 * PAGE, &segments, &Source::of(&data));
    (image.unwrap(), expected)
}

/// A guest that writes to as many pages as `spread` says, after it has found all as new.
fn use_once(slots: &Slots, expected: &[u8], grow_to: usize, spread: usize) {
    let _poll = Polling::begin();
    let mut memory = memory(slots, expected.len() / PAGE);
    assert!(bytes(&mut *memory) == expected, "not as new");
    memory.grow_to(grow_to * PAGE).unwrap();
    let bytes = bytes(&mut *memory);
    assert!(
        bytes[expected.len()..].iter().all(|&byte| byte == 0),
        "not as new above"
    );
    for place in (0..bytes.len()).step_by(spread) {
        bytes[place] = 0xee;
    }
}

fn beginning_with(stock: &Stock, image: Image) -> Slots {
    let slots = stock.slots();
    slots.begin_with(image);
    slots
}

#[test]
fn each_memory_is_as_new_however_much_the_last_one_wrote() {
    // With room for a part of what is written, and with none.
    let (auto, overwrite) = (ResetChoice::Auto, ResetChoice::Overwrite);
    for (choice, beyond) in [(auto, 5 << 20), (auto, 0), (overwrite, 0)] {
        let stock = Stock::new(4, beyond, 1, choice);
        let (image, furnished) = image();
        let (plain, imaged) = (stock.slots(), beginning_with(&stock, image));
        for spread in [1, 4096, 5000, 100_000, 1_000_000] {
            for grow_to in [8, 9, 64] {
                use_once(&imaged, &furnished, grow_to, spread);
                use_once(&plain, &vec![0; 8 * PAGE], grow_to, spread);
                // Larger than what is kept, and smaller than the others.
                use_once(&plain, &vec![0; 80 * PAGE], 80 + grow_to, spread);
                use_once(&plain, &vec![0; PAGE], grow_to, spread);
            }
        }
        assert!(stock.kept() > 0);
    }
}

#[test]
fn what_is_kept_is_bounded_and_used_again() {
    let stock = Stock::new(2, 0, 1, ResetChoice::Auto);
    let slots = stock.slots();
    let three: Vec<_> = (0..3).map(|_| memory(&slots, 1)).collect();
    assert_eq!(stock.kept(), 0);
    drop(three);
    assert_eq!(stock.kept(), 2);
    let one = memory(&slots, 1);
    assert_eq!(stock.kept(), 1);
    drop(one);
    assert_eq!(stock.kept(), 2);
}

/// How much a slot holds when the next one gets it, whose last one has written to all of 4 MiB.
fn kept_of(slots: &Slots) -> usize {
    let mut last = memory(slots, 64);
    bytes(&mut *last).fill(1);
    drop(last);
    let next = memory(slots, 64);
    let start = next.as_ptr() as usize;
    let pagemap = Pagemap::open().unwrap();
    let mut held = 0;
    let all = start..start + 64 * PAGE;
    pagemap
        .scan(all, usize::MAX, |region| held += region.len())
        .unwrap();
    held
}

#[test]
fn a_slot_keeps_more_where_there_is_room_and_gives_it_back() {
    let kept = |beyond| kept_of(&Stock::new(4, beyond, 1, ResetChoice::Auto).slots());
    assert_eq!(kept(0), KEPT);
    assert_eq!(kept(1 << 20), KEPT);
    assert_eq!(kept(2 << 20), 64 * PAGE);

    let stock = Stock::new(4, 2 << 20, 1, ResetChoice::Auto);
    let slots = stock.slots();
    for _ in 0..5 {
        assert_eq!(kept_of(&slots), 64 * PAGE);
    }
    // What one keeps while nobody uses it, no other can.
    let (mut one, mut other) = (memory(&slots, 64), memory(&slots, 64));
    bytes(&mut *one).fill(1);
    bytes(&mut *other).fill(1);
    drop(one);
    assert!(stock.0.room.take(1).is_none());
    drop(other);
    let both = [memory(&slots, 64), memory(&slots, 64)];
    assert!(stock.0.room.take(2 << 20).is_some());
    drop(both);
}

/// Guests of one poll and of more, on threads that take turns, which write mostly to the same pages and now and then to
/// any: whether it was looked for what they wrote or not, none of them finds anything of another.
#[test]
fn nothing_stays_whether_there_was_a_scan_or_not() {
    for (seed, beyond) in [(1, 4 << 20), (2, 0), (3, 256 << 10)] {
        let stock = Stock::new(3, beyond, 2, ResetChoice::Auto);
        let (image, furnished) = image();
        let imaged = (beginning_with(&stock, image), furnished);
        let plain = (stock.slots(), vec![0; 48 * PAGE]);
        let apps = [imaged, plain];
        let mut random = fastrand::Rng::with_seed(seed);
        for _ in 0..400 {
            let seed = random.u64(..);
            let some = || some_guests(&apps, fastrand::Rng::with_seed(seed));
            match random.u8(..4) {
                0 => std::thread::scope(|scope| scope.spawn(some).join().unwrap()),
                _ => some(),
            }
        }
    }
}

/// Up to eight guests, one after the other.
fn some_guests(apps: &[(Slots, Vec<u8>)], mut random: fastrand::Rng) {
    for _ in 0..random.usize(1..=8) {
        let (slots, expected) = &apps[random.usize(..apps.len())];
        let mut poll = Some(Polling::begin());
        let mut memory = memory(slots, expected.len() / PAGE);
        assert!(bytes(&mut *memory) == expected, "not as new");
        for _ in 0..random.usize(..3) {
            if random.u8(..8) == 0 {
                // It waits for something, and is polled by another thread before this one polls it again.
                drop(poll.take());
                std::thread::scope(|scope| {
                    let polled = scope.spawn(|| {
                        let _poll = Polling::begin();
                        let bytes = bytes(&mut *memory);
                        let place = random.usize(..bytes.len());
                        bytes[place] ^= 0x5a;
                    });
                    polled.join().unwrap();
                });
                poll = Some(Polling::begin());
            }
            if random.u8(..16) == 0 {
                let pages = memory.byte_size() / PAGE + 1;
                memory.grow_to(pages * PAGE).unwrap();
            }
            let bytes = bytes(&mut *memory);
            let rare = random.u8(..8) == 0;
            for _ in 0..random.usize(..40) {
                let place = match rare {
                    true => random.usize(..bytes.len()),
                    // Pages that all of them write to.
                    false => (random.usize(..40) * 9973) % (4 * PAGE),
                };
                bytes[place] ^= 0xa5;
            }
            if random.u8(..64) == 0 {
                bytes.fill(0xee);
            }
        }
        if random.u8(..16) == 0 {
            // Its instance is dropped by somebody else.
            drop(poll.take());
        }
    }
}

/// Shows that nothing was looked for after the guest of one poll had taken no page fault: what another thread writes, which
/// nobody ever does, is not found.
#[test]
#[expect(unsafe_code, reason = "a guest would use the memory")]
fn where_no_page_was_got_none_is_looked_for() {
    let stock = Stock::new(4, 0, 1, ResetChoice::Auto);
    assert!(stock.0.counts_faults);
    let slots = stock.slots();
    // Where the other thread is to write; 0 if it has, 1 if it is to end.
    let stray_to = AtomicUsize::new(0);
    let stray = |to: usize| {
        stray_to.store(to, Ordering::Release);
        while stray_to.load(Ordering::Acquire) != 0 {
            std::hint::spin_loop();
        }
    };
    let guest = |strays: Option<usize>| {
        let _poll = Polling::begin();
        let mut memory = memory(&slots, 4);
        let is_as_new = bytes(&mut *memory).iter().all(|&byte| byte == 0);
        bytes(&mut *memory)[100] = 1;
        if let Some(place) = strays {
            stray(memory.as_ptr() as usize + place);
        }
        is_as_new
    };
    let mut missed = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            loop {
                match stray_to.load(Ordering::Acquire) {
                    0 => std::thread::yield_now(),
                    1 => return,
                    to => {
                        // SAFETY: within what is open; the thread that has it waits for this.
                        unsafe { (to as *mut u8).write(7) };
                        stray_to.store(0, Ordering::Release);
                    }
                }
            }
        });
        // A page that is found is kept, and no other will be missed there.
        for place in (PAGE..).step_by(8 << 10).take(20) {
            // In the first one it gets its own pages. Of four, one is looked at in any case: seven a round.
            for _ in 0..4 {
                assert!(guest(None));
            }
            guest(Some(place));
            missed += usize::from(!guest(None));
            // Outside of a poll it is always looked at.
            drop(memory(&slots, 4));
        }
        stray_to.store(1, Ordering::Release);
    });
    assert!(missed > 5, "missed {missed} of 20");
}

#[test]
fn a_memory_does_not_grow_beyond_its_slot() {
    let slots = Stock::new(1, 0, 1, ResetChoice::Auto).slots();
    let mut memory = memory(&slots, 1);
    assert!(memory.grow_to(SIZE + PAGE).is_err());
    assert_eq!(memory.byte_size(), PAGE);
}

#[test]
fn a_stack_is_within_its_guard() {
    let slots = Stock::new(1, 0, 1, ResetChoice::Auto).slots();
    let stack = slots.new_stack(100_000, false).unwrap();
    let range = stack.range();
    assert!(range.len() >= 100_000 && range.len().is_multiple_of(4096));
    assert_eq!(stack.top() as usize, range.end);
    assert_eq!(stack.guard_range().end as usize, range.start);
    assert!(!stack.guard_range().is_empty());
}

/// Attacks the scan: what a guest has written is swapped out when its instance ends.
#[test]
#[ignore = "only root can turn swap on: cargo test -p wasm-gw-runtime -- --ignored swapped"]
fn a_page_that_is_swapped_out_is_not_missed() {
    struct Swap(tempfile::TempDir);
    impl Drop for Swap {
        fn drop(&mut self) {
            run("swapoff", &self.0);
        }
    }
    fn run(program: &str, dir: &tempfile::TempDir) {
        let mut command = std::process::Command::new(program);
        assert!(
            command
                .arg(dir.path().join("swap"))
                .status()
                .unwrap()
                .success()
        );
    }
    let dir = tempfile::tempdir().unwrap();
    let swap = std::fs::File::create(dir.path().join("swap")).unwrap();
    rustix::fs::fchmod(&swap, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
    std::io::Write::write_all(&mut &swap, &vec![0; 32 << 20]).unwrap();
    run("mkswap", &dir);
    run("swapon", &dir);
    let _swap = Swap(dir);

    let stock = Stock::new(4, 0, 1, ResetChoice::Auto);
    assert_eq!(stock.reset(), Reset::Scan);
    let (image, furnished) = image();
    let zeros = vec![0; 16 * PAGE];
    let mut swapped = 0;
    for (slots, expected) in [
        (stock.slots(), zeros),
        (beginning_with(&stock, image), furnished),
    ] {
        for _ in 0..20 {
            let _poll = Polling::begin();
            let mut memory = memory(&slots, expected.len() / PAGE);
            assert!(bytes(&mut *memory) == expected, "not as new");
            bytes(&mut *memory).fill(0xee);
            let (start, length) = (memory.as_ptr().cast(), memory.byte_size());
            #[expect(unsafe_code, reason = "the kernel is asked to swap a memory out")]
            // SAFETY: it stays what it is, wherever it is kept.
            unsafe {
                rustix::mm::madvise(start, length, rustix::mm::Advice::LinuxPageOut).unwrap();
            }
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix("VmSwap:"));
            let kib = line.and_then(|line| line.split_whitespace().next());
            swapped = swapped.max(kib.unwrap().parse::<usize>().unwrap());
        }
    }
    assert!(swapped > 512, "only {swapped} KiB were swapped out");
}

/// Attacks the scan: the kernel moves all pages about, again and again, while slots are made new.
#[test]
#[ignore = "only root can make the kernel move pages: cargo test -p wasm-gw-runtime -- --ignored moves"]
fn a_page_that_the_kernel_moves_is_not_missed() {
    /// Also when an assertion fails.
    struct Stop<'a>(&'a AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let stop = AtomicBool::new(false);
    let stock = Stock::new(4, 0, 2, ResetChoice::Auto);
    assert_eq!(stock.reset(), Reset::Scan);
    let (image, furnished) = image();
    let (plain, imaged) = (stock.slots(), beginning_with(&stock, image));
    let moved = || {
        let text = std::fs::read_to_string("/proc/vmstat").unwrap();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("pgmigrate_success "));
        line.unwrap().parse::<u64>().unwrap()
    };
    let before = moved();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                std::fs::write("/proc/sys/vm/compact_memory", "1").unwrap();
            }
        });
        let _stop = Stop(&stop);
        let begun = std::time::Instant::now();
        let mut rounds = 0;
        while begun.elapsed().as_secs() < 20 {
            use_once(&imaged, &furnished, 8, 4096);
            use_once(&plain, &vec![0; 16 * PAGE], 16, 4096);
            rounds += 1;
        }
        assert!(moved() > before, "nothing was moved in {rounds} rounds");
    });
}
