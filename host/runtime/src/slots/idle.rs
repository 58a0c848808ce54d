//! Whether pages that hold something, and the same as at first, are used.
//!
//! Such a page was written to by some request and made new since. Either it is not written to any more, and looking at it
//! after each request is for nothing; or each request writes to it and leaves it as it was, as an interpreter does that
//! counts references up and down, and then to give it back means to get it anew for the next request. Its contents do
//! not tell. So a few of them are given back, now and then, and whether they hold something again after the next request
//! tells for all. The more often the answer was that they are used, the less often this is asked.

use std::mem;
use std::ops::Range;

use super::UNSEEN;

/// So many pages are asked about.
const PROBES: usize = 8;

/// After so many requests it is asked, at first and at last. To ask less often would save nothing, since it costs as many
/// page faults as there are probes; and a slot may go to another app, which is not to pay for what the last one did.
const SOON: u32 = 4;
const LATE: u32 = 64;

/// What is known of a slot.
#[derive(Debug)]
pub(super) struct Idle {
    /// After so many requests it is asked again.
    wait: u32,
    /// As many as it was the last time.
    waited: u32,
    /// The pages that were given back, in order.
    probes: Vec<Range<usize>>,
    /// So many of them hold something again.
    found: usize,
}

/// What is to be done with the pages that nobody has changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Keep,
    /// These are given back, to see whether they are used.
    Probe(Vec<Range<usize>>),
    /// All of them are given back.
    GiveBack,
}

impl Default for Idle {
    fn default() -> Self {
        Self {
            wait: SOON,
            waited: SOON,
            probes: Vec::new(),
            found: 0,
        }
    }
}

impl Idle {
    /// This part of the memory holds something.
    pub(super) fn see(&mut self, part: &Range<usize>) {
        let first = self
            .probes
            .partition_point(|probe| probe.start < part.start);
        let behind = self.probes.partition_point(|probe| probe.start < part.end);
        self.found += behind - first;
    }

    /// Whether [`judge`](Self::judge) has to know this time what nobody has changed. Else it all can be written over
    /// unseen.
    pub(super) fn looks(&self) -> bool {
        self.wait == 1 || !self.probes.is_empty()
    }

    /// When all of the memory was seen: these parts of it hold the same as at first, if it [`looks`](Self::looks).
    pub(super) fn judge(&mut self, unchanged: &[Range<usize>]) -> Verdict {
        if !self.looks() {
            self.wait -= 1;
            return Verdict::Keep;
        }
        let asked = mem::take(&mut self.probes).len();
        let found = mem::take(&mut self.found);
        let bytes: usize = unchanged.iter().map(Range::len).sum();
        if bytes <= UNSEEN {
            self.wait = self.waited;
            return Verdict::Keep;
        }
        if asked == 0 {
            self.probes = spread(unchanged, bytes);
            return Verdict::Probe(self.probes.clone());
        }
        if found * 2 < asked {
            *self = Self::default();
            return Verdict::GiveBack;
        }
        self.waited = (self.waited * 2).min(LATE);
        self.wait = self.waited;
        Verdict::Keep
    }
}

/// Some pages of these parts, which are so many bytes together, equally far from each other.
fn spread(parts: &[Range<usize>], bytes: usize) -> Vec<Range<usize>> {
    let page = rustix::param::page_size();
    let step = (bytes / PROBES / page).max(1);
    let pages = parts.iter().flat_map(|part| part.clone().step_by(page));
    let some = pages.skip(step / 2).step_by(step).take(PROBES);
    some.map(|start| start..start + page).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requests to a slot in which so many pages are unchanged each time, with every second page between them. After each
    /// that is probed, the probes hold something again or do not. Tells when something was done.
    fn requests(
        idle: &mut Idle,
        pages: usize,
        are_used: bool,
        count: usize,
    ) -> Vec<(usize, Verdict)> {
        let page = rustix::param::page_size();
        let parts: Vec<_> = (0..pages)
            .map(|number| 2 * number * page..(2 * number + 1) * page)
            .collect();
        let mut done = Vec::new();
        for number in 0..count {
            if are_used {
                idle.see(&(0..2 * pages * page));
            }
            let verdict = idle.judge(&parts);
            if verdict != Verdict::Keep {
                done.push((number, verdict));
            }
        }
        done
    }

    #[test]
    fn pages_that_each_request_writes_to_are_kept_and_asked_about_ever_less() {
        let mut idle = Idle::default();
        let done = requests(&mut idle, 500, true, 2000);
        let when: Vec<usize> = done.iter().map(|(number, _)| *number).collect();
        assert_eq!(when[..7], [3, 12, 29, 62, 127, 192, 257]);
        for (_, verdict) in done {
            let Verdict::Probe(probes) = verdict else {
                panic!("they were given back");
            };
            assert_eq!(probes.len(), PROBES);
            assert!(probes.is_sorted_by(|one, next| one.end < next.start));
        }
    }

    #[test]
    fn pages_that_nobody_writes_to_any_more_go_back_soon() {
        let mut idle = Idle::default();
        requests(&mut idle, 500, true, 3);
        let done = requests(&mut idle, 500, false, 2);
        assert!(matches!(done[0], (0, Verdict::Probe(_))));
        assert_eq!(done[1], (1, Verdict::GiveBack));
    }

    #[test]
    fn few_pages_are_not_worth_it() {
        let page = rustix::param::page_size();
        assert_eq!(
            requests(&mut Idle::default(), UNSEEN / page, false, 100),
            []
        );
    }
}
