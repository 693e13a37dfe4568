"""botocore, as in production, against moto's server; the exchange at STS by tests/managed/aws.py."""

from datetime import timedelta

import pytest
from botocore.exceptions import ClientError

from jetscale_backend import settings
from jetscale_backend.health import ReadinessProbe, Refused
from jetscale_backend.object_store import ObjectStore, StoreRefused, StoreUnavailable
from tests.managed.conftest import BUCKET, ISSUER, NAME, OTHER, Cluster


@pytest.fixture
def store(pod):
    return ObjectStore(settings.storage_settings(pod.env))


async def readiness(store):
    return (await ReadinessProbe({"object_store": store.check}, timeout_secs=20).read()).components[
        "object_store"
    ]


async def test_an_object_is_put_read_and_deleted(store):
    assert await store.get("item/a.txt") is None
    await store.put("item/a.txt", b"\x00bytes", "text/plain")
    assert await store.get("item/a.txt") == b"\x00bytes"
    await store.delete("item/a.txt")
    await store.delete("item/a.txt")
    assert await store.get("item/a.txt") is None
    assert await readiness(store) == "ok"


async def test_objects_are_below_the_prefix(store, aws):
    await store.put("item/b.txt", b"b", "text/plain")
    keys = [one["Key"] for one in aws.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]]
    assert f"{NAME}/item/b.txt" in keys
    assert all(key.startswith(f"{NAME}/") for key in keys)


async def test_nothing_of_another_preview_is_read_written_or_deleted(pod, aws):
    admin = aws.client("s3")
    admin.put_object(Bucket=BUCKET, Key=f"{OTHER}/secret", Body=b"hidden")
    # The role of NAME, told to look into OTHER's prefix.
    store = ObjectStore(settings.storage_settings({**pod.env, "JETSCALE_S3_PREFIX": f"{OTHER}/"}))
    for attempt in (store.get("secret"), store.put("mine", b"", "text/plain"), store.delete("secret")):
        with pytest.raises(StoreRefused):
            await attempt
    assert await readiness(store) == "refused"
    listed = admin.list_objects_v2(Bucket=BUCKET, Prefix=f"{OTHER}/")["Contents"]
    assert [one["Key"] for one in listed] == [f"{OTHER}/secret"]
    admin.delete_object(Bucket=BUCKET, Key=f"{OTHER}/secret")


async def test_a_wrong_role_is_refused_and_said_so(store, aws, monkeypatch, caplog):
    monkeypatch.setenv("AWS_ROLE_ARN", aws.make_role("somebody-elses", OTHER))
    with pytest.raises(Refused, match="AccessDenied.*AssumeRoleWithWebIdentity"):
        await store.check()
    assert await readiness(store) == "refused"
    assert "Not authorized to perform sts:AssumeRoleWithWebIdentity" in caplog.text
    with pytest.raises(StoreRefused) as refused:
        await store.get("item/a.txt")
    assert "AssumeRole" not in str(refused.value.detail)


@pytest.mark.parametrize("role", ["arn:aws:iam::123456789012:role/absent"])
async def test_a_role_that_is_not_there_is_refused(store, monkeypatch, role):
    monkeypatch.setenv("AWS_ROLE_ARN", role)
    assert await readiness(store) == "refused"


async def test_tokens_that_are_not_the_clusters_are_refused(store, pod, cluster):
    wrong = [
        Cluster().token(NAME),
        cluster.token(NAME, audience="https://kubernetes.default.svc"),
        cluster.token(NAME, account="default"),
        cluster.token(OTHER),
        cluster.token(NAME, lasts=timedelta(hours=-1)),
        "garbage",
    ]
    for token in wrong:
        pod.token_file.write_text(token)
        assert await readiness(store) == "refused", f"issued by {ISSUER}: {token}"


async def test_what_was_refused_is_asked_again_and_no_token_is_told(store, pod, cluster, caplog):
    pod.token_file.write_text(cluster.token(OTHER))
    assert await readiness(store) == "refused"
    assert pod.token_file.read_text() not in caplog.text
    # The kubelet writes a token anew before it ends.
    pod.token_file.write_text(cluster.token(NAME))
    assert await readiness(store) == "ok"


async def test_without_any_identity_it_is_refused(pod, monkeypatch):
    monkeypatch.delenv("AWS_WEB_IDENTITY_TOKEN_FILE")
    store = ObjectStore(settings.storage_settings(pod.env))
    with pytest.raises(Refused, match="NoCredentialsError"):
        await store.check()
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(pod.token_file.parent / "absent"))
    assert await readiness(ObjectStore(settings.storage_settings(pod.env))) == "refused"


async def test_a_bucket_that_is_not_there_and_a_store_that_is_away_are_down(pod, aws, monkeypatch):
    absent = ObjectStore(settings.storage_settings({**pod.env, "JETSCALE_S3_BUCKET": "absent"}))
    assert await readiness(absent) in ("down", "refused")
    away = ObjectStore(settings.storage_settings({**pod.env, "JETSCALE_S3_ENDPOINT": "http://127.0.0.1:1"}))
    assert await readiness(away) == "down"
    with pytest.raises(StoreUnavailable):
        await away.get("item/a.txt")


async def test_a_store_of_another_ca_gets_no_token(store, monkeypatch, certificates, caplog):
    monkeypatch.setenv("AWS_CA_BUNDLE", certificates.other_ca)
    assert await readiness(store) == "down"
    assert "SSL validation failed" in caplog.text


def test_the_bucket_refuses_strangers(aws):
    key = {"Bucket": BUCKET, "Key": f"{NAME}/of-a-stranger"}
    stranger = aws.client("s3", aws_access_key_id="AKIASTRANGER", aws_secret_access_key="guessed")
    wrong_secret = aws.client("s3", aws_access_key_id=aws.key_id, aws_secret_access_key="guessed")
    for client in (stranger, wrong_secret):
        with pytest.raises(ClientError) as error:
            client.put_object(**key, Body=b"")
        assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
