//! The body of a response: what an application returns.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;
#[cfg(feature = "std")]
use std::io::{ErrorKind, Read};

use crate::raw::app::{self, GuestBlocks};
use crate::raw::types::{Exception, HostBody};
use crate::{Error, Input, Result};

/// How much [`Body::reader`] reads at a time, in bytes.
#[cfg(feature = "std")]
const READ: usize = 64 * 1024;

/// The body of a response.
///
/// Bytes and text are converted by `into()` and get a `Content-Length`. An
/// iterator is asked for one block at a time, each of which is sent before the
/// next is asked for (`S37`):
///
/// ```no_run
/// # use wasm_gw_guest::{Body, Environ, Result, StartResponse};
/// fn app(_environ: Environ, start_response: StartResponse) -> Result<Body> {
///     start_response.start("200 OK", &[("Content-Type", "text/plain")])?;
///     Ok(Body::iter((1..=3).map(|number| format!("{number}\n"))))
/// }
/// ```
pub struct Body(BodyKind);

/// What a [`Body`] is made of, for who passes on another's.
pub enum BodyKind {
    /// Nothing.
    Empty,
    /// One block.
    Bytes(Vec<u8>),
    /// An iterable.
    Iter(Blocks),
    /// What the host produces.
    Host(HostBody),
}

impl Body {
    /// No body at all.
    pub fn empty() -> Self {
        Self(BodyKind::Empty)
    }

    /// The blocks of an iterator: bytes or text, or a `Result` of them whose
    /// error ends the response. An empty block sends nothing.
    ///
    /// The iterator may be dropped before its end: when the client has gone, or
    /// when the announced `Content-Length` is reached (`A12`).
    pub fn iter<I>(blocks: I) -> Self
    where
        I: IntoIterator<IntoIter: 'static, Item: Block>,
    {
        Self(BodyKind::Iter(Blocks::of(Plain(blocks.into_iter()))))
    }

    /// The same with a function that the host calls exactly once when the
    /// request ends: at the end of the iterator, after an error, or when the
    /// client has gone (`S41`). After a trap it is not called. The iterator is
    /// dropped before it.
    pub fn with_close<I, C, O>(blocks: I, close: C) -> Self
    where
        I: IntoIterator<IntoIter: 'static, Item: Block>,
        C: FnOnce() -> O + 'static,
        O: CloseOutcome,
    {
        Self(BodyKind::Iter(Blocks::of(Closing {
            blocks: Some(blocks.into_iter()),
            close: Some(close),
        })))
    }

    /// What a reader gives, from where it stands to its end: PEP 3333's
    /// `wsgi.file_wrapper` (`S59`). The reader is dropped when the request ends.
    #[cfg(feature = "std")]
    pub fn reader(mut reader: impl Read + 'static) -> Self {
        let mut buffer = vec![0; READ];
        Self::iter(core::iter::from_fn(move || {
            loop {
                match reader.read(&mut buffer) {
                    Ok(0) => return None,
                    Ok(count) => return Some(Ok(buffer[..count].to_vec())),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Some(Err(error)),
                }
            }
        }))
    }

    /// The rest of a request's body, passed through by the host without
    /// entering the guest (`S59`). What [`std::io::BufRead`] read ahead of it is lost.
    pub fn input(input: Input) -> Self {
        Self::host(HostBody::of_input(input.into_raw()))
    }

    /// A body that the host produces.
    pub fn host(body: HostBody) -> Self {
        Self(BodyKind::Host(body))
    }

    /// Whether the request goes on, perhaps for long, when it has been returned.
    pub(crate) fn outlasts_the_call(&self) -> bool {
        matches!(self.0, BodyKind::Iter(_) | BodyKind::Host(_))
    }

    /// What it is made of.
    pub fn into_kind(self) -> BodyKind {
        self.0
    }

    /// What is given to the host.
    pub fn into_raw(self) -> app::Body {
        match self.0 {
            BodyKind::Empty => app::Body::Empty,
            BodyKind::Bytes(bytes) => app::Body::Bytes(bytes),
            BodyKind::Iter(blocks) => app::Body::Iter(app::Blocks::new(blocks)),
            BodyKind::Host(body) => app::Body::Host(body),
        }
    }
}

impl<B: IntoBytes> From<B> for Body {
    fn from(block: B) -> Self {
        Self(BodyKind::Bytes(block.into_bytes()))
    }
}

/// What an iterator of a [`Body`] yields: bytes or text, or a `Result` of them.
pub trait Block {
    /// The bytes to send.
    ///
    /// # Errors
    ///
    /// The error that ends the response.
    fn into_block(self) -> Result<Vec<u8>>;
}

impl<B: IntoBytes> Block for B {
    fn into_block(self) -> Result<Vec<u8>> {
        Ok(self.into_bytes())
    }
}

impl<B: IntoBytes, E: Into<Error>> Block for Result<B, E> {
    fn into_block(self) -> Result<Vec<u8>> {
        match self {
            Ok(block) => Ok(block.into_bytes()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The types that are bytes. `Into<Vec<u8>>` would say so for all types but
/// would leave no room for `Result`.
pub trait IntoBytes {
    /// The bytes, without a copy where they are owned.
    fn into_bytes(self) -> Vec<u8>;
}

macro_rules! into_bytes {
    ($($type:ty),* $(,)?) => {
        $(impl IntoBytes for $type {
            fn into_bytes(self) -> Vec<u8> {
                self.into()
            }
        })*
    };
}

into_bytes!(Vec<u8>, Box<[u8]>, &[u8], String, &str);

impl IntoBytes for Cow<'_, [u8]> {
    fn into_bytes(self) -> Vec<u8> {
        self.into_owned()
    }
}

impl IntoBytes for Cow<'_, str> {
    fn into_bytes(self) -> Vec<u8> {
        self.into_owned().into()
    }
}

impl<const N: usize> IntoBytes for [u8; N] {
    fn into_bytes(self) -> Vec<u8> {
        self.into()
    }
}

impl<const N: usize> IntoBytes for &[u8; N] {
    fn into_bytes(self) -> Vec<u8> {
        self.as_slice().into()
    }
}

/// What a close hook returns: nothing, or a `Result` whose error is logged.
pub trait CloseOutcome {
    /// As a result.
    ///
    /// # Errors
    ///
    /// The error to log; the response stays valid.
    fn into_outcome(self) -> Result<()>;
}

impl CloseOutcome for () {
    fn into_outcome(self) -> Result<()> {
        Ok(())
    }
}

impl<E: Into<Error>> CloseOutcome for Result<(), E> {
    fn into_outcome(self) -> Result<()> {
        self.map_err(Into::into)
    }
}

/// What [`Blocks`] holds: an iterator of blocks with a `close`.
trait Source {
    fn next(&mut self) -> Result<Option<Vec<u8>>>;
    fn close(&mut self) -> Result<()>;
}

struct Plain<I>(I);

impl<I: Iterator<Item: Block>> Source for Plain<I> {
    fn next(&mut self) -> Result<Option<Vec<u8>>> {
        self.0.next().map(Block::into_block).transpose()
    }

    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

struct Closing<I, C> {
    blocks: Option<I>,
    close: Option<C>,
}

impl<I, C, O> Source for Closing<I, C>
where
    I: Iterator<Item: Block>,
    C: FnOnce() -> O,
    O: CloseOutcome,
{
    fn next(&mut self) -> Result<Option<Vec<u8>>> {
        let block = self.blocks.as_mut().and_then(Iterator::next);
        block.map(Block::into_block).transpose()
    }

    fn close(&mut self) -> Result<()> {
        self.blocks = None;
        match self.close.take() {
            Some(close) => close().into_outcome(),
            None => Ok(()),
        }
    }
}

/// The exported resource `blocks`: the iterable of a [`Body`].
///
/// It is public because a component's export names it, and for who passes it on.
pub struct Blocks(RefCell<Box<dyn Source>>);

impl Blocks {
    fn of(source: impl Source + 'static) -> Self {
        Self(RefCell::new(Box::new(source)))
    }

    /// The next block; none at the end.
    ///
    /// # Errors
    ///
    /// That of the iterator.
    pub fn next(&self) -> Result<Option<Vec<u8>>> {
        self.0.borrow_mut().next()
    }

    /// Drops the iterator and calls what is to be called then. A second time there is nothing to do.
    ///
    /// # Errors
    ///
    /// That of what is called.
    pub fn close(&self) -> Result<()> {
        // Replaced, so that a plain iterator is dropped here too, while the
        // instance may still call the host.
        let mut source = self
            .0
            .replace(Box::new(Plain(core::iter::empty::<Vec<u8>>())));
        source.close()
    }
}

impl GuestBlocks for Blocks {
    fn next(&self) -> Result<Option<Vec<u8>>, Exception> {
        self.next().map_err(Error::into_exception)
    }

    fn close(&self) -> Result<(), Exception> {
        self.close().map_err(Error::into_exception)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::rc::Rc;

    fn blocks(body: Body) -> Blocks {
        match body.0 {
            BodyKind::Iter(blocks) => blocks,
            _ => panic!("not an iterator"),
        }
    }

    #[test]
    fn blocks_come_one_at_a_time_and_keep_their_bounds() {
        let blocks = blocks(Body::iter(["a", "", "bc"]));
        for expected in [&b"a"[..], b"", b"bc"] {
            assert_eq!(blocks.next().unwrap().as_deref(), Some(expected));
        }
        assert_eq!(blocks.next().unwrap(), None);
    }

    #[test]
    fn a_reader_is_read_from_where_it_stands() {
        let mut reader = std::io::Cursor::new(vec![7; READ + 11]);
        reader.set_position(10);
        let blocks = blocks(Body::reader(reader));
        assert_eq!(blocks.next().unwrap(), Some(vec![7; READ]));
        assert_eq!(blocks.next().unwrap(), Some(vec![7; 1]));
        assert_eq!(blocks.next().unwrap(), None);
    }

    #[test]
    fn an_error_of_the_iterator_is_an_exception() {
        let failing = [Ok("a"), Err(Error::new("Kind", "text"))];
        let blocks = blocks(Body::iter(failing));
        assert_eq!(blocks.next().unwrap(), Some(b"a".to_vec()));
        assert_eq!(blocks.next().unwrap_err().message(), "text");
    }

    #[test]
    fn close_runs_once_and_after_the_iterator_is_dropped() {
        struct Dropped(Rc<Cell<u32>>);
        impl Drop for Dropped {
            fn drop(&mut self) {
                self.0.set(self.0.get() + 1);
            }
        }
        let dropped = Rc::new(Cell::new(0));
        let closed = Rc::new(Cell::new(0));
        let (seen, marker) = (dropped.clone(), Dropped(dropped.clone()));
        let iterator = std::iter::from_fn(move || {
            let _ = &marker;
            Some("x")
        });
        let blocks = blocks(Body::with_close(iterator, {
            let closed = closed.clone();
            move || closed.set(closed.get() + 10 + seen.get())
        }));
        assert_eq!(blocks.next().unwrap(), Some(b"x".to_vec()));
        blocks.close().unwrap();
        blocks.close().unwrap();
        assert_eq!((dropped.get(), closed.get()), (1, 11));
        assert_eq!(blocks.next().unwrap(), None);
    }

    #[test]
    fn a_failing_close_is_an_exception() {
        let blocks = blocks(Body::with_close([""; 0], || Err(Error::msg("no"))));
        assert_eq!(blocks.close().unwrap_err().message(), "no");
    }
}
