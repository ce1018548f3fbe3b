"""`python -m sss_lib.experiment run ...`, as it was: the same as `python -m sss_lib run ...`."""

import runpy

if __name__ == "__main__":
    runpy.run_module("sss_lib", run_name="__main__", alter_sys=True)
