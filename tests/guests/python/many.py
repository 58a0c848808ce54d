"""All guests in Python, in one component, since making one takes its time: the path's first segment
says which it is. Each is a function of a module beside this one, `/results/generator`.
"""

from wsgiref.util import shift_path_info

import blocked
import fresh
import hashing
import reading
import results
import starting
import surroundings
import validated

MODULES = {
    module.__name__: module
    for module in [blocked, fresh, hashing, reading, results, starting, surroundings, validated]
}


def app(environ, start_response):
    module = MODULES[shift_path_info(environ)]
    return getattr(module, shift_path_info(environ))(environ, start_response)
