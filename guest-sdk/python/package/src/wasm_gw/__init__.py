"""The program `wasm-gw`, for pip. `python -m wasm_gw` runs it; there is nothing to import."""
