"""`python -m sss_lib.listening ...`, as it was: the same as `python -m sss_lib listen ...`."""

import runpy
import sys

if __name__ == "__main__":
    sys.argv.insert(1, "listen")
    runpy.run_module("sss_lib", run_name="__main__", alter_sys=True)
