"""A registry that a Docker Engine can pull from: one image, made from what `docker save` writes, on loopback.

Speaks the pull half of the distribution API (/v2/...), with Basic authentication when a password is given.
"""
import base64
import gzip
import hashlib
import http.server
import io
import json
import tarfile
import threading


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Registry:
    def __init__(self, saved_tar, repository, password=None):
        self.repository, self.password = repository, password
        self.blobs, self.requests = {}, []
        files = tarfile.open(fileobj=io.BytesIO(saved_tar))
        listed = json.load(files.extractfile("manifest.json"))[0]
        layers = [gzip.compress(files.extractfile(name).read(), mtime=0) for name in listed["Layers"]]
        config = files.extractfile(listed["Config"]).read()
        self.manifest = json.dumps({
            "schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": self.add(config, "application/vnd.docker.container.image.v1+json"),
            "layers": [self.add(layer, "application/vnd.docker.image.rootfs.diff.tar.gzip") for layer in layers],
        }).encode()
        self.digest = digest_of(self.manifest)
        registry = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                registry.answer(self)

            do_HEAD = do_GET

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def add(self, data, media_type):
        self.blobs[digest_of(data)] = data
        return {"mediaType": media_type, "size": len(data), "digest": digest_of(data)}

    def allowed(self, handler):
        wanted = "Basic " + base64.b64encode(f"robot:{self.password}".encode()).decode()
        return self.password is None or handler.headers.get("Authorization") == wanted

    def answer(self, handler):
        self.requests.append(handler.path)
        if not self.allowed(handler):
            return self.send(handler, 401, b'{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}',
                             {"WWW-Authenticate": 'Basic realm="test"'})
        prefix = f"/v2/{self.repository}/"
        if handler.path == "/v2/":
            return self.send(handler, 200, b"{}")
        if handler.path in (prefix + "manifests/1", prefix + "manifests/" + self.digest):
            return self.send(handler, 200, self.manifest, {
                "Content-Type": "application/vnd.docker.distribution.manifest.v2+json", "Docker-Content-Digest": self.digest})
        blob = self.blobs.get(handler.path.removeprefix(prefix + "blobs/"))
        if blob is not None:
            return self.send(handler, 200, blob, {"Content-Type": "application/octet-stream"})
        return self.send(handler, 404, b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}')

    @staticmethod
    def send(handler, code, body, headers=None):
        handler.send_response(code)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(body)

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
