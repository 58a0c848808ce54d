//! `recorder`, the handle by which a wrapping component makes a recording and looks into it.

use wasmtime::component::Resource;

use super::bindings::wasm_gw::gateway::recording::{Host, HostRecorder, Started};
use super::recording::Recording;
use super::response::StartResponse;
use crate::instance::State;

/// A handle to a recording.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Recorder(Recording);

impl Host for State {}

impl HostRecorder for State {
    fn new(&mut self) -> wasmtime::Result<Resource<Recorder>> {
        Ok(self.table.push(Recorder(Recording::new()))?)
    }

    fn start_response(
        &mut self,
        recorder: Resource<Recorder>,
    ) -> wasmtime::Result<Resource<StartResponse>> {
        let recording = self.table.get(&recorder)?.0.clone();
        Ok(self.table.push(StartResponse::Recorder(recording))?)
    }

    fn started(&mut self, recorder: Resource<Recorder>) -> wasmtime::Result<Option<Started>> {
        let recording = self.table.get(&recorder)?.0.clone();
        self.hand_over_copy(recording.started_cost())?;
        Ok(recording.started())
    }

    fn take_written(&mut self, recorder: Resource<Recorder>) -> wasmtime::Result<Vec<Vec<u8>>> {
        let (written, released) = self.table.get(&recorder)?.0.take_written();
        self.host_bytes.release_allowance(released);
        self.hand_over(released);
        Ok(written)
    }

    fn commit(&mut self, recorder: Resource<Recorder>) -> wasmtime::Result<()> {
        self.table.get(&recorder)?.0.commit();
        Ok(())
    }

    fn drop(&mut self, recorder: Resource<Recorder>) -> wasmtime::Result<()> {
        let released = self.table.delete(recorder)?.0.released();
        self.host_bytes.release(released);
        Ok(())
    }
}
