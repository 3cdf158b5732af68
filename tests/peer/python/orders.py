"""How the server is to behave: as it should, or with a status."""

import threading

import grpc
from messages import rpc

STATUSES = {code.value[0]: code for code in grpc.StatusCode}


class Failure:
    """A status to answer with."""

    def __init__(self, how):
        self.status = how.pop("status")
        self.code = STATUSES[self.status]
        self.message = how.pop("message", "")
        self.pushback_ms = how.pop("pushback_ms", None)
        self.retry_info_ms = how.pop("retry_info_ms", None)
        if how:
            raise ValueError(f"{sorted(how)} is no part of a status")

    def abort(self, context):
        trailers = []
        if self.pushback_ms is not None:
            trailers.append(("grpc-retry-pushback-ms", str(self.pushback_ms)))
        if self.retry_info_ms is not None:
            trailers.append(("grpc-status-details-bin", self.details()))
        context.set_trailing_metadata(tuple(trailers))
        context.abort(self.code, self.message)

    def details(self):
        info = rpc.RetryInfo()
        info.retry_delay.FromMilliseconds(self.retry_info_ms)
        status = rpc.Status(code=self.status, message=self.message)
        status.details.add().Pack(info)
        return status.SerializeToString()


class Orders:
    def __init__(self):
        self.lock = threading.Lock()
        self.failure = self.method = self.left = None

    def set(self, how, method=None, times=None):
        failure = None if how == "ok" else Failure(dict(how)) if isinstance(how, dict) else unknown(how)
        with self.lock:
            self.failure, self.method, self.left = failure, method, times

    def take(self, method):
        """The failure that a request for a method gets, if any."""
        with self.lock:
            if self.failure is None or self.method not in (None, method) or self.left == 0:
                return None
            if self.left is not None:
                self.left -= 1
            return self.failure


def unknown(how):
    raise ValueError(f"this server knows no {how!r}")
