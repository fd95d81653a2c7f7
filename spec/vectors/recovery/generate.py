#!/usr/bin/env python3
"""Makes vectors.json from docs/format.md, section 7, and shares no code with the gem. It needs the package
`cryptography`: tmp/servers/encryption-client-*/bin/python spec/vectors/recovery/generate.py

`generate.py check` reads {"private_key": PEM, "metadata": {…}, "body": base64} from the standard input and prints the
plaintext of an object that the gem stored, in base64, opened by its recovery entry alone.
"""
import base64
import hashlib
import hmac
import json
import os
import struct
import sys

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

OAEP = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)


def hkdf(key, salt, info, length):
    return HKDF(hashes.SHA512(), length, salt, info).derive(key)


def b64(data):
    return base64.b64encode(data).decode()


def public_der(key):
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def fingerprint(public):
    return hashlib.sha256(public_der(public)).digest()[:8]


def tag(data_key, fmt, object_id, statement):
    key = hkdf(data_key, b"encrypted_s3_service/recovery/v1", b"recovery key", 32)
    return hmac.new(key, bytes([fmt]) + object_id.ljust(28, b"\0") + statement, hashlib.sha256).digest()


def recovery_entry(data_key, fmt, object_id, publics):
    statement = bytes([1, len(publics)])
    for public in publics:
        wrapped = public.encrypt(data_key, OAEP)
        statement += fingerprint(public) + struct.pack(">H", len(wrapped)) + wrapped
    return statement + tag(data_key, fmt, object_id, statement)


def content(fmt, data_key, object_id):
    """The key, nonce and additional data of the content (section 2)."""
    if fmt == 2:
        return data_key, object_id, None
    return hkdf(data_key, object_id, b"\x00\x73DERIVEKEY", 32), b"\x01" * 12, b"\x00\x73"


def place(data_key, key):
    place_key = hkdf(data_key, b"encrypted_s3_service/place/v1", b"place key", 32)
    return hmac.new(place_key, key.encode(), hashlib.sha256).digest()


def an_object(fmt, wrapping_key, data_key, object_id, key, plaintext, publics):
    content_key, nonce, aad = content(fmt, data_key, object_id)
    wrap_nonce = bytes(range(12))
    bind = b"AES/GCM/NoPadding" if fmt == 2 else b"115"
    wrapped = wrap_nonce + AESGCM(wrapping_key).encrypt(wrap_nonce, data_key, bind)
    if fmt == 2:
        metadata = {"x-amz-key-v2": b64(wrapped), "x-amz-iv": b64(object_id), "x-amz-cek-alg": "AES/GCM/NoPadding",
                    "x-amz-wrap-alg": "AES/GCM", "x-amz-tag-len": "128", "x-amz-matdesc": "{}"}
    else:
        metadata = {"x-amz-3": b64(wrapped), "x-amz-w": "02", "x-amz-c": "115", "x-amz-i": b64(object_id),
                    "x-amz-d": b64(hkdf(data_key, object_id, b"\x00\x73COMMITKEY", 28)), "x-amz-m": "{}"}
    metadata["encrypted-s3-place"] = b64(place(data_key, key))
    metadata["encrypted-s3-recovery"] = b64(recovery_entry(data_key, fmt, object_id, publics))
    return metadata, AESGCM(content_key).encrypt(nonce, plaintext, aad)


def recover(private, metadata, body):
    """Opens an object by its recovery entry, as section 7 says."""
    entry = base64.b64decode(metadata["encrypted-s3-recovery"], validate=True)
    version, count = entry[0], entry[1]
    assert version == 1 and 1 <= count <= 8
    at, data_key = 2, None
    for _ in range(count):
        name, (length,) = entry[at:at + 8], struct.unpack(">H", entry[at + 8:at + 10])
        wrapped = entry[at + 10:at + 10 + length]
        at += 10 + length
        if name == fingerprint(private.public_key()):
            data_key = private.decrypt(wrapped, OAEP)
    assert len(entry) == at + 32 and data_key is not None and len(data_key) == 32
    fmt = 2 if "x-amz-key-v2" in metadata else 3
    object_id = base64.b64decode(metadata["x-amz-iv" if fmt == 2 else "x-amz-i"], validate=True)
    assert hmac.compare_digest(entry[at:], tag(data_key, fmt, object_id, entry[:at]))
    if fmt == 3:
        assert base64.b64decode(metadata["x-amz-d"]) == hkdf(data_key, object_id, b"\x00\x73COMMITKEY", 28)
    content_key, nonce, aad = content(fmt, data_key, object_id)
    return AESGCM(content_key).decrypt(nonce, body, aad)


def check():
    given = json.load(sys.stdin)
    private = serialization.load_pem_private_key(given["private_key"].encode(), None)
    print(b64(recover(private, given["metadata"], base64.b64decode(given["body"]))))


def generate():
    privates = [rsa.generate_private_key(65537, bits) for bits in (2048, 4096)]
    pem = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    keys = [{"private_key": private.private_bytes(*pem).decode(),
             "public_key": private.public_key().public_bytes(
                 serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode(),
             "fingerprint": fingerprint(private.public_key()).hex()} for private in privates]
    objects = []
    for fmt in (2, 3):
        for publics in ([0], [0, 1]):
            wrapping_key, data_key = os.urandom(32), os.urandom(32)
            object_id = os.urandom(12 if fmt == 2 else 28)
            plaintext = f"the text of a V{fmt} object for {len(publics)}".encode()
            key = f"folder/ä {fmt} {len(publics)}"
            metadata, body = an_object(fmt, wrapping_key, data_key, object_id, key, plaintext,
                                       [privates[at].public_key() for at in publics])
            assert all(recover(privates[at], metadata, body) == plaintext for at in publics)
            objects.append({"format": fmt, "recovery_keys": publics, "key": key, "wrapping_key": wrapping_key.hex(),
                            "data_key": data_key.hex(), "metadata": metadata, "body": body.hex(),
                            "plaintext": plaintext.decode()})
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "vectors.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"keys": keys, "objects": objects}, file, indent=1, ensure_ascii=False)
        file.write("\n")


if __name__ == "__main__":
    check() if sys.argv[1:] == ["check"] else generate()
