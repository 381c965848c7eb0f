"""KernelChaos: calls inside the kernel that fail. Chaos Mesh 2.8 cannot inject it."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from drivers.chaosmesh.common import DAEMON, PodFault
from drivers.chaosmesh.values import INT32, Lines, Maybe, rare
from drivers.chaosmesh.wire import FAILTYPE, LIST, Codec, Part, Wire, taken, written


class Frame(Part):
    """One function of a chain of calls."""

    funcname: Annotated[
        Maybe,
        Wire("funcname"),
        Field(title="Function", description="Its name.", examples=["__x64_sys_mount"]),
    ] = None
    parameters: Annotated[
        Maybe,
        Wire("parameters"),
        Field(title="Parameters", description="As C has them.", examples=["struct dentry *dentry"]),
    ] = None
    predicate: Annotated[
        Maybe,
        Wire("predicate"),
        Field(
            title="Predicate",
            description="When it counts, in C.",
            examples=['STRNCMP(dentry->name, "x", 1)'],
        ),
    ] = None


def _read_frames(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    return [taken(Frame, each)[0] if isinstance(each, dict) else each for each in value]


_FRAMES = Codec(lambda frames: [written(each) for each in frames], _read_frames)


class KernelFault(PodFault):
    """Failing calls in the kernel."""

    kind: ClassVar[str] = "chaosmesh.kernel_fault"
    title: ClassVar[str] = "Kernel faults (does not work)"
    summary: ClassVar[str] = (
        "Lets calls inside the kernel fail. Chaos Mesh 2.8 cannot inject it: every attempt ends "
        "with “too few parts of namespacedname” (its issue 4059)."
    )
    needs: ClassVar[str] = DAEMON.format("KernelChaos") + " And bpfki; and a Chaos Mesh mended."
    metrics: ClassVar[str] = "Errors of the programs whose system calls fail."
    family: ClassVar[str] = "kernel"
    resource: ClassVar[str] = "KernelChaos"

    failtype: Annotated[
        Literal["slab", "alloc_page", "bio"],
        Wire("failKernRequest.failtype", FAILTYPE),
        Field(
            title="What fails",
            description="Memory of the kernel (slab), whole pages, or block devices (bio).",
            json_schema_extra={
                "enum_labels": {"slab": "slab", "alloc_page": "page allocation", "bio": "block I/O"}
            },
        ),
    ]
    probability: Annotated[
        int,
        Wire("failKernRequest.probability"),
        Field(
            ge=1,
            le=100,
            title="Share",
            description="Share of the calls that fail.",
            examples=[10],
            json_schema_extra={"unit": "%"},
        ),
    ]
    times: Annotated[
        int | None,
        Wire("failKernRequest.times"),
        Field(ge=1, le=INT32, title="At most", description="So many failures.", examples=[100]),
    ] = None
    headers: Annotated[
        Lines,
        Wire("failKernRequest.headers", LIST),
        Field(
            title="Headers",
            description="Headers of the kernel that the chain needs.",
            examples=[["linux/mmzone.h"]],
            json_schema_extra=rare(),
        ),
    ] = ()
    callchain: Annotated[
        tuple[Frame, ...],
        Wire("failKernRequest.callchain", _FRAMES),
        Field(
            title="Chain of calls",
            description="Only below these functions: funcname, parameters, predicate.",
            json_schema_extra=rare(),
        ),
    ] = ()

    def sentence(self) -> str:
        """Say what it would do."""
        return f"lets {self.probability}% of the {self.failtype} calls of {self.whom()} fail"


FAULTS = (KernelFault,)
