//! `environ` and `errors`: what the host tells the guest of its request, and the guest's log.

use wasm_gw_protocol::Environ;
use wasmtime::component::Resource;

use super::bindings::wasm_gw::gateway::types::{Host, HostEnviron, HostErrors, RunFlags};
use super::input::Input;
use crate::guest_log::Stream;
use crate::instance::State;

/// A guest's own copy of the variables (S5), with the body and the flags that go with them.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct GuestEnviron {
    pub(crate) vars: Environ,
    pub(crate) flags: RunFlags,
    pub(crate) input: Input,
}

/// What one variable takes beside its bytes: its place in the list, and two allocations.
const VARIABLE: usize = 128;

impl GuestEnviron {
    /// The host memory that keeping it costs.
    fn cost(&self) -> usize {
        self.vars.size() + self.vars.len() * VARIABLE
    }
}

/// `wsgi.errors`. There is one log a request, so the handle has nothing in it.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Errors;

impl Host for State {}

impl HostEnviron for State {
    fn new(
        &mut self,
        vars: Vec<(String, String)>,
        flags: RunFlags,
    ) -> wasmtime::Result<Resource<GuestEnviron>> {
        // A constructor has no error to return, so what is no environ traps.
        let vars = Environ::from_vars(vars).map_err(wasmtime::Error::from)?;
        self.push_environ(GuestEnviron {
            vars,
            flags,
            input: Input::none(),
        })
    }

    fn get(
        &mut self,
        environ: Resource<GuestEnviron>,
        name: String,
    ) -> wasmtime::Result<Option<String>> {
        let environ = self.table.get(&environ)?;
        Ok(environ.vars.get(&name).map(str::to_owned))
    }

    fn vars(&mut self, environ: Resource<GuestEnviron>) -> wasmtime::Result<Vec<(String, String)>> {
        let vars = self.table.get(&environ)?.vars.iter();
        Ok(vars
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect())
    }

    fn set(
        &mut self,
        environ: Resource<GuestEnviron>,
        name: String,
        value: String,
    ) -> wasmtime::Result<Result<(), String>> {
        let environ = self.table.get_mut(&environ)?;
        let before = environ.cost();
        let set = environ.vars.set(name, value);
        let after = environ.cost();
        self.host_bytes.release(before);
        self.host_bytes.charge(after)?;
        Ok(set.map_err(|error| error.to_string()))
    }

    fn remove(&mut self, environ: Resource<GuestEnviron>, name: String) -> wasmtime::Result<()> {
        let environ = self.table.get_mut(&environ)?;
        let before = environ.cost();
        environ.vars.remove(&name);
        self.host_bytes.release(before - environ.cost());
        Ok(())
    }

    fn copy(
        &mut self,
        environ: Resource<GuestEnviron>,
    ) -> wasmtime::Result<Resource<GuestEnviron>> {
        let original = self.table.get(&environ)?;
        let copy = GuestEnviron {
            vars: original.vars.clone(),
            flags: original.flags,
            input: original.input.clone(),
        };
        self.push_environ(copy)
    }

    fn run_flags(&mut self, environ: Resource<GuestEnviron>) -> wasmtime::Result<RunFlags> {
        Ok(self.table.get(&environ)?.flags)
    }

    fn input(&mut self, environ: Resource<GuestEnviron>) -> wasmtime::Result<Resource<Input>> {
        let input = self.table.get(&environ)?.input.clone();
        Ok(self.table.push(input)?)
    }

    fn errors(&mut self, environ: Resource<GuestEnviron>) -> wasmtime::Result<Resource<Errors>> {
        self.table.get(&environ)?;
        Ok(self.table.push(Errors)?)
    }

    fn replace_input(
        &mut self,
        environ: Resource<GuestEnviron>,
        body: Resource<Input>,
    ) -> wasmtime::Result<()> {
        let input = self.table.delete(body)?;
        let replaced = std::mem::replace(&mut self.table.get_mut(&environ)?.input, input);
        self.host_bytes.release(replaced.released());
        Ok(())
    }

    fn drop(&mut self, environ: Resource<GuestEnviron>) -> wasmtime::Result<()> {
        let environ = self.table.delete(environ)?;
        self.host_bytes.release(environ.cost());
        self.host_bytes.release(environ.input.released());
        Ok(())
    }
}

impl State {
    /// Keeps an environ for the guest and charges its memory.
    pub(crate) fn push_environ(
        &mut self,
        environ: GuestEnviron,
    ) -> wasmtime::Result<Resource<GuestEnviron>> {
        self.host_bytes.charge(environ.cost())?;
        Ok(self.table.push(environ)?)
    }
}

impl HostErrors for State {
    fn write(&mut self, _: Resource<Errors>, text: String) -> wasmtime::Result<()> {
        self.log.write(Stream::Errors, text.as_bytes());
        Ok(())
    }

    fn flush(&mut self, _: Resource<Errors>) -> wasmtime::Result<()> {
        self.log.flush();
        Ok(())
    }

    fn drop(&mut self, errors: Resource<Errors>) -> wasmtime::Result<()> {
        self.table.delete(errors)?;
        Ok(())
    }
}
