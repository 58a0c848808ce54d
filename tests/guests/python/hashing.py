"""What frameworks store passwords by."""

import hashlib
import json


def passwords(environ, start_response):
    """The vectors of RFC 7914, section 11, and one of RFC 6070."""
    keys = [
        hashlib.pbkdf2_hmac("sha256", b"passwd", b"salt", 1, 64).hex(),
        hashlib.pbkdf2_hmac("sha256", b"Password", b"NaCl", 80000, 64).hex(),
        hashlib.pbkdf2_hmac("SHA1", b"passwordPASSWORDpassword", bytearray(b"saltSALT" * 4 + b"salt"), 4096, dklen=25).hex(),
    ]
    for arguments in [("sha256", b"", b"", 0), ("sha256", b"", b"", 1, 0), ("none", b"", b"", 1)]:
        try:
            hashlib.pbkdf2_hmac(*arguments)
        except ValueError as error:
            keys.append(type(error).__name__)
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(keys).encode()]
