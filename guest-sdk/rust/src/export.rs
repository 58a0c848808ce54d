//! The `export!` macro: from a function to the component's export.

use crate::held;
use crate::raw::{app, types};
use crate::{Body, Environ, Result, StartResponse};

/// Makes a function the application of this component.
///
/// It takes anything that is `Fn(Environ, StartResponse) -> Result<Body>` and
/// stands once in a crate whose `crate-type` is `cdylib`.
///
/// ```no_run
/// # use wasm_gw_guest::{Body, Environ, Result, StartResponse};
/// fn app(_environ: Environ, start_response: StartResponse) -> Result<Body> {
///     start_response.start("204 No Content", &[])?;
///     Ok(Body::empty())
/// }
///
/// wasm_gw_guest::export!(app);
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! export {
    ($app:expr $(,)?) => {
        const _: () = {
            struct Application;

            impl $crate::raw::app::Guest for Application {
                type Blocks = $crate::Blocks;

                fn app(
                    environ: $crate::raw::types::Environ,
                    start_response: $crate::raw::types::StartResponse,
                ) -> ::core::result::Result<$crate::raw::app::Body, $crate::raw::types::Exception>
                {
                    $crate::__call($app, environ, start_response)
                }
            }

    $crate::raw::export!(Application with_types_in $crate::raw);
        };
    };
}

/// What the macro expands to; the types are wrapped here, not in the user's crate.
#[doc(hidden)]
pub fn __call(
    app: impl FnOnce(Environ, StartResponse) -> Result<Body>,
    environ: types::Environ,
    start_response: types::StartResponse,
) -> Result<app::Body, types::Exception> {
    #[cfg(all(not(feature = "std"), target_family = "wasm"))]
    crate::bare::begin(&environ);
    held::begin();
    let body = app(
        Environ::of_request(environ),
        StartResponse::of_request(start_response),
    );
    match body {
        Ok(body) => {
            if body.outlasts_the_call() {
                #[cfg(all(not(feature = "std"), target_family = "wasm"))]
                crate::bare::keep_log();
                held::give_back_all();
            }
            Ok(body.into_raw())
        }
        Err(error) => Err(error.into_exception()),
    }
}
