"""From `package.module:expression` to the application. It is imported here, and nowhere else."""

import importlib

from _wasm_gw import letterbox, tracebacks


class NoApplication(Exception):
    """Ends the build. The reason lies in the letterbox."""


def load(target):
    """The application that the target names. A failure is reported and ends the build."""
    try:
        return _evaluate(target)
    except NoApplication as reason:
        letterbox.report_failure(f"{reason}\n")
    except BaseException as error:  # sys.exit() in a script without a main guard is one, too.
        letterbox.report_failure(tracebacks.of_user(error))
    raise NoApplication("see failure.txt") from None


def _evaluate(target):
    name, _, expression = target.partition(":")
    module = importlib.import_module(name)
    attribute = expression.partition("(")[0].partition(".")[0]
    if not hasattr(module, attribute):
        raise NoApplication(f"{target}: {name} has no `{attribute}`")
    application = eval(compile(expression, target, "eval"), vars(module))
    if not callable(application):
        kind = type(application).__name__
        raise NoApplication(f"{target} cannot be called: it is no application, but of type {kind}")
    return application
