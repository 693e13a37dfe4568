"""An account of AWS as an administrator leaves it to the keeper: the bucket, and a role that may do no more.

The port opens when both are there. From the first request on signatures and policies are checked.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import aws
import elasticache

REGION = "eu-central-1"
BUCKET = "attachments"
KEEPER = "preview-stores"
KEEPER_NAMESPACE = "jetscale-previews"
PORT = 8443


def template(file: str, **values: str) -> str:
    text = (Path(__file__).parent / file).read_text()
    for name, value in values.items():
        text = text.replace(f"${{{name}}}", value)
    if "${" in text:
        raise RuntimeError(f"{file} wants more values")
    return text


def make_account(issuer: str, cluster: str) -> None:
    """By moto's own models: nobody has credentials yet."""
    from moto.iam.models import iam_backends
    from moto.s3.models import s3_backends

    s3_backends[aws.ACCOUNT]["aws"].create_bucket(BUCKET, REGION)
    boundary = template("preview-boundary.json", BUCKET=BUCKET, CLUSTER=cluster)
    boundary = iam_backends[aws.ACCOUNT]["aws"].create_policy("", "/", boundary, "previews", []).arn
    policy = template(
        "keeper-policy.json",
        ACCOUNT=aws.ACCOUNT,
        BUCKET=BUCKET,
        CLUSTER=cluster,
        BOUNDARY=boundary,
        USER_GROUP=elasticache.GROUP,
    )
    make_role(issuer, KEEPER, policy, namespace=KEEPER_NAMESPACE, account=KEEPER)
    # Who looks what there is, for the rehearsal.
    look = {
        "Effect": "Allow",
        "Action": ["iam:ListRoles", "s3:ListBucket", "elasticache:DescribeUsers"],
        "Resource": "*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [look]})
    make_role(issuer, "auditor", policy, namespace="rehearsal-stores", account="default")


def make_role(issuer: str, name: str, policy: str, *, namespace: str, account: str) -> None:
    from moto.iam.models import iam_backends

    trust = template(
        "role-trust.json",
        ACCOUNT=aws.ACCOUNT,
        ISSUER=issuer.removeprefix("https://"),
        NAMESPACE=namespace,
        SERVICE_ACCOUNT=account,
    )
    iam = iam_backends[aws.ACCOUNT]["aws"]
    iam.create_role(
        role_name=name,
        assume_role_policy_document=trust,
        path="/",
        permissions_boundary=None,
        description="",
        tags=[],
        max_session_duration=3600,
    )
    iam.put_role_policy(name, "own", policy)


def main() -> None:
    # Process 1 has no default for it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    issuer = os.environ["ISSUER"]
    arguments = ["--host", "0.0.0.0", "--port", str(PORT), "--enforce", "0"]
    arguments += ["--issuer", issuer, "--jwks", "/config/jwks.json"]
    arguments += ["--tls", "/tls/tls.crt", "/tls/tls.key"]
    aws.main(
        arguments,
        before_serving=lambda: make_account(issuer, os.environ["CLUSTER"]),
        around=elasticache.Groups,
    )


if __name__ == "__main__":
    main()
