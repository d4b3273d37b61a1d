"""Names of tags, and the tags that say which process a run lives in.

Belongs here: every tag key that we write or read. Does not belong here: what is done with them.
"""

import os
import socket
from pathlib import Path

CHECKPOINT = "mediafm/checkpoint"
MANIFEST = "mediafm/manifest"
SPACE = "mediafm/space"
LABELS = "mediafm/labels"
FORCE = "mediafm/force"
RETRY = "mediafm/retry"
ALLOW_MISSING = "mediafm/allow_missing"
REQUESTED_BY = "mediafm/requested_by"
REASON = "mediafm/reason"
EXCLUSIVE = "mediafm/exclusive"
"""Of runs with one value of it, one at a time is begun (`dagster.yaml`)."""

HOST = "mediafm/host"
BOOT_ID = "mediafm/boot_id"
PID = "mediafm/pid"
PROCESS_START = "mediafm/process_start"
PROCESS_OF = "mediafm/process_of"
"""Of which run these four speak: a retry or a re-execution takes over its parent's tags, but not its process."""

K8S_CONFIG = "dagster-k8s/config"


def process_tags() -> dict[str, str]:
    """Which process this is, so that another can tell later whether it still lives."""
    pid = os.getpid()
    return {
        HOST: socket.gethostname(),
        BOOT_ID: boot_id(),
        PID: str(pid),
        PROCESS_START: process_start(pid) or "",
    }


def boot_id() -> str:
    """Changes with every boot of the machine; "" where the system does not tell."""
    file = Path("/proc/sys/kernel/random/boot_id")
    return file.read_text().strip() if file.exists() else ""


def process_start(pid: int) -> str | None:
    """When process `pid` began, in clock ticks since boot; None if there is no such process.

    Without /proc (macOS) the answer is "alive" for a live process: a reused pid then passes for the first one.
    """
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            text = stat.read_text()
        except (FileNotFoundError, ProcessLookupError):
            return None
        fields = text.rpartition(")")[2].split()
        return None if fields[0] in {"Z", "X"} else fields[19]
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return "alive"
    return "alive"


def gpu_request(num_gpus: int) -> dict[str, object]:
    """Op tags that ask Kubernetes for GPUs; other launchers ignore them."""
    if num_gpus == 0:
        return {}
    resources = {"limits": {"nvidia.com/gpu": str(num_gpus)}}
    return {K8S_CONFIG: {"container_config": {"resources": resources}}}
