//! One request by hand, for the micro-benchmarks (`benches/request.rs`): what happens between the
//! scheduler and the answer, without HTTP, the queue and the scheduler. No interface for anyone else, and
//! not what measures a server: that is `cargo xtask bench`.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use http::{Response, request};
use tokio::sync::oneshot;
use wasm_gw_protocol::Environ;
use wasmtime::component::{Component, ComponentExportIndex, InstancePre, Linker};
use wasmtime::{Engine, Store};

use crate::app::{App, Job, LoadError, Runtime};
use crate::clock::Clock;
use crate::config::{AppConfig, RuntimeConfig};
use crate::engine::Engines;
use crate::output::ResponseBody;
use crate::settle::Asked;
use crate::turn::Turn;

/// An app whose requests are run one by one, on the thread that asks.
pub struct Bare(App);

/// All that a request has when its first turn begins, the right to an instance among it.
pub struct Due {
    job: Job,
    turn: Arc<Turn>,
    answer: oneshot::Receiver<Response<ResponseBody>>,
}

impl Bare {
    /// Loads a component with the settings that servers have by default.
    ///
    /// # Errors
    ///
    /// Those of [`App::load`].
    ///
    /// # Panics
    ///
    /// This system runs no WebAssembly.
    pub fn load(name: &str, component: &[u8]) -> Result<Self, LoadError> {
        let runtime = Runtime::new(RuntimeConfig::default()).expect("this system runs WebAssembly");
        App::load(&runtime, AppConfig::new(name), component).map(Self)
    }

    /// A request without a body, as it comes out of the queue.
    ///
    /// # Panics
    ///
    /// It would have to wait there.
    pub fn due(&self, mut parts: request::Parts, environ: Environ) -> Due {
        let app = &self.0;
        let mut asked = Asked::of(&mut parts);
        asked.record = Some(Arc::clone(app.record()));
        let Poll::Ready(Ok(entry)) = poll(app.enter()) else {
            panic!("there is no instance to be had for one more request")
        };
        let turn = Arc::new(Turn::new(asked.cpu.clone()));
        let clock = Arc::new(Clock::start(app.limits(), Arc::clone(&turn)));
        let (head, answer) = oneshot::channel();
        let job = Job {
            asked: Arc::new(asked),
            entry,
            environ,
            body: None,
            head,
            clock,
            turn: Arc::clone(&turn),
        };
        Due { job, turn, answer }
    }

    /// Makes the store and the instance, and drops both.
    ///
    /// # Panics
    ///
    /// The instance cannot be made.
    pub fn instantiate(&self, due: Due) {
        let app = &self.0;
        let Due {
            job,
            turn,
            answer: _nobody_answers,
        } = due;
        let made = turns(&turn, async {
            let (mut place, _environ) = app.place(job).expect("it is not late");
            app.0
                .pre
                .instantiate_async(&mut place.instance.store)
                .await
                .map(drop)
        });
        if let Err(error) = made {
            panic!("the instance cannot be made: {error:#}");
        }
    }

    /// Runs a request from beginning to end.
    ///
    /// # Panics
    ///
    /// The guest waits for something, or ends without an answer.
    pub fn run(&self, due: Due) -> Response<ResponseBody> {
        let Due {
            job,
            turn,
            mut answer,
        } = due;
        turns(&turn, self.0.clone().run(job));
        answer
            .try_recv()
            .expect("a request that has ended has an answer")
    }
}

/// Gives a guest one turn after the other, as the scheduler does, until it has come to its end. One is
/// enough, unless the system lets others run meanwhile.
fn turns<T>(turn: &Turn, guest: impl Future<Output = T>) -> T {
    let mut guest = pin!(guest);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        turn.begin();
        let polled = guest.as_mut().poll(&mut context);
        turn.end();
        match polled {
            Poll::Ready(done) => return done,
            Poll::Pending => assert!(turn.is_over(), "a guest has nothing to wait for here"),
        }
    }
}

/// One poll, of what need not wait.
fn poll<T>(future: impl Future<Output = T>) -> Poll<T> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// What no host that is made of wasmtime can be under: the smallest component that can be called, in an
/// engine as an app's, on a stack from the same slots, and with nothing of ours around it. It has one
/// function, and neither memory nor imports; its store has no limits, no hooks and no clock.
pub struct Floor {
    engine: Engine,
    pre: InstancePre<()>,
    answer: ComponentExportIndex,
}

/// ```wat
/// (component
///   (core module (func (export "f") (result i32) i32.const 42))
///   (core instance (instantiate 0))
///   (alias core export 0 "f" (core func))
///   (type (func (result u32)))
///   (func (type 0) (canon lift (core func 0)))
///   (export "f" (func 0)))
/// ```
#[rustfmt::skip]
const SMALLEST: &[u8] = &[
    0x00, b'a', b's', b'm', 0x0d, 0x00, 0x01, 0x00,
    // The module: its type, its function, its export, its code.
    0x01, 0x22, 0x00, b'a', b's', b'm', 0x01, 0x00, 0x00, 0x00,
    0x01, 0x05, 0x01, 0x60, 0x00, 0x01, 0x7f,
    0x03, 0x02, 0x01, 0x00,
    0x07, 0x05, 0x01, 0x01, b'f', 0x00, 0x00,
    0x0a, 0x06, 0x01, 0x04, 0x00, 0x41, 42, 0x0b,
    // Its instance, and what is exported there.
    0x02, 0x04, 0x01, 0x00, 0x00, 0x00,
    0x06, 0x07, 0x01, 0x00, 0x00, 0x01, 0x00, 0x01, b'f',
    // The type, the function of that type, and its export.
    0x07, 0x05, 0x01, 0x40, 0x00, 0x00, 0x79,
    0x08, 0x06, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x0b, 0x07, 0x01, 0x00, 0x01, b'f', 0x01, 0x00, 0x00,
];

impl Floor {
    /// Compiles it.
    ///
    /// # Panics
    ///
    /// This system runs no WebAssembly.
    pub fn new() -> Self {
        /// Enough for its one slot; see [`RuntimeConfig::memory_total`].
        const MEMORY: usize = 1 << 30;
        let engines = Engines::new(&RuntimeConfig::default(), MEMORY);
        let (engine, _) = engines.engine().expect("this system runs WebAssembly");
        let component = Component::new(&engine, SMALLEST).expect("it is a component");
        Self {
            answer: component.get_export_index(None, "f").expect("it has it"),
            pre: (Linker::new(&engine).instantiate_pre(&component)).expect("it imports nothing"),
            engine,
        }
    }

    /// Makes a store and an instance, calls it, and drops both.
    ///
    /// # Panics
    ///
    /// It does not answer, which it does.
    pub fn call(&self) -> u32 {
        let called = poll(async {
            let mut store = Store::new(&self.engine, ());
            // Nobody ticks.
            store.set_epoch_deadline(1);
            let instance = self.pre.instantiate_async(&mut store).await?;
            let answer = instance.get_typed_func::<(), (u32,)>(&mut store, &self.answer)?;
            answer.call_async(&mut store, ()).await
        });
        match called {
            Poll::Ready(Ok((answer,))) => answer,
            Poll::Ready(Err(error)) => panic!("the smallest component fails: {error:#}"),
            Poll::Pending => panic!("the smallest component waits"),
        }
    }
}

impl Default for Floor {
    fn default() -> Self {
        Self::new()
    }
}
