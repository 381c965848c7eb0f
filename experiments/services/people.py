"""Roles: four groups, each with the permissions of the one before and more."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission
from django.core.exceptions import PermissionDenied

from experiments.models import User

VIEWER, AUTHOR, OPERATOR, ADMIN = "viewer", "author", "operator", "admin"
ROLES: dict[str, tuple[str, ...]] = {
    VIEWER: (),
    AUTHOR: ("author_experiment",),
    OPERATOR: ("author_experiment", "launch_run"),
    ADMIN: ("author_experiment", "launch_run", "administer"),
}
"""Reading and stopping need no permission: any signed-in person may do both."""


def ensure_roles(sender: Any = None, **_: Any) -> None:
    """Create the groups and give each its permissions; runs after every migration."""
    if sender is not None:
        create_permissions(sender, verbosity=0)
    for name, codenames in ROLES.items():
        group, _created = Group.objects.get_or_create(name=name)
        group.permissions.set(
            Permission.objects.filter(content_type__app_label="experiments", codename__in=codenames)
        )


def give_role(*, user: User, role: str) -> None:
    """Give the person this role and take the others."""
    user.groups.set([Group.objects.get(name=role)])


def role_of(user: User) -> str:
    """Return the highest role that the person has."""
    if user.is_superuser:
        return ADMIN
    names = set(user.groups.values_list("name", flat=True))
    return next((role for role in (ADMIN, OPERATOR, AUTHOR) if role in names), VIEWER)


def require(user: User, permission: str, to: str) -> None:
    """Raise PermissionDenied, saying what for, unless the person has the permission."""
    if not user.has_perm(f"experiments.{permission}"):
        raise PermissionDenied(f"You may not {to}. Ask an admin for the role that may.")
