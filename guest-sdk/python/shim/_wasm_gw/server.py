"""One request: the application is called as PEP 3333 says, and its result handed to the host."""

from wit_world import exports

from _wasm_gw import failure, output, snapshot
from _wasm_gw.body import body_of
from _wasm_gw.environ import environ_of
from _wasm_gw.start_response import StartResponse


class Server(exports.App):
    """The export of the component. Which application it serves, its subclass says."""

    application = None

    def app(self, environ, start_response):
        """The interface's `app`."""
        try:
            snapshot.renew_once()
            variables = environ_of(environ)
            result = self.application(variables, StartResponse(start_response.start))
            return body_of(result, environ)
        except BaseException as error:
            raise failure.of(error) from None
        finally:
            output.flush()
