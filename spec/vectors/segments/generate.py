#!/usr/bin/env python3
"""Computes the test vectors of docs/format.md with Python's `cryptography`.

It is written from that document alone and shares no code with the gem.

    generate.py            writes vectors.json beside this script
    generate.py --check    compares instead, and fails when something differs

Every key here is a throw-away key, made from a name by SHA-512 and used for nothing else.
"""

import base64
import hashlib
import hmac
import json
import pathlib
import sys

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SEGMENT = 65536
SEGMENTS_SALT = b"encrypted_s3_service/segments/v1"
PLACE_SALT = b"encrypted_s3_service/place/v1"
V3_NONCE = b"\x01" * 12
V3_SUITE = b"\x00\x73"
LAST_BLOCK = 2**32 - 3


def throw_away(name, length):
    return hashlib.sha512(name.encode()).digest()[:length]


def plaintext(length):
    return bytes((7 * j + (j >> 8)) % 256 for j in range(length))


def hkdf(data_key, salt, info, length):
    return HKDF(algorithm=hashes.SHA512(), length=length, salt=salt, info=info).derive(data_key)


def gmac(key, number, message):
    """GCM with an empty plaintext: what comes out is the tag alone."""
    return AESGCM(key).encrypt(segment_nonce(number), b"", message)


def segment_nonce(number):
    return bytes(4) + number.to_bytes(8, "big")


def counter_block(nonce, block):
    return nonce + (2 + block).to_bytes(4, "big")


def keystream(key, nonce, block, blocks):
    """Block by block from AES alone, so that no library counts."""
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return b"".join(encryptor.update(counter_block(nonce, block + i)) for i in range(blocks))


def content(version, data_key, object_id):
    """Content key, nonce and additional data."""
    if version == 2:
        return data_key, object_id, b""
    return hkdf(data_key, object_id, V3_SUITE + b"DERIVEKEY", 32), V3_NONCE, V3_SUITE


def map_vector(version, length):
    name = f"v{version}-{length}"
    data_key = throw_away(f"{name} data key", 32)
    object_id = throw_away(f"{name} object id", 12 if version == 2 else 28)
    key, nonce, aad = content(version, data_key, object_id)
    body = AESGCM(key).encrypt(nonce, plaintext(length), aad)
    text, tag = body[:-16], body[-16:]

    descriptor = (b"ES3SEGMT" + bytes([1, version]) + bytes(2) + SEGMENT.to_bytes(4, "big")
                  + object_id.ljust(28, b"\0") + bytes(4))
    statement = descriptor + length.to_bytes(8, "big") + bytes(8)
    segment_key = hkdf(data_key, SEGMENTS_SALT, descriptor + b"segment key", 32)
    commitment = hkdf(data_key, SEGMENTS_SALT, statement + b"commitment", 32)
    segments = [text[start:start + SEGMENT] for start in range(0, length, SEGMENT)]
    tags = [gmac(segment_key, number, segment) for number, segment in enumerate(segments)]
    sidecar = statement + commitment + b"".join(tags)

    # Each segment again from its own offset, as a reader decrypts it.
    for number, segment in enumerate(segments):
        stream = keystream(key, nonce, 4096 * number, -(-len(segment) // 16))
        assert bytes(a ^ b for a, b in zip(segment, stream)) == plaintext(length)[number * SEGMENT:][:SEGMENT]

    return {
        "name": name, "format": version, "text_len": length,
        "data_key": data_key.hex(), "object_id": object_id.hex(),
        "content_key": key.hex(), "nonce": nonce.hex(), "aad": aad.hex(),
        "text_sha256": hashlib.sha256(text).hexdigest(), "object_tag": tag.hex(),
        "statement": statement.hex(), "segment_key": segment_key.hex(), "commitment": commitment.hex(),
        "segment_tags": [tag.hex() for tag in tags],
        "sidecar_len": len(sidecar), "sidecar_sha256": hashlib.sha256(sidecar).hexdigest(),
    }


def segment_tag_vector(number):
    key = throw_away("segment numbers", 32)
    message = plaintext(100)
    return {"number": number, "key": key.hex(), "nonce": segment_nonce(number).hex(),
            "message": message.hex(), "tag": gmac(key, number, message).hex()}


def counter_vector(version, block):
    key = throw_away("counters", 32)
    nonce = throw_away("counters nonce", 12) if version == 2 else V3_NONCE
    blocks = min(3, LAST_BLOCK - block + 1)
    return {"format": version, "block": block, "key": key.hex(), "nonce": nonce.hex(),
            "counter_block": counter_block(nonce, block).hex(),
            "keystream": keystream(key, nonce, block, blocks).hex()}


def last_segment_vector(version):
    """The last segment of the longest object, where the counter comes to its end."""
    key = throw_away("counters", 32)
    nonce = throw_away("counters nonce", 12) if version == 2 else V3_NONCE
    number, length = 2**20 - 1, SEGMENT - 32
    stream = keystream(key, nonce, 4096 * number, length // 16)
    assert counter_block(nonce, 4096 * number + length // 16 - 1).endswith(b"\xff" * 4)
    return {"format": version, "number": number, "key": key.hex(), "nonce": nonce.hex(), "len": length,
            "keystream_sha256": hashlib.sha256(stream).hexdigest()}


def place_vector(name, object_key):
    data_key = throw_away(f"place {name}", 32)
    place_key = hkdf(data_key, PLACE_SALT, b"place key", 32)
    value = hmac.new(place_key, object_key.encode(), hashlib.sha256).digest()
    return {"name": name, "data_key": data_key.hex(), "key": object_key,
            "place_key": place_key.hex(), "entry": base64.b64encode(value).decode()}


def vectors():
    lengths = [0, 1, 15, 16, 17, SEGMENT - 1, SEGMENT, SEGMENT + 1, 2 * SEGMENT, 3 * SEGMENT + 1234]
    numbers = [0, 1, 255, 2**20 - 1, 2**31, 2**32 - 1, 2**32, 2**32 + 1, 2**63, 2**64 - 1]
    blocks = [0, 1, 4095, 4096, 2**28, 2**31 - 2, LAST_BLOCK - 2, LAST_BLOCK]
    places = {"ascii": "xtapjjcjiudrlk3tmwyjgpuobabd", "folder": "tenants/7/xtapjjcjiudrlk3tmwyjgpuobabd",
              "composed": "r\u00e9sum\u00e9.pdf", "decomposed": "re\u0301sume\u0301.pdf", "astral": "\U0001f512/\u9375",
              "space": " a key ", "longest": "k" * 1024}
    return {
        "maps": [map_vector(version, length) for version in (2, 3) for length in lengths],
        "segment_tags": [segment_tag_vector(number) for number in numbers],
        "counters": [counter_vector(version, block) for version in (2, 3) for block in blocks],
        "last_segments": [last_segment_vector(version) for version in (2, 3)],
        "places": [place_vector(name, object_key) for name, object_key in places.items()],
    }


def main():
    path = pathlib.Path(__file__).with_name("vectors.json")
    text = json.dumps(vectors(), indent=1) + "\n"
    if sys.argv[1:] != ["--check"]:
        path.write_text(text)
    elif path.read_text() != text:
        sys.exit(f"{path.name} is not what docs/format.md gives: run {pathlib.Path(__file__).name}")


if __name__ == "__main__":
    main()
