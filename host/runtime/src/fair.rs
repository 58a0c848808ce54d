//! The queue for turns, as a value: fair by app; within an app first come first served, but for a bound of what is in
//! progress. No thread, no clock of its own.
//!
//! Each app has a line and an account of the processor time that its guests have used. The next turn
//! goes to the app that has used least, and has not all its cores in use while others want to run. An
//! app that comes or comes back begins where the others are: of time that it did not use little is owed
//! to it, and of what it used while nobody else wanted it, it owes little.
//!
//! A guest that has begun has written to its memory. If all of an app's guests took turns from the first one on, as
//! many memories would be in use as there are requests, which no cache can hold and no slot is kept for. So where
//! [`IN_PROGRESS`] of its guests run or have begun and wait for a turn, those come first, until they are at their ends or
//! turn out to be long. Those that are long have a share of the turns, and new ones a small one, so that nobody waits
//! for ever.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

/// The most that an app is ahead of the others, when it comes back, for what it used before; and the
/// most that it is behind them for what it did not use although it had a guest here all the time.
const MOST_OWED: Duration = Duration::from_millis(100);

/// Of one app so many guests are begun by turns.
const IN_PROGRESS: usize = 8;

/// Where as many are in progress, of so many turns one goes to what is long, and one to what has not begun.
const ONE_LONG_IN: u32 = 4;
const ONE_NEW_IN: u32 = 32;

/// A number that tells apps apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct AppId(pub(crate) u64);

/// See the module's documentation. `T` is what waits.
pub(crate) struct Fair<T> {
    lines: HashMap<AppId, Line<T>>,
    /// The apps with something in their lines, the one that has used least first.
    ready: BTreeSet<(Duration, AppId)>,
    /// All that wait and must not wait for ever, by their deadlines.
    deadlines: BTreeMap<(Instant, u64), AppId>,
    /// The account of whoever had the last turn, which is where newcomers begin.
    now_at: Duration,
    /// So many lines are looked through for those that nobody needs any more.
    tidy_at: usize,
    /// Numbers what arrives.
    next: u64,
    len: usize,
}

struct Line<T> {
    used: Duration,
    running: usize,
    cores: usize,
    /// What waits, by [`Progress`]. All of it has numbers of one sequence.
    waiting: [BTreeMap<u64, Waiting<T>>; 3],
    /// Turns that were given.
    turns: u32,
}

/// With its deadline.
type Waiting<T> = (Option<Instant>, T);

/// How far a guest has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It has not begun.
    New,
    /// It has begun, and may soon have ended.
    Begun,
    /// It has had many turns.
    Long,
}

/// What has got its turn. [`Fair::ran`] must be told when it is over.
pub(crate) struct Taken<T> {
    pub(crate) app: AppId,
    pub(crate) item: T,
}

impl<T> Line<T> {
    fn is_empty(&self) -> bool {
        self.waiting.iter().all(BTreeMap::is_empty)
    }

    /// The number of what is next.
    fn next(&self) -> Option<u64> {
        let first = |progress| self.of(progress).keys().next().copied();
        let [new, begun, long] = [Progress::New, Progress::Begun, Progress::Long].map(first);
        if self.running + self.of(Progress::Begun).len() < IN_PROGRESS {
            return [new, begun, long].into_iter().flatten().min();
        }
        match self.turns {
            turns if turns % ONE_NEW_IN == 0 => new.or(begun).or(long),
            turns if turns % ONE_LONG_IN == 1 => long.or(begun).or(new),
            _ => begun.or_else(|| new.into_iter().chain(long).min()),
        }
    }

    fn of(&self, progress: Progress) -> &BTreeMap<u64, Waiting<T>> {
        &self.waiting[progress as usize]
    }

    fn take(&mut self, number: u64) -> Option<Waiting<T>> {
        let mut all = self.waiting.iter_mut();
        all.find_map(|waiting| waiting.remove(&number))
    }
}

impl<T> Default for Fair<T> {
    fn default() -> Self {
        Self {
            lines: HashMap::new(),
            ready: BTreeSet::new(),
            deadlines: BTreeMap::new(),
            now_at: Duration::ZERO,
            tidy_at: 64,
            next: 0,
            len: 0,
        }
    }
}

impl<T> Fair<T> {
    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Puts something into the line of its app, which may use so many cores while others want to
    /// run. Past its deadline it is taken before all others.
    pub(crate) fn push(
        &mut self,
        app: AppId,
        cores: usize,
        progress: Progress,
        deadline: Option<Instant>,
        item: T,
    ) {
        let now_at = self.now_at;
        let line = self.lines.entry(app).or_insert_with(|| Line {
            used: now_at,
            running: 0,
            cores,
            waiting: Default::default(),
            turns: 0,
        });
        if line.is_empty() {
            if line.running == 0 {
                line.used = line.used.clamp(now_at, now_at + MOST_OWED);
            }
            self.ready.insert((line.used, app));
        }
        let number = self.next;
        self.next += 1;
        self.len += 1;
        line.waiting[progress as usize].insert(number, (deadline, item));
        if let Some(deadline) = deadline {
            self.deadlines.insert((deadline, number), app);
        }
    }

    /// Takes the next. `others_want` tells whether apps that have nothing in this queue want to run
    /// beside this one.
    pub(crate) fn take(
        &mut self,
        now: Instant,
        others_want: impl Fn(AppId) -> bool,
    ) -> Option<Taken<T>> {
        if let Some(overdue) = self.take_overdue(now) {
            return Some(overdue);
        }
        let alone = self.ready.len() == 1;
        let next = self.ready.iter().copied().find(|&(_, app)| {
            let line = &self.lines[&app];
            let others_run = || {
                let mut lines = self.lines.iter();
                lines.any(|(other, line)| *other != app && line.running > 0)
            };
            line.running < line.cores || (alone && !others_run() && !others_want(app))
        });
        let (used, app) = next?;
        self.now_at = self.now_at.max(used);
        self.take_from(app, None)
    }

    /// Takes what is past its deadline: it only has to be ended, which is short.
    pub(crate) fn take_overdue(&mut self, now: Instant) -> Option<Taken<T>> {
        let (&(deadline, number), &app) = self.deadlines.first_key_value()?;
        (deadline <= now).then(|| self.take_from(app, Some(number)))?
    }

    /// The next deadline of what waits.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let (&(deadline, _), _) = self.deadlines.first_key_value()?;
        Some(deadline)
    }

    /// Takes this one, or the next, from a line.
    fn take_from(&mut self, app: AppId, number: Option<u64>) -> Option<Taken<T>> {
        let line = self.lines.get_mut(&app)?;
        let number = number.or_else(|| {
            line.turns = line.turns.wrapping_add(1);
            line.next()
        })?;
        let (deadline, item) = line.take(number)?;
        line.running += 1;
        if line.is_empty() {
            self.ready.remove(&(line.used, app));
        }
        if let Some(deadline) = deadline {
            self.deadlines.remove(&(deadline, number));
        }
        self.len -= 1;
        Some(Taken { app, item })
    }

    /// A turn is over, and took so much processor time.
    pub(crate) fn ran(&mut self, app: AppId, used: Duration) {
        let Some(line) = self.lines.get_mut(&app) else {
            return;
        };
        line.running = line.running.saturating_sub(1);
        let now_used = (line.used + used).max(self.now_at.saturating_sub(MOST_OWED));
        if !line.is_empty() {
            self.ready.remove(&(line.used, app));
            self.ready.insert((now_used, app));
        }
        line.used = now_used;
        if self.ready.is_empty() && self.lines.values().all(|line| line.running == 0) {
            // Nobody is left who could be behind.
            let furthest = self.lines.values().map(|line| line.used).max();
            self.now_at = self.now_at.max(furthest.unwrap_or_default());
        }
        if self.lines.len() > self.tidy_at {
            // An app at rest needs no line, unless it still has to pay for what it used.
            let now_at = self.now_at;
            self.lines
                .retain(|_, line| line.running > 0 || !line.is_empty() || line.used > now_at);
            self.tidy_at = 64.max(2 * self.lines.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Progress::{Begun, Long, New};
    use super::*;

    const A: AppId = AppId(1);
    const B: AppId = AppId(2);
    const TURN: Duration = Duration::from_millis(5);

    fn take(queue: &mut Fair<&'static str>) -> Option<&'static str> {
        let nobody_else = |_| false;
        queue
            .take(Instant::now(), nobody_else)
            .map(|taken| taken.item)
    }

    #[test]
    fn one_app_is_served_in_order() {
        let mut queue = Fair::default();
        queue.push(A, 2, New, None, "first");
        queue.push(A, 2, New, None, "second");
        assert_eq!(queue.len(), 2);
        assert_eq!(take(&mut queue), Some("first"));
        assert_eq!(take(&mut queue), Some("second"));
        assert_eq!(take(&mut queue), None);
        assert!(queue.is_empty());
    }

    /// Guests of an app that need so many turns each, with every new one in the line from the beginning: how many are in
    /// progress at most, and after how many turns the first one has ended.
    fn many(turns: usize, progress: Progress) -> (usize, usize) {
        let mut queue = Fair::default();
        let mut left = [turns; 64];
        for guest in 0..left.len() {
            queue.push(A, 2, New, None, guest);
        }
        let (mut most, mut first_end) = (0, 0);
        for turn in 1.. {
            let Some(Taken { app, item }) = queue.take(Instant::now(), |_| false) else {
                break;
            };
            left[item] -= 1;
            if left[item] > 0 {
                queue.push(app, 2, progress, None, item);
            } else if first_end == 0 {
                first_end = turn;
            }
            queue.ran(app, TURN);
            let in_progress = |&&left: &&usize| left > 0 && left < turns;
            most = most.max(left.iter().filter(in_progress).count());
        }
        assert_eq!(left, [0; 64]);
        (most, first_end)
    }

    #[test]
    fn few_of_an_app_are_in_progress() {
        let (most, first_end) = many(5, Begun);
        assert!((IN_PROGRESS..IN_PROGRESS + 4).contains(&most), "{most}");
        assert!(first_end <= 5 * IN_PROGRESS, "{first_end}");
        // Where they are long at once, all come between.
        let (most, first_end) = many(5, Long);
        assert_eq!(most, 64);
        assert!(first_end > 4 * 64, "{first_end}");
    }

    #[test]
    fn nobody_waits_for_ever_for_those_in_progress() {
        let mut queue = Fair::default();
        for _ in 0..2 * IN_PROGRESS {
            queue.push(A, 2, Begun, None, Begun);
            // Those that are overdue change nothing for the others.
            queue.push(A, 2, New, Some(Instant::now()), New);
        }
        queue.push(A, 2, New, None, New);
        queue.push(A, 2, Long, None, Long);
        let mut turns = [0; 3];
        for _ in 0..320 {
            let overdue = queue.take_overdue(Instant::now());
            if let Some(overdue) = overdue {
                queue.ran(overdue.app, Duration::ZERO);
            }
            let Taken { app, item } = queue.take(Instant::now(), |_| false).unwrap();
            turns[item as usize] += 1;
            // Another one comes.
            queue.push(app, 2, item, None, item);
            queue.ran(app, TURN);
        }
        let [new, begun, long] = turns;
        assert!((9..=26).contains(&new), "{turns:?}");
        assert!((70..=80).contains(&long), "{turns:?}");
        assert!(begun > 200, "{turns:?}");
    }

    #[test]
    fn a_deadline_counts_for_what_has_begun_too() {
        let mut queue = Fair::default();
        let now = Instant::now();
        queue.push(A, 1, New, None, "a");
        queue.push(A, 1, Begun, Some(now), "late");
        assert_eq!(take(&mut queue), Some("late"));
        assert_eq!(take(&mut queue), Some("a"));
        assert!(queue.is_empty());
    }

    #[test]
    fn an_app_with_fifty_guests_gets_no_more_than_one_with_two() {
        let mut queue = Fair::default();
        for _ in 0..50 {
            queue.push(A, 1, New, None, "a");
        }
        queue.push(B, 1, New, None, "b");
        queue.push(B, 1, New, None, "b");
        let mut turns = [0, 0];
        for _ in 0..40 {
            let Taken { app, item } = queue.take(Instant::now(), |_| false).unwrap();
            turns[usize::from(app == B)] += 1;
            queue.push(app, 1, New, None, item);
            queue.ran(app, TURN);
        }
        assert_eq!(turns, [20, 20]);
    }

    #[test]
    fn time_that_was_not_used_is_not_owed() {
        let mut queue = Fair::default();
        for _ in 0..100 {
            queue.push(A, 1, New, None, "a");
            assert_eq!(take(&mut queue), Some("a"));
            queue.ran(A, TURN);
        }
        // B comes late and does not get a hundred turns first.
        for _ in 0..9 {
            queue.push(A, 1, New, None, "a");
            queue.push(B, 1, New, None, "b");
        }
        let mut turns = [0, 0];
        for _ in 0..10 {
            let taken = queue.take(Instant::now(), |_| false).unwrap();
            turns[usize::from(taken.app == B)] += 1;
            queue.ran(taken.app, TURN);
        }
        assert!(turns[0] >= 4, "{turns:?}");
    }

    #[test]
    fn an_app_that_worked_alone_for_long_is_not_starved_by_newcomers() {
        let mut queue = Fair::default();
        let turn = |queue: &mut Fair<&'static str>| {
            let Taken { app, item } = queue.take(Instant::now(), |_| false).unwrap();
            // A guest that goes on is back in its line before its turn is counted.
            queue.push(app, 1, New, None, item);
            queue.ran(app, TURN);
            app
        };
        for _ in 0..50 {
            queue.push(A, 1, New, None, "a");
        }
        for _ in 0..10_000 {
            turn(&mut queue);
        }
        queue.push(B, 1, New, None, "b");
        let turns = (0..40).filter(|_| turn(&mut queue) == A).count();
        assert!((19..=21).contains(&turns), "{turns} of 40");
    }

    #[test]
    fn an_app_with_one_guest_for_long_saves_up_nothing() {
        // Eight cores, of which each app may have four, and all of their turns end together.
        const C: AppId = AppId(3);
        let mut queue = Fair::default();
        let guests = |queue: &mut Fair<()>, app, number| {
            for _ in 0..number {
                queue.push(app, 4, New, None, ());
            }
        };
        let round = |queue: &mut Fair<()>| {
            let taken: Vec<_> = std::iter::from_fn(|| queue.take(Instant::now(), |_| true))
                .take(8)
                .map(|taken| taken.app)
                .collect();
            for &app in &taken {
                queue.push(app, 4, New, None, ());
                queue.ran(app, TURN);
            }
            taken.iter().filter(|&&app| app == C).count()
        };
        guests(&mut queue, A, 1);
        guests(&mut queue, B, 1);
        guests(&mut queue, C, 8);
        for _ in 0..4000 {
            round(&mut queue);
        }
        guests(&mut queue, A, 7);
        guests(&mut queue, B, 7);
        // A third of the cores, but for what the others are owed at most.
        let turns: usize = (0..300).map(|_| round(&mut queue)).sum();
        assert!((700..=820).contains(&turns), "{turns} of 2400");
    }

    #[test]
    fn an_app_has_all_cores_only_while_nobody_else_wants_them() {
        let mut queue = Fair::default();
        for _ in 0..3 {
            queue.push(A, 1, New, None, "a");
        }
        assert_eq!(take(&mut queue), Some("a"));
        // Another is active outside this queue.
        let now = Instant::now();
        assert!(queue.take(now, |_| true).is_none());
        // Nobody is.
        assert_eq!(take(&mut queue), Some("a"));
        // Another is inside it, waiting, then running.
        queue.push(B, 1, New, None, "b");
        assert_eq!(take(&mut queue), Some("b"));
        assert_eq!(take(&mut queue), None);
        queue.ran(B, TURN);
        assert_eq!(take(&mut queue), Some("a"));
    }

    #[test]
    fn what_is_too_late_comes_first_and_is_not_held_back() {
        let mut queue = Fair::default();
        let now = Instant::now();
        queue.push(A, 1, New, None, "a");
        queue.push(A, 1, New, Some(now + TURN), "late");
        queue.push(B, 1, New, Some(now + 2 * TURN), "b");
        assert_eq!(take(&mut queue), Some("a"));
        let taken = queue.take(now + TURN, |_| true).unwrap();
        assert_eq!(taken.item, "late");
        assert_eq!(queue.len(), 1);
        assert_eq!(take(&mut queue), Some("b"));
        assert!(queue.take(now + 9 * TURN, |_| false).is_none());
    }

    #[test]
    fn apps_at_rest_leave_nothing_behind() {
        let mut queue = Fair::default();
        for app in 0..1000 {
            queue.push(AppId(app), 1, New, None, "x");
            let taken = queue.take(Instant::now(), |_| false).unwrap();
            queue.ran(taken.app, TURN);
        }
        assert!(queue.lines.len() <= 130, "{}", queue.lines.len());
    }
}
