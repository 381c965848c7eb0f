"""Faults of Redis and Kafka on machines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, model_validator

from drivers.chaosmesh.machine import MachineFault
from drivers.chaosmesh.values import INT32, INT64, Latency, Maybe, Port, Said, WholeShare, refuse
from drivers.chaosmesh.wire import SPAN, WHOLE_PERCENT, Codec, Wire
from drivers.protocol import Undo

_PERCENT_SIGN = Codec(
    lambda value: f"{WHOLE_PERCENT.write(value)}%",
    lambda value: f"{str(value).removesuffix('%')}%",
)
_Configuration = Field(
    title="Configuration file",
    description="With which it is started again.",
    examples=["/etc/redis/sentinel.conf"],
)


class _Redis(MachineFault):
    """A fault of one Redis."""

    address: Annotated[
        Said,
        Wire("@.addr"),
        Field(title="Redis", description="Its address.", examples=["127.0.0.1:6379"]),
    ]
    password: Annotated[
        Maybe,
        Wire("@.password"),
        Field(
            title="Password",
            description="Of Redis. It stands openly in the experiment and in the cluster.",
        ),
    ] = None

    def store(self) -> str:
        """Return the Redis in words."""
        return f"Redis {self.address} of {self.whom()}"


class RedisExpiration(_Redis):
    """Lets keys expire."""

    kind: ClassVar[str] = "chaosmesh.machine_redis_expiration"
    title: ClassVar[str] = "Machine, Redis: expire keys"
    summary: ClassVar[str] = "Lets keys of Redis expire. What has expired does not come back."
    family: ClassVar[str] = "alter"
    undo: ClassVar[Undo] = "none"
    dead_man_s: ClassVar[float | None] = None
    action: ClassVar[str] = "redis-expiration"

    key: Annotated[
        Maybe,
        Wire("@.key"),
        Field(title="Key", description="Only this one. Empty: all keys.", examples=["basket"]),
    ] = None
    expiration: Annotated[
        Latency | None,
        Wire("@.expiration", SPAN),
        Field(title="Expires after", description="How long keys still live.", examples=["1s"]),
    ] = None

    def sentence(self) -> str:
        """Say what it does: “lets every key of Redis … expire”."""
        which = f"key {self.key}" if self.key else "every key"
        after = f" after {self.expiration}" if self.expiration else ""
        return f"lets {which} of {self.store()} expire{after}"


class RedisPenetration(_Redis):
    """Asks for much that is not there."""

    kind: ClassVar[str] = "chaosmesh.machine_redis_penetration"
    title: ClassVar[str] = "Machine, Redis: many misses"
    summary: ClassVar[str] = "Asks Redis for many keys that it does not have."
    family: ClassVar[str] = "stress"
    undo: ClassVar[Undo] = "self_heals"
    action: ClassVar[str] = "redis-penetration"

    requests: Annotated[
        int,
        Wire("@.requestNum"),
        Field(ge=1, le=INT32, title="Requests", description="How many.", examples=[10000]),
    ]

    def sentence(self) -> str:
        """Say what it does: “asks Redis … for 10000 keys that it does not have”."""
        return f"asks {self.store()} for {self.requests} keys that it does not have"


class RedisCacheLimit(_Redis):
    """Bounds the memory of Redis."""

    example: ClassVar[Mapping[str, Any]] = {"size": "100mb"}
    kind: ClassVar[str] = "chaosmesh.machine_redis_cache_limit"
    title: ClassVar[str] = "Machine, Redis: memory limit"
    summary: ClassVar[str] = "Bounds the memory of Redis. Keys that it drops do not come back."
    family: ClassVar[str] = "stress"
    action: ClassVar[str] = "redis-cacheLimit"

    size: Annotated[
        Annotated[str, Field(pattern=r"^[1-9][0-9]*([kKmMgG][bB]?|[bB])?$")] | None,
        Wire("@.cacheSize"),
        Field(title="Memory", description="As Redis writes maxmemory.", examples=["100mb"]),
    ] = None
    percent: Annotated[
        WholeShare | None,
        Wire("@.percent", _PERCENT_SIGN),
        Field(title="Share", description="Of what it uses now, in its place.", examples=["50%"]),
    ] = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.size is None) == (self.percent is None):
            raise refuse("cache", "needs either a size or a share, and not both")
        return self

    def sentence(self) -> str:
        """Say what it does: “bounds the memory of Redis … to 100mb”."""
        return f"bounds the memory of {self.store()} to {self.size or self.percent}"


class RedisRestart(_Redis):
    """Restarts a sentinel."""

    kind: ClassVar[str] = "chaosmesh.machine_redis_restart"
    title: ClassVar[str] = "Machine, Redis: restart sentinel"
    summary: ClassVar[str] = "Restarts a sentinel of Redis."
    family: ClassVar[str] = "kill"
    undo: ClassVar[Undo] = "self_heals"
    action: ClassVar[str] = "redis-restart"

    configuration: Annotated[Said, Wire("@.conf"), _Configuration]
    flush_configuration: Annotated[
        bool | None,
        Wire("@.flushConfig"),
        Field(title="Write configuration", description="Writes its configuration before."),
    ] = None
    redis_path: Annotated[
        bool | None,
        Wire("@.redisPath"),
        Field(title="Own path", description="Whether it is found by a path of its own."),
    ] = None

    def sentence(self) -> str:
        """Say what it does: “restarts the sentinel of Redis …”."""
        return f"restarts the sentinel of {self.store()}"


class RedisStop(_Redis):
    """Stops a sentinel."""

    kind: ClassVar[str] = "chaosmesh.machine_redis_stop"
    title: ClassVar[str] = "Machine, Redis: stop sentinel"
    summary: ClassVar[str] = (
        "Stops a sentinel of Redis. Nobody starts it again unless its configuration file is given."
    )
    family: ClassVar[str] = "kill"
    undo: ClassVar[Undo] = "none"
    dead_man_s: ClassVar[float | None] = None
    action: ClassVar[str] = "redis-stop"

    configuration: Annotated[Maybe, Wire("@.conf"), _Configuration] = None
    flush_configuration: Annotated[
        bool | None,
        Wire("@.flushConfig"),
        Field(title="Write configuration", description="Writes its configuration before."),
    ] = None
    redis_path: Annotated[
        bool | None,
        Wire("@.redisPath"),
        Field(title="Own path", description="Whether it is found by a path of its own."),
    ] = None

    def sentence(self) -> str:
        """Say what it does: “stops the sentinel of Redis …”."""
        return f"stops the sentinel of {self.store()}"


_Topic = Annotated[
    Maybe, Wire("@.topic"), Field(title="Topic", description="Its name.", examples=["orders"])
]


class _Kafka(MachineFault):
    """A fault that sends to Kafka."""

    host: Annotated[
        Said, Wire("@.host"), Field(title="Host", description="Of Kafka.", examples=["10.0.0.7"])
    ]
    port: Annotated[
        Port, Wire("@.port"), Field(title="Port", description="Of Kafka.", examples=[9092])
    ] = 9092
    topic: _Topic = None
    user: Annotated[
        Maybe, Wire("@.username"), Field(title="User", description="Of Kafka.", examples=["chaos"])
    ] = None
    password: Annotated[
        Maybe,
        Wire("@.password"),
        Field(
            title="Password",
            description="Of Kafka. It stands openly in the experiment and in the cluster.",
        ),
    ] = None
    message_bytes: Annotated[
        int | None,
        Wire("@.messageSize"),
        Field(
            ge=1,
            le=INT32,
            title="Message",
            description="Bytes of one.",
            examples=[4096],
            json_schema_extra={"unit": "B"},
        ),
    ] = None

    def store(self) -> str:
        """Return the Kafka in words."""
        return f"Kafka {self.host}:{self.port}"


class KafkaFill(_Kafka):
    """Fills Kafka."""

    kind: ClassVar[str] = "chaosmesh.machine_kafka_fill"
    title: ClassVar[str] = "Machine, Kafka: fill"
    summary: ClassVar[str] = "Fills Kafka with messages. They stay, and may push others out."
    family: ClassVar[str] = "disk"
    undo: ClassVar[Undo] = "none"
    dead_man_s: ClassVar[float | None] = None
    action: ClassVar[str] = "kafka-fill"

    max_bytes: Annotated[
        int,
        Wire("@.maxBytes"),
        Field(
            ge=1,
            le=INT64,
            title="Most",
            description="Bytes in all.",
            examples=[1073741824],
            json_schema_extra={"unit": "B"},
        ),
    ]
    reload: Annotated[
        Said,
        Wire("@.reloadCommand"),
        Field(
            title="Command to reload",
            description="Lets Kafka read its configuration again.",
            examples=["systemctl reload kafka"],
        ),
    ]

    def sentence(self) -> str:
        """Say what it does: “fills Kafka … with at most 1073741824 bytes, from …”."""
        return f"fills {self.store()} with at most {self.max_bytes} bytes, from {self.whom()}"


class KafkaFlood(_Kafka):
    """Sends much to Kafka."""

    kind: ClassVar[str] = "chaosmesh.machine_kafka_flood"
    title: ClassVar[str] = "Machine, Kafka: flood"
    summary: ClassVar[str] = "Sends messages to Kafka as fast as it can. They stay there."
    family: ClassVar[str] = "stress"
    undo: ClassVar[Undo] = "none"
    dead_man_s: ClassVar[float | None] = None
    action: ClassVar[str] = "kafka-flood"

    threads: Annotated[
        int,
        Wire("@.threads"),
        Field(ge=1, le=1000, title="Threads", description="How many at once.", examples=[4]),
    ]

    def sentence(self) -> str:
        """Say what it does: “floods Kafka … from one machine of …”."""
        return f"floods {self.store()} with messages from {self.whom()}"


class KafkaIo(MachineFault):
    """Takes Kafka its files."""

    example: ClassVar[Mapping[str, Any]] = {"unwritable": True}
    kind: ClassVar[str] = "chaosmesh.machine_kafka_io"
    title: ClassVar[str] = "Machine, Kafka: unreadable files"
    summary: ClassVar[str] = "Lets Kafka neither read nor write the files of a topic."
    family: ClassVar[str] = "disk"
    action: ClassVar[str] = "kafka-io"

    topic: _Topic = None
    configuration: Annotated[
        Maybe,
        Wire("@.configFile"),
        Field(
            title="Configuration file",
            description="Of the Kafka server, which says where its files are.",
            examples=["/etc/kafka/server.properties"],
        ),
    ] = None
    unreadable: Annotated[
        bool,
        Wire("@.nonReadable"),
        Field(title="Unreadable", description="Whether the files cannot be read."),
    ] = False
    unwritable: Annotated[
        bool,
        Wire("@.nonWritable"),
        Field(title="Unwritable", description="Whether the files cannot be written."),
    ] = False

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if not (self.unreadable or self.unwritable):
            raise refuse("kafka", "changes nothing: make the files unreadable or unwritable")
        return self

    def sentence(self) -> str:
        """Say what it does: “makes files of Kafka unreadable on …”."""
        how = [name for name in ("unreadable", "unwritable") if getattr(self, name)]
        return (
            f"makes files of Kafka’s {self.topic or 'topics'} {' and '.join(how)} on {self.whom()}"
        )


FAULTS = (
    RedisExpiration,
    RedisPenetration,
    RedisCacheLimit,
    RedisRestart,
    RedisStop,
    KafkaFill,
    KafkaFlood,
    KafkaIo,
)
