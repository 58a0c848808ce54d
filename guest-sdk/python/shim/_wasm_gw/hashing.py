"""`hashlib.pbkdf2_hmac`, by which frameworks store passwords. CPython has it of OpenSSL alone, which is not here.

Some two microseconds an iteration: Django's million takes two seconds. `scrypt` would take minutes, and stays away.
"""

import hashlib
import hmac
import operator


def complete():
    """Before the application is imported, which may take the name along."""
    if not hasattr(hashlib, "pbkdf2_hmac"):
        hashlib.pbkdf2_hmac = pbkdf2_hmac


def pbkdf2_hmac(hash_name, password, salt, iterations, dklen=None):
    """RFC 8018, 5.2. Arguments and errors are those of CPython's."""
    size = hashlib.new(hash_name).digest_size
    iterations = operator.index(iterations)
    if iterations < 1:
        raise ValueError("iteration value must be greater than 0.")
    length = size if dklen is None else operator.index(dklen)
    if length < 1:
        raise ValueError("key length must be greater than 0.")
    password, salt = bytes(memoryview(password)), bytes(memoryview(salt))
    digest, number = hmac.digest, int.from_bytes
    key = b""
    while len(key) < length:
        block = len(key) // size + 1
        last = digest(password, salt + block.to_bytes(4, "big"), hash_name)
        total = number(last, "big")
        for _ in range(iterations - 1):
            last = digest(password, last, hash_name)
            total ^= number(last, "big")
        key += total.to_bytes(size, "big")
    return key[:length]
