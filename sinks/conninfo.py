"""Builds and parses libpq connection strings."""

from __future__ import annotations

import re
from typing import Final

from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import Conninfo

_SCHEMA: Final = re.compile(r" ?-c search_path=([a-z0-9_]+)$")


def with_passfile(url: str, passfile: str, database: str | None = None) -> str:
    """Returns `url` with the file that holds its password, and with another database of the server if one is named."""
    named = {} if database is None else {"dbname": database}
    return make_conninfo(url, passfile=passfile, **named)


def in_schema(conninfo: str, schema: str) -> str:
    """The same database, its tables in `schema` and nowhere else; a name of small letters, digits and `_`."""
    options = parameters_of(conninfo).get("options", "")
    return make_conninfo(conninfo, options=f"{options} -c search_path={schema}".strip())


def schema_apart(conninfo: str) -> tuple[dict[str, str], str | None]:
    """The parameters without the schema that stands at the end of their options, and that schema.

    A pooler lets no option of a session through, so whoever connects sets it with each transaction.
    """
    parameters = parameters_of(conninfo)
    found = _SCHEMA.search(parameters.get("options", ""))
    if found is None:
        return parameters, None
    options = parameters.pop("options")[: found.start()]
    return ({**parameters, "options": options} if options else parameters), found[1]


def parameters_of(conninfo: str) -> dict[str, str]:
    """The parameters of a URL or a conninfo by name, a password included."""
    return {name: str(value) for name, value in conninfo_to_dict(conninfo).items()}


def environment_of(conninfo: str) -> dict[str, str]:
    """The environment variables with which psql, or any other libpq client, connects as `conninfo` says.

    Parameters without a variable, such as keepalives, are left out.
    """
    variables = {option.keyword.decode(): option.envvar for option in Conninfo.get_defaults()}
    given = parameters_of(conninfo)
    return {variable.decode(): given[name] for name, variable in variables.items() if variable and name in given}
