"""What moto leaves out of ElastiCache: a change of a user, and user groups.

Whom the one group here lets in, the real Redis beside it knows, as the cache of that group would. moto's
own part is CreateUser, DescribeUsers and DeleteUser.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

import aws
import redis

REGION = "eu-central-1"
GROUP = "previews"


class Groups:
    """Before moto."""

    def __init__(self, moto: Callable) -> None:
        self._moto = moto
        self._members = ["default"]
        self._redis = redis.Redis(
            host=os.environ["REDIS_HOST"],
            password=os.environ["REDIS_PASSWORD"],
            ssl=True,
            ssl_ca_certs="/tls/ca.crt",
        )
        users_have_names()

    def __call__(self, environ: dict[str, Any], start_response: Callable) -> Iterable[bytes]:
        asked = self._form(environ)
        action, user = asked.get("Action"), asked.get("UserId")
        if action == "ModifyUser":
            return self._modify(user, asked, start_response)
        if action == "ModifyUserGroup" and asked["UserGroupId"] == GROUP:
            self._members.append(asked["UserIdsToAdd.member.1"])
            self._let_in(self._members[-1])
            return answer(start_response, action, "")
        if action == "DescribeUserGroups" and asked["UserGroupId"] == GROUP:
            members = "".join(f"<member>{name}</member>" for name in self._members)
            group = f"<member><Status>active</Status><UserIds>{members}</UserIds></member>"
            return answer(start_response, action, f"<UserGroups>{group}</UserGroups>")
        if action == "DeleteUser" and user in self._members:
            self._members.remove(user)
            self._redis.acl_deluser(user)
        return self._moto(environ, start_response)

    def _modify(self, user: str, asked: dict[str, str], start_response: Callable) -> Iterable[bytes]:
        found = users()[user]
        found.access_string, found.passwords = asked["AccessString"], [asked["Passwords.member.1"]]
        if user in self._members:
            self._let_in(user)
        return answer(start_response, "ModifyUser", "")

    def _let_in(self, user: str) -> None:
        found = users()[user]
        passwords = [f">{password}" for password in found.passwords]
        self._redis.execute_command(
            "ACL", "SETUSER", found.name, "reset", *passwords, *found.access_string.split()
        )

    def _form(self, environ: dict[str, Any]) -> dict[str, str]:
        if not environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
            return {}
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        return {name: values[0] for name, values in parse_qs(body.decode()).items()}


def users() -> dict[str, Any]:
    from moto.elasticache.models import elasticache_backends

    return elasticache_backends[aws.ACCOUNT][REGION].users


def users_have_names() -> None:
    """moto takes every user for "*", so that a policy of some would let nobody touch any."""
    from moto.elasticache.responses import ElastiCacheResponse

    def named(self: ElastiCacheResponse) -> str:
        if "UserId" not in self.data:
            return "*"
        return f"arn:aws:elasticache:{self.region}:{self.current_account}:user:{self.data['UserId'][0]}"

    ElastiCacheResponse._determine_resource = named


def answer(start_response: Callable, action: str, text: str) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/xml")])
    return [f"<{action}Response><{action}Result>{text}</{action}Result></{action}Response>".encode()]
