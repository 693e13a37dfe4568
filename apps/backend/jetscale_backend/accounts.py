"""Who may sign in."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from jetscale_backend.database import Account, Database
from jetscale_backend.passwords import hash_password, is_current, normal_login
from jetscale_backend.settings import Admin


class Accounts:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def password_hash(self, login: str) -> str | None:
        async with self._database.session() as session:
            return await session.scalar(select(Account.password_hash).where(Account.login == login))


def upsert_admin(session: Session, admin: Admin) -> bool:
    """Make the account, or give it the present password; True if anything changed."""
    login = normal_login(admin.email)
    stored = session.scalar(select(Account.password_hash).where(Account.login == login))
    if stored is not None and is_current(stored, admin.password):
        return False
    new_hash = hash_password(admin.password)
    statement = insert(Account).values(login=login, password_hash=new_hash)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=[Account.login],
            set_={"password_hash": new_hash, "updated_at": func.now()},
        )
    )
    return True
