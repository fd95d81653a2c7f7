"""Amazon's S3 encryption client for Python, for the specs: with a key in KMS, or with a static AES or RSA key.

The client itself wraps data keys only with KMS, and writes that as the wrapping algorithm. For static keys its keyring is
replaced, and the name of the algorithm is corrected before the request is sent. Everything else is the client's code.
Reads JSON requests from standard input, one on each line, and answers each with a line of JSON on standard output,
because loading the client takes longer than most requests.
"""
import base64
import json
import os
import sys
import traceback

import boto3
from botocore.config import Config
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from s3_encryption import S3EncryptionClient, S3EncryptionClientConfig
from s3_encryption.materials.encrypted_data_key import EncryptedDataKey
from s3_encryption.materials.keyring import S3Keyring
from s3_encryption.materials.kms_keyring import KmsKeyring
from s3_encryption.materials.materials import AlgorithmSuite, CommitmentPolicy

COMMITTING = AlgorithmSuite.ALG_AES_256_GCM_HKDF_SHA512_COMMIT_KEY
PLAIN = AlgorithmSuite.ALG_AES_256_GCM_IV12_TAG16_NO_KDF
OAEP = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)


class StaticKeyring(S3Keyring):
    """Wraps with AES/GCM or RSA-OAEP-SHA1, as the clients of other languages do with static keys."""

    def __init__(self, request):
        pem = request.get("private_key_pem")
        self.rsa = pem and serialization.load_pem_private_key(pem.encode(), None)
        self.aes = None if pem else AESGCM(base64.b64decode(request["wrapping_key"]))

    def on_encrypt(self, materials):
        data_key = os.urandom(32)
        bind = b"115" if materials.encryption_algorithm == COMMITTING else b"AES/GCM/NoPadding"
        if self.rsa:
            wrapped = self.rsa.public_key().encrypt(b"\x20" + data_key + bind, OAEP)
        else:
            nonce = os.urandom(12)
            wrapped = nonce + self.aes.encrypt(nonce, data_key, bind)
        materials.plaintext_data_key = data_key
        materials.encrypted_data_key = EncryptedDataKey("static", b"S3Keyring", wrapped)
        return materials

    def on_decrypt(self, materials, encrypted_data_keys=None):
        edk = (encrypted_data_keys or materials.encrypted_data_keys)[0]
        # The only information about the format for a keyring: V3 stores no nonce.
        bind = b"115" if materials.iv is None else b"AES/GCM/NoPadding"
        wrapped = edk.encrypted_data_key
        if edk.key_provider_info == "RSA-OAEP-SHA1":
            payload = self.rsa.decrypt(wrapped, OAEP)
            if payload[:1] != b"\x20" or payload[33:] != bind:
                raise ValueError("a wrapped key of another content algorithm")
            materials.plaintext_data_key = payload[1:33]
        elif edk.key_provider_info == "AES/GCM":
            materials.plaintext_data_key = self.aes.decrypt(wrapped[:12], wrapped[12:], bind)
        else:
            raise ValueError(edk.key_provider_info)
        return materials


def name_the_wrap(request):
    """The handler that sets the name of the wrapping algorithm for a static key."""
    rsa = "private_key_pem" in request

    def handler(params, **_):
        headers = params["headers"]
        if "x-amz-meta-x-amz-w" in headers:
            headers["x-amz-meta-x-amz-w"] = "22" if rsa else "02"
        else:
            headers["x-amz-meta-x-amz-wrap-alg"] = "RSA-OAEP-SHA1" if rsa else "AES/GCM"

    return handler


def keyring(request):
    """The client's own keyring for a key in KMS, else ours."""
    if "kms_key_id" not in request:
        return StaticKeyring(request)

    kms = boto3.client(
        "kms",
        endpoint_url=request["kms_endpoint"],
        region_name=request["region"],
        aws_access_key_id=request["access_key_id"],
        aws_secret_access_key=request["secret_access_key"],
    )
    return KmsKeyring(kms, request["kms_key_id"])


def answer_to(request):
    s3 = boto3.client(
        "s3",
        endpoint_url=request["endpoint"],
        region_name=request["region"],
        aws_access_key_id=request["access_key_id"],
        aws_secret_access_key=request["secret_access_key"],
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
    )
    policy = CommitmentPolicy[request["commitment_policy"].upper()]
    suite = PLAIN if policy == CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT else COMMITTING
    config = S3EncryptionClientConfig(keyring(request), encryption_algorithm=suite, commitment_policy=policy)
    client = S3EncryptionClient(s3, config)
    where = {"Bucket": request["bucket"], "Key": request["key"]}
    if "encryption_context" in request:
        where["EncryptionContext"] = request["encryption_context"]
    if request["action"] == "put":
        if "kms_key_id" not in request:
            s3.meta.events.register("before-call.s3.PutObject", name_the_wrap(request))
        client.put_object(**where, Body=base64.b64decode(request["body"]))
        return {}
    body = client.get_object(**where)["Body"].read()
    return {"body": base64.b64encode(body).decode()}


def main():
    for line in sys.stdin:
        try:
            answer = answer_to(json.loads(line))
        except Exception:
            answer = {"error": traceback.format_exc()}
        print(json.dumps(answer), flush=True)


main()
