"""moto's server, and the part of STS that moto leaves out.

    python -m tests.managed.aws --port 5000 --issuer https://issuer.example --jwks jwks.json

moto gives credentials of any role to whoever asks. STS reads the token first: signed by the issuer
(the cluster's), for an audience and a subject that the role's trust policy names. So does this, by
the trust policies that moto's IAM holds. With --enforce moto checks signatures and policies of all
requests but the first so many; it knows no condition of a policy.
"""

from __future__ import annotations

import argparse
import io
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import jwt

ACCOUNT = "123456789012"
EXCHANGE = "AssumeRoleWithWebIdentity"


class Refusal(Exception):
    def __init__(self, status: str, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code

    def body(self) -> bytes:
        return (
            '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>'
            f"<Code>{self.code}</Code><Message>{self}</Message></Error><RequestId>0</RequestId></ErrorResponse>"
        ).encode()


class TrustPolicies:
    """Before moto: an exchange of a token that no trust policy allows goes no further."""

    def __init__(self, moto: Callable, issuer: str, keys: jwt.PyJWKSet) -> None:
        self._moto, self._issuer, self._keys = moto, issuer, keys

    def __call__(self, environ: dict[str, Any], start_response: Callable) -> Iterable[bytes]:
        body = self._form(environ)
        if f"Action={EXCHANGE}".encode() in body:
            try:
                self._check({name: values[0] for name, values in parse_qs(body.decode()).items()})
            except Refusal as refusal:
                start_response(refusal.status, [("Content-Type", "text/xml")])
                return [refusal.body()]
        return self._moto(environ, start_response)

    def _form(self, environ: dict[str, Any]) -> bytes:
        if not environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
            return b""
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        return body

    def _check(self, asked: dict[str, str]) -> None:
        claims = self._claims(asked["WebIdentityToken"])
        host = self._issuer.removeprefix("https://")
        for statement in _trust(asked["RoleArn"])["Statement"]:
            wanted = statement.get("Condition", {}).get("StringEquals", {})
            audiences = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
            if (
                statement["Effect"] == "Allow"
                and statement["Action"] == f"sts:{EXCHANGE}"
                and statement["Principal"] == {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{host}"}
                and wanted.get(f"{host}:aud") in audiences
                and wanted.get(f"{host}:sub") == claims["sub"]
            ):
                return
        raise Refusal("403 Forbidden", "AccessDenied", f"Not authorized to perform sts:{EXCHANGE}")

    def _claims(self, token: str) -> dict[str, Any]:
        try:
            key = self._keys[jwt.get_unverified_header(token)["kid"]]
            options = {"verify_aud": False, "require": ["exp", "iss", "sub", "aud"]}
            return jwt.decode(token, key, ["RS256"], issuer=self._issuer, options=options)
        except jwt.ExpiredSignatureError:
            raise Refusal("400 Bad Request", "ExpiredTokenException", "Token expired") from None
        except (jwt.InvalidTokenError, KeyError):
            message = "The token is not one of the provider's"
            raise Refusal("400 Bad Request", "InvalidIdentityToken", message) from None


def _trust(role_arn: str) -> dict[str, Any]:
    from moto.iam.models import iam_backends

    roles = iam_backends[ACCOUNT]["aws"].roles.values()
    found = [role.assume_role_policy_document for role in roles if role.arn == role_arn]
    # AWS tells a stranger nothing of which roles there are.
    return json.loads(found[0]) if found else {"Statement": []}


def _exchange_is_unsigned() -> None:
    """Who exchanges a token has no credentials yet; moto wants some of everybody."""
    from moto.sts.responses import TokenResponse

    check = TokenResponse._authenticate_and_authorize_normal_action

    def check_others(self: TokenResponse, resource: str = "*") -> None:
        if self._get_action() != EXCHANGE:
            check(self, resource)

    TokenResponse._authenticate_and_authorize_normal_action = check_others


def _roles_that_are_not_there_have_names() -> None:
    """moto takes one for "*", so that a policy of some roles would let nobody make any."""
    from moto.iam.responses import IamResponse

    resource = IamResponse._determine_resource

    def named(self: IamResponse) -> str:
        found = resource(self)
        if found != "*" or "RoleName" not in self.data:
            return found
        # The path is told as a role is made, and never again: of one that is not there nobody knows it.
        path = self.data.get("Path", ["/"])[0]
        return f"arn:aws:iam::{self.current_account}:role{path}{self.data['RoleName'][0]}"

    IamResponse._determine_resource = named


def _many_deletions_are_of_objects() -> None:
    """moto asks whether objects may be deleted from their bucket as a whole; AWS asks for each of them."""
    import xmltodict
    from moto.s3.responses import S3Response

    check = S3Response._authenticate_and_authorize_s3_action

    def check_each(self: S3Response, bucket_name: str | None = None, key_name: str | None = None) -> None:
        if key_name is not None or not self.is_delete_keys():
            check(self, bucket_name=bucket_name, key_name=key_name)
            return
        objects = xmltodict.parse(self.body, strip_whitespace=False, force_list=("Object",))
        for found in objects["Delete"]["Object"]:
            check(self, bucket_name=bucket_name, key_name=found["Key"])

    S3Response._authenticate_and_authorize_s3_action = check_each


def main(
    arguments: list[str] | None = None,
    before_serving: Callable[[], None] = lambda: None,
    around: Callable[[Callable], Callable] = lambda app: app,
) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.managed.aws")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--issuer", required=True, help="the tokens' issuer")
    parser.add_argument("--jwks", type=Path, required=True, help="the issuer's public keys")
    parser.add_argument("--enforce", type=int, metavar="N", help="check all requests after the first N")
    parser.add_argument("--tls", nargs=2, metavar=("CERTIFICATE", "KEY"), help="https, by these files")
    options = parser.parse_args(arguments)
    # moto reads these as it is imported.
    os.environ["MOTO_PORT"] = str(options.port)
    # Else the first part of a Service's name is taken for a bucket.
    os.environ["S3_IGNORE_SUBDOMAIN_BUCKETNAME"] = "true"
    if options.enforce is not None:
        os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = str(options.enforce)

    from moto.moto_server.werkzeug_app import (
        DomainDispatcherApplication,
        MotoRequestHandler,
        create_backend_app,
    )
    from werkzeug.serving import run_simple

    _exchange_is_unsigned()
    _roles_that_are_not_there_have_names()
    _many_deletions_are_of_objects()
    keys = jwt.PyJWKSet.from_json(options.jwks.read_text())
    app = TrustPolicies(around(DomainDispatcherApplication(create_backend_app)), options.issuer, keys)
    before_serving()
    run_simple(
        options.host,
        options.port,
        app,
        threaded=True,
        request_handler=MotoRequestHandler,
        ssl_context=tuple(options.tls) if options.tls else None,
    )


if __name__ == "__main__":
    main()
