"""A second server for the store's tests: grpcio instead of tonic, with the same flags, commands and answers.

It behaves as it should or answers with a status; whatever else can go wrong, the Rust server does.
"""

import argparse
import concurrent.futures
import json
import sys

import check
import grpc
from messages import debuginfo_grpc, profilestore_grpc
from orders import Orders
from record import Record
from services import Debuginfo, ProfileStore

OPTIONS = [("grpc.max_receive_message_length", check.MESSAGE_LIMIT), ("grpc.so_reuseport", 0)]


class Authorization(grpc.ServerInterceptor):
    """Refuses requests without the token."""

    def __init__(self, token):
        self.token = token

        def refuse(_, context):
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "the token is not valid")

        self.refusal = grpc.unary_unary_rpc_method_handler(refuse)

    def intercept_service(self, continuation, details):
        given = dict(details.invocation_metadata).get("authorization")
        if self.token is None or given == f"Bearer {self.token}":
            return continuation(details)
        return self.refusal


def credentials(flags):
    def read(path):
        with open(path, "rb") as file:
            return file.read()

    authority = read(flags.client_ca) if flags.client_ca else None
    pair = (read(flags.tls_key), read(flags.tls_cert))
    return grpc.ssl_server_credentials([pair], authority, require_client_auth=authority is not None)


def obey(line, record, orders, authorization):
    command = json.loads(line)
    match command.pop("do", None):
        case "state":
            return record.state()
        case "behave":
            orders.set(**command)
        case "token":
            authorization.token = command.get("token")
        case other:
            raise ValueError(f"no command {other!r}")
    return {"ok": True}


def answer(value):
    print(json.dumps(value), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--listen", default="127.0.0.1:0")
    for flag in ("--tls-cert", "--tls-key", "--client-ca", "--token", "--directory"):
        parser.add_argument(flag)
    flags = parser.parse_args()
    record, orders, authorization = Record(), Orders(), Authorization(flags.token)
    workers = concurrent.futures.ThreadPoolExecutor(max_workers=8)
    server = grpc.server(workers, interceptors=[authorization], options=OPTIONS)
    profilestore_grpc.add_ProfileStoreServiceServicer_to_server(ProfileStore(record, orders), server)
    debuginfo_grpc.add_DebuginfoServiceServicer_to_server(Debuginfo(record, orders, flags.directory), server)
    if flags.tls_cert:
        port = server.add_secure_port(flags.listen, credentials(flags))
    else:
        port = server.add_insecure_port(flags.listen)
    server.start()
    host = flags.listen.rpartition(":")[0]
    answer({"listening": f"{host}:{port}", "put": None})
    for line in sys.stdin:
        try:
            answer(obey(line, record, orders, authorization))
        except Exception as error:
            answer({"error": f"{type(error).__name__}: {error}"})
    server.stop(None)


main()
