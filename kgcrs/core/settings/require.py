"""The check that every section of the settings makes."""

from kgcrs.core.errors import KgcrsError


def require(ok: bool, field: str, value: object, fix: str) -> None:
    """Raises KgcrsError "`field` is `value`, but `fix`." unless `ok`."""
    if not ok:
        raise KgcrsError(f"{field} is {value!r}, but {fix}.")
