//! The bindings as `wit-bindgen` made them, for what the rest of this crate
//! does not cover: other worlds, tests of a host.
//!
//! A guest with a world of its own maps `wasm-gw:gateway/types@0.1.0` to
//! [`types`] by the `with` option of `wit_bindgen::generate!` and turns handles
//! into this crate's types by their `from_raw`.

#![expect(missing_docs, reason = "generated; wit/gateway.wit documents it")]

wit_bindgen::generate!({
    world: "application",
    path: "wit",
    pub_export_macro: true,
    default_bindings_module: "wasm_gw_guest::raw",
    additional_type_attributes: {
        "wasm-gw:gateway/types@0.1.0/exception": [#[derive(PartialEq, Eq)]],
        "wasm-gw:gateway/types@0.1.0/io-error": [#[derive(PartialEq, Eq)]],
        "wasm-gw:gateway/types@0.1.0/start-error": [#[derive(PartialEq, Eq)]],
        "wasm-gw:gateway/types@0.1.0/write-error": [#[derive(PartialEq, Eq)]],
    },
});

pub use exports::wasm_gw::gateway::app;
pub use wasm_gw::gateway::types;
