//! The call `app(environ, start-response)` and what follows from it, in order: the body is pulled
//! block by block and sent, the response is ended or given up, and `close` is called.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use wasm_gw_protocol::Broken;
use wasm_gw_protocol::lint::{Event, Returned};
use wasmtime::Store;
use wasmtime::component::{Resource, ResourceAny};

use super::bindings::exports::wasm_gw::gateway::app::{Body, Guest};
use super::bindings::wasm_gw::gateway::types::Exception as GuestException;
use super::environ::GuestEnviron;
use super::input::{HostBody, PASS_THROUGH};
use super::response::StartResponse;
use super::{Gateway, GatewayPre};
use crate::clock::Clock;
use crate::error::{Exception, Failure};
use crate::instance::State;
use crate::memory::MemoryShort;
use crate::output::Gone;
use crate::slots;

/// Runs a guest for one request, and makes it first if it is none yet. The response goes out by the store's
/// output; `settle` is told how it ended, once, before the guest's `close` is called.
///
/// Returns the guest if nothing went wrong, and it could serve another request.
pub(crate) async fn run(
    pre: &GatewayPre<State>,
    store: &mut Store<State>,
    guest: Option<Gateway>,
    environ: GuestEnviron,
    settle: impl FnOnce(&mut State, Result<(), Failure>),
) -> Option<Gateway> {
    let clock = Arc::clone(&store.data().clock);
    let made = match guest {
        Some(guest) => Ok(guest),
        None => timed(&clock, pre.instantiate_async(&mut *store)).await,
    };
    let guest = match made {
        Ok(guest) => guest,
        Err(error) => {
            let failure = match slots::refusal(&error) {
                // What the system does not give now it may give to the next request.
                Some(why) => Failure::Unavailable(why.into()),
                None if store.data().was_short() => Failure::Short(MemoryShort),
                None => Failure::of_instantiation(&error, store.data().refused()),
            };
            settle(store.data_mut(), Err(failure));
            return None;
        }
    };
    store.data_mut().instantiated = true;
    let app = guest.wasm_gw_gateway_app();
    let went_well = match call(app, store, &clock, environ).await {
        Err(failure) => {
            settle(store.data_mut(), Err(failure));
            false
        }
        Ok(Body::Iter(blocks)) => iterate(app, store, &clock, blocks, settle).await,
        Ok(body) => {
            let outcome = waited(&clock, deliver(store.data_mut(), body)).await;
            let went_well = outcome.is_ok();
            settle(store.data_mut(), outcome);
            went_well
        }
    };
    (went_well && !store.data().exited).then_some(guest)
}

/// Bounds a call into the guest by the request's clock.
async fn timed<T>(
    clock: &Clock,
    call: impl Future<Output = wasmtime::Result<T>>,
) -> wasmtime::Result<T> {
    let mut call = pin!(call);
    let mut expired = pin!(clock.expired());
    let mut began = false;
    poll_fn(|context| {
        // One that waited, for its turn or for anything else, may be too late by now.
        if std::mem::replace(&mut began, true)
            && let Err(bound) = clock.check()
        {
            return Poll::Ready(Err(bound.into()));
        }
        if let Poll::Ready(done) = call.as_mut().poll(context) {
            return Poll::Ready(done);
        }
        if clock.is_between_turns() {
            // Whoever gives the turns knows the deadline.
            return Poll::Pending;
        }
        // For a guest that is suspended; one that computes is stopped by its epoch callback.
        expired
            .as_mut()
            .poll(context)
            .map(|bound| Err(bound.into()))
    })
    .await
}

/// Bounds waiting for the client where no guest runs: the request as a whole may have an end.
async fn waited<T>(
    clock: &Clock,
    sending: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::select! {
        biased;
        done = sending => done,
        bound = clock.expired() => Err(Failure::Expired(bound)),
    }
}

async fn call(
    app: &Guest,
    store: &mut Store<State>,
    clock: &Clock,
    environ: GuestEnviron,
) -> Result<Body, Failure> {
    let (environ, start_response) = handles(store.data_mut(), environ)
        .map_err(|error| Failure::of_call(&error, store.data().refused()))?;
    store.data_mut().begin_call();
    let called = timed(clock, app.call_app(&mut *store, environ, start_response)).await;
    store.data_mut().exchange.returned();
    match called {
        Ok(Ok(body)) => {
            let state = store.data();
            state.observed(|| Some(Event::Returned(returned(&body))));
            Ok(body)
        }
        Ok(Err(exception)) => Err(store.data().exception(exception)),
        // CGI programs and C end by `exit(0)`; what they wrote is the response.
        Err(error) if exited_well(&error, store.data()) => {
            store.data_mut().exited = true;
            Ok(Body::Empty)
        }
        Err(error) => Err(Failure::of_call(&error, store.data().refused())),
    }
}

fn returned(body: &Body) -> Returned {
    match body {
        Body::Empty => Returned::Empty,
        Body::Bytes(block) => Returned::Bytes(block.len() as u64),
        Body::Iter(_) => Returned::Iter,
        Body::Host(_) => Returned::Host,
    }
}

fn handles(
    state: &mut State,
    environ: GuestEnviron,
) -> wasmtime::Result<(Resource<GuestEnviron>, Resource<StartResponse>)> {
    let environ = state.push_environ(environ)?;
    let start_response = StartResponse::Client(state.request);
    let start_response = state.table.push(start_response)?;
    Ok((environ, start_response))
}

fn exited_well(error: &wasmtime::Error, state: &State) -> bool {
    let exit = error.downcast_ref::<wasmtime_wasi::I32Exit>();
    exit.is_some_and(|exit| exit.0 == 0) && state.exchange.started().is_some()
}

/// Sends a body that is not pulled from the guest.
async fn deliver(state: &mut State, body: Body) -> Result<(), Failure> {
    let last = match body {
        Body::Empty => state.exchange.empty(),
        Body::Bytes(block) => {
            let block = check_block(state, block)?;
            state.exchange.whole(block)
        }
        Body::Host(body) => return pass_through(state, body).await,
        Body::Iter(_) => unreachable!("an iterable is pulled by `iterate`"),
    };
    let last = last.map_err(Failure::Broken)?;
    finish(state, last).await
}

/// Ends a response after this last thing to send.
async fn finish(state: &mut State, last: wasm_gw_protocol::Send) -> Result<(), Failure> {
    let clock = Arc::clone(&state.clock);
    state.output.finish(last, &clock).await.map_err(gone)
}

fn gone(_: Gone) -> Failure {
    Failure::Gone
}

fn check_block(state: &State, block: Vec<u8>) -> Result<Bytes, Failure> {
    if block.len() > state.limits.block {
        return Err(Failure::TooLarge(
            format!(
                "a block has {} bytes and may have {}",
                block.len(),
                state.limits.block
            )
            .into(),
        ));
    }
    Ok(state.memory.block(block)?)
}

/// Sends what is left of the request's body, without the guest.
async fn pass_through(state: &mut State, body: Resource<HostBody>) -> Result<(), Failure> {
    let body = state
        .table
        .delete(body)
        .map_err(|error| Failure::Trap(error.to_string()))?;
    while state.exchange.wants_more() {
        let block = state.pass(&body, PASS_THROUGH).await?;
        let Some(block) = block else { break };
        let send = state.exchange.block(block).map_err(Failure::Broken)?;
        state.emit(send).await.map_err(gone)?;
    }
    // The guest's own bytes may be behind it. After a failure the instance goes as a whole.
    state.host_bytes.release(body.released());
    let last = state.exchange.finish().map_err(Failure::Broken)?;
    finish(state, last).await
}

/// Pulls an iterable to its end, or to the end of what the client needs, and closes it (S41). Says whether
/// all of it went well.
async fn iterate(
    app: &Guest,
    store: &mut Store<State>,
    clock: &Clock,
    blocks: ResourceAny,
    settle: impl FnOnce(&mut State, Result<(), Failure>),
) -> bool {
    let pulled = pull(app, store, clock, blocks).await;
    let trapped = matches!(pulled, Err(Pulled::Trapped(_)));
    let outcome = pulled.map_err(|(Pulled::Trapped(failure) | Pulled::Ended(failure))| failure);
    let went_well = outcome.is_ok();
    // `exit` ends the instance as a trap does; the response may be whole all the same.
    settle(store.data_mut(), outcome);
    if trapped || store.data().exited {
        return false;
    }
    clock.restart_for_close(store.data().limits.close_timeout);
    close(app, store, clock, blocks).await && went_well
}

/// Why pulling ended before the iterable did.
enum Pulled {
    /// The instance cannot be entered again.
    Trapped(Failure),
    /// The iterable must still be closed.
    Ended(Failure),
}

async fn pull(
    app: &Guest,
    store: &mut Store<State>,
    clock: &Clock,
    blocks: ResourceAny,
) -> Result<(), Pulled> {
    store.data_mut().exchange.iteration_began();
    while store.data().exchange.wants_more() {
        if store.data().output.is_closed() {
            return Err(Pulled::Ended(Failure::Gone));
        }
        // A guest that yields empty blocks for ever must not keep its thread (M3).
        tokio::task::consume_budget().await;
        store.data_mut().begin_call();
        let next = timed(clock, app.blocks().call_next(&mut *store, blocks)).await;
        let state = store.data_mut();
        let block = match next {
            Ok(Ok(Some(block))) => {
                state.observed(|| Some(Event::Block(block.len() as u64)));
                block
            }
            Ok(Ok(None)) => {
                state.observed(|| Some(Event::Exhausted));
                break;
            }
            Ok(Err(exception)) => {
                return Err(Pulled::Ended(state.exception(exception)));
            }
            Err(error) if exited_well(&error, state) => {
                state.exited = true;
                break;
            }
            Err(error) => {
                let failure = Failure::of_call(&error, state.refused());
                return Err(Pulled::Trapped(failure));
            }
        };
        let block = check_block(state, block).map_err(Pulled::Ended)?;
        let send = state.exchange.block(block).map_err(broken)?;
        let sent = async { state.emit(send).await.map_err(gone) };
        waited(clock, sent).await.map_err(Pulled::Ended)?;
    }
    let state = store.data_mut();
    let last = state.exchange.finish().map_err(broken)?;
    let sent = finish(state, last);
    waited(clock, sent).await.map_err(Pulled::Ended)
}

fn broken(broken: Broken) -> Pulled {
    Pulled::Ended(Failure::Broken(broken))
}

/// Calls `close` once and drops the handle. The response has ended by now, so what goes wrong here
/// is for the log only. Says whether nothing did.
async fn close(app: &Guest, store: &mut Store<State>, clock: &Clock, blocks: ResourceAny) -> bool {
    store.data_mut().begin_call();
    let closed = timed(clock, app.blocks().call_close(&mut *store, blocks)).await;
    let failure = match closed {
        Ok(Ok(())) => None,
        Ok(Err(exception)) => Some(store.data().exception(exception)),
        Err(error) => {
            let failure = Failure::of_call(&error, store.data().refused());
            store.data().log_close(&failure);
            return false;
        }
    };
    if let Some(failure) = &failure {
        store.data().log_close(failure);
    }
    // Without this the guest's destructor does not run.
    store.data_mut().begin_call();
    let dropped = timed(clock, blocks.resource_drop_async(&mut *store)).await;
    if let Err(error) = &dropped {
        let failure = Failure::of_call(error, store.data().refused());
        store.data().log_close(&failure);
    }
    failure.is_none() && dropped.is_ok()
}

impl State {
    fn exception(&self, exception: GuestException) -> Failure {
        Failure::Exception(Exception::from(exception).cut(self.limits.log_bytes))
    }

    fn log_close(&self, failure: &Failure) {
        self.observed(|| Some(Event::CloseFailed(failure.to_string())));
        tracing::warn!(
            app = %self.app,
            request_id = %self.request_id,
            "close failed: {failure}",
        );
    }
}
