"""The most memory that this process has held."""

import resource
import sys
from pathlib import Path


def peak_mib() -> float:
    """Return the most memory this process has held, in MiB.

    Where the system tells, that of this program alone: what getrusage says of a process started by another
    begins with what the starter held.
    """
    if (status := Path("/proc/self/status")).is_file():
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 1024 ** (2 if sys.platform == "darwin" else 1)


if __name__ == "__main__":
    print(peak_mib())
