//! A response on its way through middleware: the head when it is due, and the body block by block.

use alloc::vec::Vec;
use core::convert::Infallible;

use wasm_gw_guest::raw::types::HostBody;
use wasm_gw_guest::{Blocks, Body, BodyKind, Result, StartResponse, WriteError, Writer};

use crate::{Head, Iterable, Recorder, body_of};

/// How much is read of a body that the host produces at once, at most, in bytes.
const READ: u64 = 64 << 10;

/// Changes a body, one block at a time.
pub trait Filter {
    /// What becomes of a block that is not empty. Nothing of it should wait for the next one, which may be long in
    /// coming; but an empty block may be the answer (`M3`, `M6`).
    ///
    /// # Errors
    ///
    /// The error that ends the response.
    fn block(&mut self, block: Vec<u8>) -> Result<Vec<u8>>;

    /// What follows the last block.
    ///
    /// # Errors
    ///
    /// The error that ends the response.
    fn end(&mut self) -> Result<Vec<u8>> {
        Ok(Vec::new())
    }
}

/// No filter: there is no such value.
impl Filter for Infallible {
    fn block(&mut self, _: Vec<u8>) -> Result<Vec<u8>> {
        match *self {}
    }
}

/// [`Recorder::forward`].
pub(crate) fn forward<F: Filter + 'static>(
    recorder: Recorder,
    start_response: StartResponse,
    returned: Result<Body>,
    choose: impl FnOnce(&mut Head) -> Result<Option<F>> + 'static,
) -> Result<Body> {
    let mut answer = Answer {
        recorder,
        start_response,
        choose: Some(choose),
        filter: None,
    };
    // What was written precedes all else, an error too.
    let written = answer.recorder.take_written();
    let is_begun = !written.is_empty();
    let sent = if is_begun {
        answer.send(written)
    } else {
        Ok(())
    };
    let body = returned?;
    sent?;

    match body.into_kind() {
        BodyKind::Iter(blocks) => {
            if is_begun {
                answer.recorder.commit();
            }
            Ok(body_of(Filtered {
                answer,
                blocks,
                is_begun,
                is_over: false,
            }))
        }
        BodyKind::Host(body) => {
            if !is_begun {
                answer.start(body.length(), true)?;
            }
            Ok(match answer.filter {
                None => Body::host(body),
                Some(_) => body_of(Filtered {
                    answer,
                    blocks: body,
                    is_begun: true,
                    is_over: false,
                }),
            })
        }
        BodyKind::Bytes(bytes) => {
            if !is_begun {
                answer.start(Some(bytes.len() as u64), false)?;
            }
            let mut bytes = answer.filtered(bytes)?;
            bytes.append(&mut answer.end()?);
            Ok(bytes.into())
        }
        BodyKind::Empty => {
            if !is_begun {
                answer.start(Some(0), false)?;
            }
            let rest = answer.end()?;
            Ok(if rest.is_empty() {
                Body::empty()
            } else {
                rest.into()
            })
        }
    }
}

/// What is said to whom.
struct Answer<F, C> {
    recorder: Recorder,
    start_response: StartResponse,
    /// None once it was asked.
    choose: Option<C>,
    filter: Option<F>,
}

impl<F: Filter, C: FnOnce(&mut Head) -> Result<Option<F>>> Answer<F, C> {
    /// Begins the response, if the application has. If not the host says so (`S44`).
    fn start(&mut self, length: Option<u64>, by_host: bool) -> Result<Option<Writer>> {
        let Some(mut head) = self.recorder.started() else {
            return Ok(None);
        };
        head.length = length;
        head.by_host = by_host;
        if let Some(choose) = self.choose.take() {
            self.filter = choose(&mut head)?;
        }
        head.start(&self.start_response).map(Some)
    }

    /// Begins the response with what the application wrote (`M5`).
    fn send(&mut self, written: Vec<Vec<u8>>) -> Result<()> {
        let Some(writer) = self.start(None, false)? else {
            return Ok(());
        };
        for block in written {
            // The first write sends the head, also if it is empty.
            writer.write_block(&self.filtered(block)?)?;
        }
        Ok(())
    }

    fn filtered(&mut self, block: Vec<u8>) -> Result<Vec<u8>> {
        match &mut self.filter {
            Some(filter) if !block.is_empty() => filter.block(block),
            _ => Ok(block),
        }
    }

    fn end(&mut self) -> Result<Vec<u8>> {
        match &mut self.filter {
            Some(filter) => filter.end(),
            None => Ok(Vec::new()),
        }
    }

    /// What is written from inside the iterable the host would have refused, and a recorder has not (`A13`). It must
    /// not be lost unnoticed.
    fn refuse_late_writes(&self) -> Result<()> {
        if self.recorder.take_written().is_empty() {
            Ok(())
        } else {
            Err(WriteError::BodyStarted.into())
        }
    }
}

/// The iterable that is returned. It asks for one block for each that it is asked for (`M3`).
struct Filtered<I, F, C> {
    answer: Answer<F, C>,
    blocks: I,
    is_begun: bool,
    is_over: bool,
}

impl<I, F: Filter, C: FnOnce(&mut Head) -> Result<Option<F>>> Filtered<I, F, C> {
    /// The head is due, and the application can no longer replace it.
    fn begin(&mut self) -> Result<()> {
        if !self.is_begun {
            self.is_begun = true;
            self.answer.refuse_late_writes()?;
            self.answer.start(None, false)?;
            self.answer.recorder.commit();
        }
        Ok(())
    }
}

impl<I, F, C> Iterable for Filtered<I, F, C>
where
    I: Iterable,
    F: Filter,
    C: FnOnce(&mut Head) -> Result<Option<F>>,
{
    fn next(&mut self) -> Result<Option<Vec<u8>>> {
        if self.is_over {
            return Ok(None);
        }
        match self.blocks.next()? {
            Some(block) if block.is_empty() => Ok(Some(block)),
            Some(block) => {
                self.begin()?;
                self.answer.filtered(block).map(Some)
            }
            None => {
                self.is_over = true;
                self.begin()?;
                self.answer.refuse_late_writes()?;
                let rest = self.answer.end()?;
                Ok((!rest.is_empty()).then_some(rest))
            }
        }
    }

    fn close(&mut self) -> Result<()> {
        self.blocks.close()
    }
}

impl Iterable for Blocks {
    fn next(&mut self) -> Result<Option<Vec<u8>>> {
        Blocks::next(self)
    }

    fn close(&mut self) -> Result<()> {
        Blocks::close(self)
    }
}

/// A body that the host produces, read because a filter wants it.
impl Iterable for HostBody {
    fn next(&mut self) -> Result<Option<Vec<u8>>> {
        Ok(HostBody::next(self, READ)?)
    }

    fn close(&mut self) -> Result<()> {
        HostBody::close(self);
        Ok(())
    }
}
