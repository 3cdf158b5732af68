"""The messages and services, generated from the same .proto files as the Rust server's."""

import importlib
import pathlib
import sys
import tempfile

from grpc_tools import protoc

PROTO = pathlib.Path(__file__).resolve().parent.parent / "proto"
WELL_KNOWN = pathlib.Path(protoc.__file__).parent / "_proto"

# What is generated is loaded below, so it need not outlive that.
with tempfile.TemporaryDirectory() as folder:
    files = sorted(str(path.relative_to(PROTO)) for path in PROTO.rglob("*.proto"))
    into = [f"--python_out={folder}", f"--grpc_python_out={folder}"]
    if protoc.main(["protoc", f"-I{PROTO}", f"-I{WELL_KNOWN}", *into, *files]) != 0:
        sys.exit("the .proto files do not compile")
    sys.path.insert(0, folder)
    importlib.invalidate_caches()
    from google.pprof import profile_pb2 as pprof
    from google.rpc import retry_pb2 as rpc
    from parca.debuginfo.v1alpha1 import debuginfo_pb2 as debuginfo
    from parca.debuginfo.v1alpha1 import debuginfo_pb2_grpc as debuginfo_grpc
    from parca.profilestore.v1alpha1 import profilestore_pb2 as profilestore
    from parca.profilestore.v1alpha1 import profilestore_pb2_grpc as profilestore_grpc

    sys.path.remove(folder)

__all__ = ["debuginfo", "debuginfo_grpc", "pprof", "profilestore", "profilestore_grpc", "rpc"]
