"""What the server was asked, and what it has of it: the answer to the command `state`."""

import threading


class Record:
    def __init__(self):
        self.lock = threading.RLock()
        self.requests = 0
        self.methods = {}
        self.series = {}
        self.unacknowledged = {"profiles": 0, "samples": 0}
        self.violations = []
        self.metadata = []
        self.bytes = 0
        self.uploads = []
        self.asked = {}

    def request(self, method, metadata):
        with self.lock:
            self.requests += 1
            self.methods[method] = self.methods.get(method, 0) + 1
            self.metadata = [[name, as_text(value)] for name, value in metadata]

    def violation(self, text):
        with self.lock:
            self.violations.append(text)

    def written(self, labels, totals):
        """Notes a profile that the client is told to be written."""
        with self.lock:
            key = tuple(sorted(labels.items()))
            series = self.series.setdefault(
                key,
                {
                    "labels": labels,
                    "samples": 0,
                    "nanos": 0,
                    "first": totals["time"],
                    "last": totals["time"],
                    "profiles": 0,
                },
            )
            series["samples"] += totals["samples"]
            series["nanos"] += totals["nanos"]
            series["first"] = min(series["first"], totals["time"])
            series["last"] = max(series["last"], totals["time"])
            series["profiles"] += 1

    def not_acknowledged(self, totals):
        with self.lock:
            self.unacknowledged["profiles"] += 1
            self.unacknowledged["samples"] += totals["samples"]

    def upload(self, upload_id):
        with self.lock:
            return next((upload for upload in self.uploads if upload["upload_id"] == upload_id), None)

    def state(self):
        with self.lock:
            return {
                "requests": self.requests,
                "methods": self.methods,
                "series": list(self.series.values()),
                "unacknowledged": self.unacknowledged,
                "violations": self.violations,
                # grpcio does not tell of its connections.
                "connections": None,
                "metadata": self.metadata,
                "bytes": self.bytes,
                "uploads": self.uploads,
                "asked": self.asked,
            }


def as_text(value):
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
