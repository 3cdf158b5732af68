"""ProfileStoreService and DebuginfoService."""

import hashlib
import os
import string

import check
import grpc
from messages import debuginfo, debuginfo_grpc, pprof, profilestore, profilestore_grpc

FIRST_TIME_SEEN = (
    "First time we see this Build ID, and it does not exist in debuginfod, therefore please upload!"
)
IN_PROGRESS = (
    "A previous upload is still in-progress and not stale yet (only stale uploads can be retried)."
)
EXISTS = "Debuginfo already exists and is not marked as invalid, therefore no new upload is needed."

TYPES = {0: "debuginfo", 1: "executable", 2: "sources"}
BUILD_ID_TYPES = {0: "unknown", 1: "gnu", 2: "hash", 3: "go"}


class ProfileStore(profilestore_grpc.ProfileStoreServiceServicer):
    def __init__(self, record, orders):
        self.record, self.orders = record, orders

    def WriteRaw(self, request, context):
        self.record.request("WriteRaw", context.invocation_metadata())
        faults = check.unknown(request)
        if request.normalized:
            faults.append("normalized is set")
        written = []
        for series in request.series:
            labels, found = check.labels(series.labels)
            faults += found + check.unknown(series)
            if not series.samples:
                faults.append(f"a series without profiles: {labels}")
            for sample in series.samples:
                totals, found = check.profile(labels.get("__name__") or "unnamed", sample, pprof.Profile())
                faults += found
                if totals is not None:
                    written.append((labels, totals))
        with self.record.lock:
            self.record.bytes += request.ByteSize()
        for fault in faults:
            self.record.violation(f"WriteRaw: {fault}")
        failure = self.orders.take("WriteRaw")
        if failure is not None or faults:
            for _, totals in written:
                self.record.not_acknowledged(totals)
            if failure is not None:
                failure.abort(context)
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, faults[0])
        for labels, totals in written:
            self.record.written(labels, totals)
        return profilestore.WriteRawResponse()


class Debuginfo(debuginfo_grpc.DebuginfoServiceServicer):
    """Takes uploads by gRPC alone."""

    def __init__(self, record, orders, directory):
        self.record, self.orders, self.directory = record, orders, directory

    def begin(self, method, context):
        self.record.request(method, context.invocation_metadata())
        failure = self.orders.take(method)
        if failure is not None:
            failure.abort(context)

    def refuse(self, context, code, text):
        self.record.violation(text)
        context.abort(code, text)

    def check_build_id(self, context, method, request):
        hexadecimal = all(character in string.hexdigits for character in request.build_id)
        if len(request.build_id) <= 2 or (request.build_id_type == debuginfo.BUILD_ID_TYPE_GNU and not hexadecimal):
            text = f"{method}: build id {request.build_id!r} is not valid"
            self.refuse(context, grpc.StatusCode.INVALID_ARGUMENT, text)

    def should(self, request):
        with self.record.lock:
            kind = TYPES.get(request.type)
            before = [
                upload
                for upload in self.record.uploads
                if upload["build_id"] == request.build_id and upload["type"] == kind
            ]
        if not before:
            return True, FIRST_TIME_SEEN
        return (request.force, EXISTS) if before[-1]["finished"] else (False, IN_PROGRESS)

    def ShouldInitiateUpload(self, request, context):
        self.begin("ShouldInitiateUpload", context)
        with self.record.lock:
            self.record.asked[request.build_id] = self.record.asked.get(request.build_id, 0) + 1
        self.check_build_id(context, "ShouldInitiateUpload", request)
        should, reason = self.should(request)
        return debuginfo.ShouldInitiateUploadResponse(should_initiate_upload=should, reason=reason)

    def InitiateUpload(self, request, context):
        self.begin("InitiateUpload", context)
        self.check_build_id(context, "InitiateUpload", request)
        if request.size <= 0 or not request.hash:
            text = "InitiateUpload: size and hash must be set"
            self.refuse(context, grpc.StatusCode.INVALID_ARGUMENT, text)
        should, reason = self.should(request)
        if not should:
            code = grpc.StatusCode.ALREADY_EXISTS if reason == EXISTS else grpc.StatusCode.FAILED_PRECONDITION
            context.abort(code, reason)
        with self.record.lock:
            upload_id = f"upload-{len(self.record.uploads) + 1}"
            self.record.uploads.append(
                {
                    "upload_id": upload_id,
                    "build_id": request.build_id,
                    "build_id_type": BUILD_ID_TYPES.get(request.build_id_type, "none of these"),
                    "type": TYPES.get(request.type, "none of these"),
                    "hash": request.hash,
                    "declared": request.size,
                    "size": 0,
                    "sha256": "",
                    "path": None,
                    "by": "",
                    "finished": False,
                }
            )
        instructions = debuginfo.UploadInstructions(
            build_id=request.build_id,
            upload_id=upload_id,
            upload_strategy=debuginfo.UploadInstructions.UPLOAD_STRATEGY_GRPC,
            type=request.type,
        )
        return debuginfo.InitiateUploadResponse(upload_instructions=instructions)

    def announced(self, context, method, info):
        upload = self.record.upload(info.upload_id)
        if upload is None or upload["build_id"] != info.build_id or upload["type"] != TYPES.get(info.type):
            text = f"{method}: {info.upload_id!r} of {info.build_id!r} was not announced"
            self.refuse(context, grpc.StatusCode.FAILED_PRECONDITION, text)
        return upload

    def Upload(self, requests, context):
        self.begin("Upload", context)
        first = next(requests, None)
        if first is None or first.WhichOneof("data") != "info":
            text = "Upload: the first message is not info"
            self.refuse(context, grpc.StatusCode.INVALID_ARGUMENT, text)
        upload = self.announced(context, "Upload", first.info)
        path = os.path.join(self.directory or os.devnull, upload["upload_id"] if self.directory else "")
        digest, size = hashlib.sha256(), 0
        with open(path if self.directory else os.devnull, "wb") as file:
            for request in requests:
                if request.WhichOneof("data") != "chunk_data":
                    text = "Upload: a message without a chunk after the first"
                    self.refuse(context, grpc.StatusCode.INVALID_ARGUMENT, text)
                digest.update(request.chunk_data)
                size += len(request.chunk_data)
                file.write(request.chunk_data)
        sha256 = digest.hexdigest()
        name = upload["upload_id"]
        if size != upload["declared"]:
            self.record.violation(f"upload {name}: {size} bytes where {upload['declared']} were announced")
        if len(upload["hash"]) == len(sha256) and upload["hash"] != sha256:
            self.record.violation(f"upload {name}: SHA-256 {sha256} where {upload['hash']} was announced")
        with self.record.lock:
            upload.update(size=size, sha256=sha256, path=path if self.directory else None, by="grpc")
        return debuginfo.UploadResponse(build_id=first.info.build_id, size=size)

    def MarkUploadFinished(self, request, context):
        self.begin("MarkUploadFinished", context)
        upload = self.announced(context, "MarkUploadFinished", request)
        if not upload["sha256"]:
            text = "MarkUploadFinished: nothing was uploaded"
            self.refuse(context, grpc.StatusCode.FAILED_PRECONDITION, text)
        with self.record.lock:
            upload["finished"] = True
        return debuginfo.MarkUploadFinishedResponse()
