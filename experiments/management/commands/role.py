"""Give a person a role."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from experiments.models import User
from experiments.services import people


class Command(BaseCommand):
    """Give a person one of the four roles, and take the others."""

    help = "Give a person a role: viewer, author, operator or admin."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")
        parser.add_argument("role", choices=sorted(people.ROLES))

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["username"]).first()
        if user is None:
            raise CommandError(f"There is nobody called {options['username']}.")
        people.give_role(user=user, role=options["role"])
        self.stdout.write(f"{user} is now {people.role_of(user)}")
