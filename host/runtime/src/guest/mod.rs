//! The guest's side of a request: the interface as Rust types, what stands behind its resources, and
//! the call itself. One kind of guest so far; another gets a file beside `gateway.rs`.

pub(crate) mod environ;
pub(crate) mod gateway;
pub(crate) mod input;
pub(crate) mod recorder;
pub(crate) mod recording;
pub(crate) mod response;

use wasmtime::component::{HasSelf, Linker};

pub(crate) use self::bindings::{Gateway, GatewayPre};
pub(crate) use crate::instance::State;
use crate::packed;

/// Generated from `wit/gateway.wit`.
pub(crate) mod bindings {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "wasm-gw:host/gateway",
        // All that a guest may import, and what it must export.
        inline: "
            package wasm-gw:host;

            world gateway {
                import wasm-gw:gateway/types@0.1.0;
                import wasm-gw:gateway/recording@0.1.0;
                export wasm-gw:gateway/app@0.1.0;
            }
        ",
        imports: {
            // These wait for the client, and suspend the guest meanwhile.
            "wasm-gw:gateway/types.[method]input.read": async | trappable,
            "wasm-gw:gateway/types.[method]input.read-some": async | trappable,
            "wasm-gw:gateway/types.[method]input.read-line": async | trappable,
            "wasm-gw:gateway/types.[method]input.read-lines": async | trappable,
            "wasm-gw:gateway/types.[method]host-body.next": async | trappable,
            "wasm-gw:gateway/types.[method]writer.write": async | trappable,
            default: trappable,
        },
        exports: { default: async },
        with: {
            "wasm-gw:gateway/types.environ": super::environ::GuestEnviron,
            "wasm-gw:gateway/types.input": super::input::Input,
            "wasm-gw:gateway/types.errors": super::environ::Errors,
            "wasm-gw:gateway/types.host-body": super::input::HostBody,
            "wasm-gw:gateway/types.start-response": super::response::StartResponse,
            "wasm-gw:gateway/types.writer": super::response::Writer,
            "wasm-gw:gateway/recording.recorder": super::recorder::Recorder,
        },
    });
}

/// Everything that a guest can call.
pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    packed::add_to_linker(linker)?;
    bindings::wasm_gw::gateway::types::add_to_linker::<State, HasSelf<State>>(linker, |s| s)?;
    bindings::wasm_gw::gateway::recording::add_to_linker::<State, HasSelf<State>>(linker, |s| s)
}
