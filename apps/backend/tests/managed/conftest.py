"""What a managed store asks of the backend, from real servers: PostgreSQL and Redis with TLS, and moto."""

from __future__ import annotations

import functools
import gc
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import botocore.session
import jwt
import pytest
import redis as redis_client
import trustme
from botocore.config import Config
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.managed.aws import ACCOUNT
from tests.managed.servers import free_port, listens, program, running, server_user

BACKEND = Path(__file__).parents[2]
ROOT = BACKEND.parents[1]
# What a preview has of its own on AWS: what an administrator sets up, and what the keeper makes.
POLICIES = [ROOT / "deploy" / "aws", ROOT / "keeper" / "policies"]
# The descriptions of services are parsed once for all clients of the session, not for each.
botocore.session.create_loader = functools.cache(botocore.session.create_loader)

ISSUER = "https://issuer.example.test"
REGION = "eu-central-1"
BUCKET = "attachments"
NAME = "jetscale-eu-pr-123"
OTHER = "jetscale-eu-pr-124"
ADMIN_PASSWORD = "of the redis administrator"


def template(file: str, **values: str) -> str:
    text = next(folder / file for folder in POLICIES if (folder / file).exists()).read_text()
    for name, value in values.items():
        text = text.replace(f"${{{name}}}", value)
    assert "${" not in text, f"{file} wants more values"
    return text


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """On a busy machine a connection may time out and the retry heal it; its socket is the collector's,
    which complains of it in the midst of whichever test runs then."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.filterwarnings("ignore::ResourceWarning"))


@pytest.fixture(autouse=True, scope="module")
def no_socket_is_left_to_others() -> Iterator[None]:
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(scope="session")
def work() -> Iterator[Path]:
    """Not pytest's own folder: the servers' users may not enter that."""
    folder = Path(tempfile.mkdtemp(prefix="jetscale-managed-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@dataclass(frozen=True)
class Certificates:
    ca: str
    other_ca: str
    key: str
    chain: str


@pytest.fixture(scope="session")
def certificates(work: Path) -> Certificates:
    """A CA, a server's certificate for "localhost" alone, and a CA that has nothing to do with it."""
    ca, other = trustme.CA(), trustme.CA()
    files = Certificates(*(str(work / name) for name in ("ca.pem", "other.pem", "server.key", "server.pem")))
    ca.cert_pem.write_to_path(files.ca)
    other.cert_pem.write_to_path(files.other_ca)
    server = ca.issue_cert("localhost")
    server.private_key_pem.write_to_path(files.key)
    Path(files.chain).write_bytes(b"".join(blob.bytes() for blob in server.cert_chain_pems))
    # Postgres takes no key that others may read.
    Path(files.key).chmod(0o600)
    if server_user() is not None:
        shutil.chown(files.key, server_user())
    return files


@dataclass(frozen=True)
class Postgres:
    port: int
    socket: Path

    def psql(self, *statements: str, database: str = "postgres") -> subprocess.CompletedProcess[str]:
        """By the socket, as the superuser; each statement in a transaction of its own."""
        command = [program("psql", "postgresql-client"), "-h", str(self.socket), "-p", str(self.port)]
        command += ["-U", "admin", "-d", database, "-qAtX", "-v", "ON_ERROR_STOP=1"]
        command += [argument for statement in statements for argument in ("-c", statement)]
        env = {"PATH": os.environ["PATH"]}
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=30, check=False)  # noqa: S603

    def make_preview(self, name: str, password: str) -> None:
        """A database, and the role that alone it lets in: as the keeper of previews makes them."""
        literal = "'" + password.replace("'", "''") + "'"
        made = self.psql(
            f'CREATE ROLE "{name}" LOGIN PASSWORD {literal}',
            f'CREATE DATABASE "{name}" TEMPLATE template0',
            f'REVOKE ALL ON DATABASE "{name}" FROM PUBLIC',
            f'GRANT CONNECT, CREATE, TEMPORARY ON DATABASE "{name}" TO "{name}"',
        )
        assert made.returncode == 0, made.stderr
        within = self.psql(f'GRANT USAGE, CREATE ON SCHEMA public TO "{name}"', database=name)
        assert within.returncode == 0, within.stderr


@pytest.fixture(scope="session")
def postgres(work: Path, certificates: Certificates) -> Iterator[Postgres]:
    """With TLS for all who come by TCP, as RDS with rds.force_ssl."""
    folder, data, user = work / "postgres", work / "postgres" / "data", server_user()
    folder.mkdir()
    if user is not None:
        shutil.chown(folder, user)
    initdb = [program("initdb", "postgresql"), "-D", str(data), "-U", "admin", "-E", "UTF8", "--no-sync"]
    initdb += ["--auth-local=trust", "--auth-host=scram-sha-256"]
    subprocess.run(initdb, user=user, cwd=folder, check=True, capture_output=True)  # noqa: S603
    (data / "pg_hba.conf").write_text("local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n")
    port = free_port()
    options = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": folder,
        "fsync": "off",
    }
    options |= {"ssl": "on", "ssl_cert_file": certificates.chain, "ssl_key_file": certificates.key}
    command = [program("postgres", "postgresql"), "-D", str(data)]
    for name, value in options.items():
        command += ["-c", f"{name}={value}"]
    server = Postgres(port, folder)

    def answers() -> bool:
        return server.psql("SELECT 1").returncode == 0

    # By SIGTERM it would wait for its clients.
    with running(command, answers, folder / "log", user=user, stop=signal.SIGINT):
        yield server


@pytest.fixture(scope="session")
def database_env(postgres: Postgres, certificates: Certificates) -> dict[str, str]:
    """A preview's own database and role, beside another's."""
    password = "p@ss/w:rd'%"
    for name in (NAME, OTHER):
        postgres.make_preview(name, password)
    return {
        "JETSCALE_DB_HOST": "localhost",
        "JETSCALE_DB_PORT": str(postgres.port),
        "JETSCALE_DB_NAME": NAME,
        "JETSCALE_DB_USER": NAME,
        "JETSCALE_DB_PASSWORD": password,
        "JETSCALE_DB_SSLMODE": "verify-full",
        "JETSCALE_DB_CA_FILE": certificates.ca,
    }


@dataclass(frozen=True)
class RedisServer:
    port: int
    admin: redis_client.Redis


@pytest.fixture(scope="session")
def redis_server(work: Path, certificates: Certificates) -> Iterator[RedisServer]:
    """TLS and nothing else, and nobody without a password."""
    folder, port = work / "redis", free_port()
    folder.mkdir()
    settings = {"port": "0", "tls-port": str(port), "bind": "127.0.0.1", "dir": str(folder), "save": '""'}
    settings |= {"tls-cert-file": certificates.chain, "tls-key-file": certificates.key}
    settings |= {"tls-ca-cert-file": certificates.ca, "tls-auth-clients": "no"}
    settings |= {"requirepass": f'"{ADMIN_PASSWORD}"'}
    (folder / "redis.conf").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    command = [program("redis-server", "redis-server"), str(folder / "redis.conf")]
    with running(command, lambda: listens(port), folder / "log"):
        admin = redis_client.Redis(
            host="localhost", port=port, password=ADMIN_PASSWORD, ssl=True, ssl_ca_certs=certificates.ca
        )
        yield RedisServer(port, admin)
        admin.close()


@pytest.fixture(scope="session")
def redis_env(redis_server: RedisServer, certificates: Certificates) -> dict[str, str]:
    """The user of a preview, with the rights that the keeper gives."""
    password = "r@/:dis%"
    digest = hashlib.sha256(password.encode()).hexdigest()
    for name in (NAME, OTHER):
        rights = template("redis-access.txt", NAME=name).split()
        redis_server.admin.execute_command("ACL", "SETUSER", name, "reset", f"#{digest}", *rights)
    return {
        "JETSCALE_REDIS_URL": f"rediss://localhost:{redis_server.port}/0",
        "JETSCALE_REDIS_USER": NAME,
        "JETSCALE_REDIS_PASSWORD": password,
        "JETSCALE_REDIS_CA_FILE": certificates.ca,
        "JETSCALE_REDIS_PREFIX": f"{NAME}:",
    }


class Cluster:
    """Signs ServiceAccounts' tokens, as a cluster with an OIDC provider does."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key()))
        self.jwks = json.dumps({"keys": [{**public, "kid": "1", "use": "sig", "alg": "RS256"}]})

    def token(
        self, namespace: str, account: str = f"{NAME}-backend", *, audience: str = "sts.amazonaws.com",
        lasts: timedelta = timedelta(hours=1),
    ) -> str:  # fmt: skip
        claims = {"iss": ISSUER, "aud": [audience], "exp": datetime.now(UTC) + lasts}
        claims["sub"] = f"system:serviceaccount:{namespace}:{account}"
        return jwt.encode(claims, self._key, "RS256", {"kid": "1"})


@dataclass(frozen=True)
class Aws:
    url: str
    ca: str
    key_id: str
    secret: str

    @functools.cache  # noqa: B019 (one server, few clients, and each takes a third of a second to make)
    def client(self, service: str, **credentials: str):
        credentials = credentials or {"aws_access_key_id": self.key_id, "aws_secret_access_key": self.secret}
        config = Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required")
        session = botocore.session.get_session()
        return session.create_client(
            service, region_name=REGION, endpoint_url=self.url, verify=self.ca, config=config, **credentials
        )

    def make_role(self, name: str, namespace: str) -> str:
        """A preview's role, by the policies of the keeper."""
        iam = self.client("iam")
        trust = template(
            "role-trust.json",
            ACCOUNT=ACCOUNT,
            ISSUER=ISSUER.removeprefix("https://"),
            NAMESPACE=namespace,
            SERVICE_ACCOUNT=f"{namespace}-backend",
        )
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]
        policy = template("s3-policy.json", BUCKET=BUCKET, NAME=namespace)
        iam.put_role_policy(RoleName=name, PolicyName="objects", PolicyDocument=policy)
        return role["Arn"]


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture(scope="session")
def aws(work: Path, cluster: Cluster, certificates: Certificates) -> Iterator[Aws]:
    """Every request is signed and allowed, or refused, but for the three that make the administrator."""
    folder, port = work / "aws", free_port()
    folder.mkdir()
    (folder / "jwks.json").write_text(cluster.jwks)
    command = [sys.executable, "-m", "tests.managed.aws", "--port", str(port), "--enforce", "3"]
    command += ["--issuer", ISSUER, "--jwks", str(folder / "jwks.json")]
    command += ["--tls", certificates.chain, certificates.key]
    command = ["env", f"PYTHONPATH={BACKEND}", *command]
    with running(command, lambda: listens(port), folder / "log"):
        anyone = Aws(f"https://localhost:{port}", certificates.ca, "anyone", "anything")
        iam = anyone.client("iam")
        everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [everything]})
        iam.create_user(UserName="admin")
        iam.put_user_policy(UserName="admin", PolicyName="all", PolicyDocument=policy)
        key = iam.create_access_key(UserName="admin")["AccessKey"]
        server = Aws(anyone.url, anyone.ca, key["AccessKeyId"], key["SecretAccessKey"])
        location = {"LocationConstraint": REGION}
        server.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration=location)
        yield server


@dataclass(frozen=True)
class Pod:
    """What EKS sets in a pod whose ServiceAccount names a role."""

    token_file: Path
    env: dict[str, str]


@pytest.fixture
def pod(aws: Aws, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pod:
    """The SDK reads its variables itself, so they are set; the backend's own are returned."""
    role = aws.make_role(f"preview-{uuid.uuid4()}", NAME)
    token_file = tmp_path / "token"
    token_file.write_text(cluster.token(NAME))
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ROLE_ARN", role)
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(token_file))
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", aws.url)
    monkeypatch.setenv("AWS_CA_BUNDLE", aws.ca)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    # Nothing of whoever runs the tests.
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    env = {"JETSCALE_S3_BUCKET": BUCKET, "JETSCALE_S3_PREFIX": f"{NAME}/", "JETSCALE_S3_REGION": REGION}
    return Pod(token_file, {**env, "JETSCALE_S3_ENDPOINT": aws.url})
