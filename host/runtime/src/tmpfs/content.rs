//! What is in a file: pages, and holes where nothing was ever written.

use std::collections::BTreeMap;

use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;

use super::Result;

const PAGE: usize = 4 << 10;

/// What a page takes of the host's memory, in bytes, with its place in the map of a file that has many. The first
/// ones are in what a node costs.
const PAGE_COST: usize = PAGE + 96;

/// No file is larger.
const LARGEST: u64 = i64::MAX as u64;

#[derive(Default)]
pub(super) struct Content {
    size: u64,
    pages: BTreeMap<u64, Box<[u8]>>,
}

impl Content {
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// What it takes of the host's memory, in bytes.
    pub(super) fn cost(&self) -> usize {
        self.pages.len().saturating_mul(PAGE_COST)
    }

    /// What it would take more of it to write so much here.
    pub(super) fn cost_of_writing(&self, offset: u64, length: usize) -> Result<usize> {
        let Some(last) = length.checked_sub(1) else {
            return Ok(0);
        };
        let last = offset.checked_add(last as u64);
        let last = last
            .filter(|&last| last < LARGEST)
            .ok_or(ErrorCode::FileTooLarge)?;
        let (first, last) = (offset / PAGE as u64, last / PAGE as u64);
        let there = self.pages.range(first..=last).count();
        let touched = usize::try_from(last - first).map_or(usize::MAX, |pages| pages + 1);
        Ok((touched - there).saturating_mul(PAGE_COST))
    }

    /// Writes what has been paid for, and what [`cost_of_writing`](Self::cost_of_writing) has let pass.
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let (mut at, mut rest) = (offset, bytes);
        while !rest.is_empty() {
            let within = within(at);
            let (now, later) = rest.split_at(rest.len().min(PAGE - within));
            let page = self.pages.entry(at / PAGE as u64);
            if now.len() == PAGE {
                // No need to clear what is written over.
                page.and_modify(|page| page.copy_from_slice(now))
                    .or_insert_with(|| now.into());
            } else {
                let page = page.or_insert_with(|| vec![0; PAGE].into());
                page[within..within + now.len()].copy_from_slice(now);
            }
            at += now.len() as u64;
            rest = later;
        }
        self.size = self.size.max(at);
    }

    /// Up to so many bytes from here on, none at the end.
    pub(super) fn read(&self, offset: u64, most: usize) -> Vec<u8> {
        let left = self.size.saturating_sub(offset);
        let length = usize::try_from(left).map_or(most, |left| left.min(most));
        let mut bytes = vec![0; length];
        let (mut at, mut rest) = (offset, &mut bytes[..]);
        while !rest.is_empty() {
            let within = within(at);
            let (now, later) = rest.split_at_mut(rest.len().min(PAGE - within));
            if let Some(page) = self.pages.get(&(at / PAGE as u64)) {
                now.copy_from_slice(&page[within..within + now.len()]);
            }
            at += now.len() as u64;
            rest = later;
        }
        bytes
    }

    /// Cuts it off, or lets it end in a hole. Takes no memory, and may give some back.
    pub(super) fn set_size(&mut self, size: u64) -> Result<()> {
        if size > LARGEST {
            return Err(ErrorCode::FileTooLarge);
        }
        if size < self.size {
            drop(self.pages.split_off(&size.div_ceil(PAGE as u64)));
            // What is left of the last page is a hole, should the file grow again.
            if let Some(page) = self.pages.get_mut(&(size / PAGE as u64)) {
                page[within(size)..].fill(0);
            }
        }
        self.size = size;
        Ok(())
    }
}

/// Where a byte is in its page.
fn within(at: u64) -> usize {
    // Less than a page.
    (at % PAGE as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let mut content = Content::default();
        let bytes: Vec<u8> = (0..3 * PAGE).map(|number| (number % 251) as u8).collect();
        for (offset, length) in [(0, 3 * PAGE), (1, PAGE), (4095, 2), (100, 2 * PAGE + 5)] {
            let offset = offset as u64;
            content.write(offset, &bytes[..length]);
            assert_eq!(
                content.read(offset, length),
                bytes[..length],
                "{offset} {length}"
            );
        }
        assert_eq!(content.cost(), 3 * PAGE_COST);
        assert_eq!(content.read(content.size() - 1, 100).len(), 1);
        assert_eq!(content.read(content.size(), 100).len(), 0);
        assert_eq!(content.read(u64::MAX, 100).len(), 0);
    }

    #[test]
    fn a_hole_costs_nothing_and_is_zero() {
        let mut content = Content::default();
        content.set_size(LARGEST).unwrap();
        assert_eq!(content.cost(), 0);
        assert_eq!(content.read(1 << 40, 3), [0; 3]);
        assert_eq!(content.cost_of_writing(1 << 40, 1), Ok(PAGE_COST));
        assert_eq!(content.cost_of_writing(4095, 2), Ok(2 * PAGE_COST));
        assert_eq!(content.cost_of_writing(u64::MAX, 0), Ok(0));
        for (offset, length) in [(LARGEST, 1), (LARGEST - 1, 2), (u64::MAX, 1), (u64::MAX, 2)] {
            let cost = content.cost_of_writing(offset, length);
            assert_eq!(cost, Err(ErrorCode::FileTooLarge), "{offset} {length}");
        }
        assert_eq!(content.set_size(LARGEST + 1), Err(ErrorCode::FileTooLarge));
    }

    #[test]
    fn what_was_cut_off_does_not_come_back() {
        let mut content = Content::default();
        content.write(0, &[1; 3 * PAGE]);
        content.set_size(10).unwrap();
        assert_eq!(content.cost(), PAGE_COST);
        content.set_size(2 * PAGE as u64).unwrap();
        let read = content.read(0, 3 * PAGE);
        assert_eq!(read.len(), 2 * PAGE);
        assert!(read[..10].iter().all(|&byte| byte == 1));
        assert!(read[10..].iter().all(|&byte| byte == 0));
        content.set_size(0).unwrap();
        assert_eq!(content.cost(), 0);
    }
}
