"""DNSChaos: names that cannot be looked up, or stand for wrong addresses."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from drivers.chaosmesh.common import DAEMON, ContainerFault
from drivers.chaosmesh.selector import joined
from drivers.chaosmesh.values import Said, distinct, refuse
from drivers.chaosmesh.wire import LIST, Wire


def _pattern(value: str) -> str:
    if "*" in value[:-1]:
        raise refuse("pattern", f"“{value}”: * may stand at the end only; ? is one character")
    return value


class DnsFault(ContainerFault):
    """A fault of looking names up."""

    needs: ClassVar[str] = DAEMON.format("DNSChaos") + " And Chaos Mesh's own DNS server."
    metrics: ClassVar[str] = "Errors of what connects anew; open connections go on."
    family: ClassVar[str] = "dns"
    resource: ClassVar[str] = "DNSChaos"

    patterns: Annotated[
        tuple[Annotated[Said, AfterValidator(_pattern)], ...],
        AfterValidator(distinct),
        Wire("patterns", LIST),
        Field(
            title="Names",
            description="Which names, one a line: ? is one character, * at the end anything. "
            "None: every name.",
            examples=[["db.shop.svc", "*"]],
        ),
    ] = ()

    def names(self) -> str:
        """Return the names in words: “google.com and github.?om”."""
        return joined(self.patterns) if self.patterns else "every name"


class DnsError(DnsFault):
    """Names that cannot be looked up."""

    kind: ClassVar[str] = "chaosmesh.dns_error"
    title: ClassVar[str] = "DNS errors"
    summary: ClassVar[str] = "Answers look-ups of names with an error."
    action: ClassVar[str] = "error"

    def sentence(self) -> str:
        """Say what it does: “answers look-ups of every name by … with an error”."""
        return f"answers look-ups of {self.names()} by {self.whom()} with an error"


class DnsRandom(DnsFault):
    """Names that stand for random addresses."""

    kind: ClassVar[str] = "chaosmesh.dns_random"
    title: ClassVar[str] = "DNS: random addresses"
    summary: ClassVar[str] = "Answers look-ups of names with random addresses."
    action: ClassVar[str] = "random"

    def sentence(self) -> str:
        """Say what it does: “answers look-ups of every name by … with random addresses”."""
        return f"answers look-ups of {self.names()} by {self.whom()} with random addresses"


FAULTS = (DnsError, DnsRandom)
