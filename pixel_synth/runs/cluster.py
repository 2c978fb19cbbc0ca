"""The pipeline on a Ray cluster: distilabel's Ray pipeline, with its replicas spread over the nodes and watched.

Ray places the actors and ends them when this process, its driver, ends in any way.  The other way round distilabel would wait for ever
for a dead actor, so here each is waited for, and the first that dies ends the run.  A step's actor lives in a group of the
cluster's processes, so it only ever ends itself.

What every node must have: this version of the toolkit with the same packs and prompts (it is checked), and the run directory under the
same path.  A cluster that was there is joined and left as it is; ``local`` starts one in this machine that ends with the driver.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from distilabel.pipeline.ray import RayPipeline
from distilabel.pipeline.step_wrapper import _StepWrapper

from pixel_synth.errors import EngineError, PixelError, UsageError
from pixel_synth.llms.branch import gather
from pixel_synth.runs.directory import Run, content_hash
from pixel_synth.runs.watch import end_group

if TYPE_CHECKING:
    from distilabel.pipeline import Pipeline

LOCAL = "local"
KNOCK_S = 10.0  # how long a cluster may take to answer a first connection
STORE = 100 * 2**20  # bytes of the object store of a cluster of our own; only slot numbers travel


def on_ray(pipeline: Pipeline, address: str) -> RayPipeline:
    """Return the pipeline, to be run on a Ray cluster.

    Args:
        pipeline: Of steps that have a ``run_path``; those with replicas take one CPU each.
        address: Of the cluster (``HOST:PORT``, or ``auto`` for the one this machine belongs to), or ``local``.

    Raises:
        EngineError: When Ray is not installed.
        UsageError: For an address of another kind.
    """
    if "://" in address:
        raise UsageError(f"--ray {address}: the script has to run on a node of the cluster", hint="there give auto, or HOST:PORT")
    if find_spec("ray") is None:
        raise EngineError("--ray needs Ray, which is not installed", hint="pip install 'pixel-synth[ray]'")
    return Spread(pipeline, address)


class Actor:
    """Runs one replica of a step on some node."""

    def __init__(self, wrapper: _StepWrapper, environment: dict[str, str], run_path: Path) -> None:
        self._wrapper, self._environment, self._run_path = wrapper, environment, run_path

    def run(self) -> str:
        """Run the step until it has no more to do, and return its name.

        Raises:
            RunError: When the run directory is not there.
            EngineError: When this node would write something else than the others.
        """
        os.environ.update(self._environment)
        if Run.open(self._run_path).info["content"] != content_hash():
            raise EngineError("packs, prompts or toolkit are other ones here than where the run was started")
        name: str = self._wrapper.run()
        return name


class Spread(RayPipeline):  # type: ignore[misc]
    """distilabel's Ray pipeline whose replicas are spread over the nodes, and whose run ends when one of them dies."""

    def __init__(self, pipeline: Pipeline, address: str) -> None:
        super().__init__(name=pipeline.name, cache_dir=pipeline._cache_dir)
        self.dag = pipeline.dag
        self._address = address
        steps = [self.dag.get_step(name)["step"] for name in self.dag]
        for step in steps:
            step.run_path = str(Path(step.run_path).resolve())  # actors have another working directory
        self._run = Run.open(Path(steps[0].run_path))
        self._replicas = sum(step.resources.replicas for step in steps if step.is_normal)
        self._ending = False

    def run(self, **options: Any) -> Any:
        """Run the pipeline on the cluster and return what it made.

        Raises:
            EngineError: When the cluster cannot be reached, or has not enough free processors.
            UsageError: When its nodes cannot reach the engine.
            RunError: When what the workers stored cannot be gathered.
        """
        with joined(self._address, self._replicas, self._run):
            try:
                result = super().run(**options)
            finally:
                self._ending = True
        gather(self._run.path)
        return result

    def _init_ray(self) -> None:
        """Do nothing: the cluster has been joined."""

    @property
    def QueueClass(self) -> Any:
        """Return what makes a queue: on this node, so that the loss of another one takes none along, and without a processor."""
        import ray
        from ray.util.queue import Queue
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
        return lambda actor_options: Queue(actor_options={**actor_options, "num_cpus": 0, "scheduling_strategy": here})

    def _run_step(self, step: Any, input_queue: Any, replica: int) -> None:
        """Start a replica of a step and wait for its end in a thread."""
        import ray

        wrapper = _StepWrapper(
            step=step, replica=replica, input_queue=input_queue, output_queue=self._output_queue, load_queue=self._load_queue,
            dry_run=self._dry_run, ray_pipeline=True,
        )  # fmt: skip
        name = f"{step.name}-{replica}"
        made = ray.remote(Actor).options(name=name, num_cpus=int(step.is_normal), scheduling_strategy="SPREAD")
        actor = made.remote(wrapper, environment(), self._run.path)
        threading.Thread(target=self._await, args=(name, actor, actor.run.remote()), daemon=True, name=f"keep-{name}").start()

    def _await(self, name: str, actor: Any, end: Any) -> None:
        """Wait for the end of an actor (held here, or Ray would end it); end the run when it was no good end."""
        import ray

        try:
            ray.get(end)
        except Exception as error:
            if not self._ending:
                end_group(self._run.path, f"{name} on the cluster died: {reason(error)}")


@contextmanager
def joined(address: str, replicas: int, run: Run) -> Iterator[None]:
    """Connect this process to a cluster for as long as the block lasts.

    Raises:
        EngineError: When that is not possible, or the cluster has too few free processors.
        UsageError: When its nodes cannot reach the engine.
    """
    os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"  # else `uv run` copies the working directory, runs and all, to every node
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    own: dict[str, Any] = {}
    if address == LOCAL:
        # Whoever reaches a Ray cluster can run programs on it: so it listens to this machine only and wants a key, which is not left
        # in the home folder, where it would lock the user out of clusters that want none.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # Ray's name for "stay on the loopback address", on any system
        if not os.environ.get("RAY_AUTH_MODE"):
            os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))
        own = {"num_cpus": replicas, "include_dashboard": False, "object_store_memory": STORE}
    elif ":" in address:  # Ray itself would try for minutes
        knock(address)
    import ray  # after the environment is set: it looks there only once

    try:
        ray.init(address=address, **own)
    except Exception as error:  # Ray has no common class for what can go wrong here
        raise EngineError(f"no Ray cluster at {address!r}: {reason(error)}", hint="`ray status` tells about the cluster") from error
    try:
        check(run, replicas, {node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]}, ray.available_resources())
        yield
    finally:
        logging.getLogger().handlers.clear()  # distilabel's goes to a queue of the cluster
        ray.shutdown()


def knock(address: str) -> None:
    """Look whether something listens.

    Raises:
        EngineError: When nothing does within `KNOCK_S`.
    """
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), KNOCK_S).close()
    except (OSError, ValueError) as error:
        raise EngineError(f"no Ray cluster at {address}: {error}", hint="`ray status` on one of its nodes tells the address") from error


def check(run: Run, replicas: int, hosts: set[str], free: dict[str, float]) -> None:
    """Refuse what would only wait, or fail on other nodes.

    Raises:
        EngineError: When the cluster has too few free processors.
        UsageError: When its nodes cannot reach the engine.
    """
    if run.links.generator.engine == "transformers":
        raise UsageError("engine transformers runs its model in this machine", hint="on Ray, give --base-url of servers")
    if (cpus := int(free.get("CPU", 0))) < replicas:
        raise EngineError(f"{replicas} workers want a processor each, the cluster has {cpus} free", hint=f"--workers {max(1, cpus)}")
    links = (run.links.generator, *run.links.judges)
    loopback = [url for link in links for url in link.urls if is_loopback(urlsplit(url).hostname or "")]
    if loopback and len(hosts) > 1:
        raise UsageError(f"{loopback[0]} can be reached from this machine only, but the cluster has {len(hosts)} machines",
                         hint="give an address that all nodes can reach")  # fmt: skip


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address means the machine itself."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def environment() -> dict[str, str]:
    """Return the variables that actors need, folders made absolute; keys among them travel as an argument, which Ray shows nowhere."""
    found = {name: value for name, value in os.environ.items() if name.startswith("PIXEL_")}
    return {name: str(Path(value).resolve()) if name.endswith("_DIR") else value for name, value in found.items()}


def reason(error: Exception) -> str:
    """Return what an error of Ray says: the cause where there is one, else without its empty lines."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, PixelError):
        return str(cause)
    return " ".join(str(error).split())[:600]
