"""The XML interface of Google Cloud Storage, for a server that takes writes by the JSON one only.

A link that translates: uploads, whole and in parts, conditions on generations, and what the answers must name. All else is passed on.
"""

import http.client
import itertools
import json
from dataclasses import dataclass, field
from urllib.parse import parse_qs, quote, unquote, urlsplit

from rig.link import Handler, Link


class Translator(Handler):
    def forward(self, link, seen):
        fields = parse_qs(seen.query, keep_blank_values=True)
        bucket, _, key = unquote(seen.path).lstrip("/").partition("/")
        upload = fields.get("uploadId", [None])[0]
        if self.command == "POST" and "uploads" in fields:
            self.drain()
            number = str(next(link.numbers))
            link.parts[number] = {}
            self.reply(seen, 200, xml("InitiateMultipartUploadResult", UploadId=number))
        elif self.command == "PUT" and upload:
            data = self.whole(link)
            link.parts.setdefault(upload, {})[int(fields["partNumber"][0])] = data
            self.reply(seen, 200, b"", ETag=f'"part-{len(data)}"')
        elif self.command == "POST" and upload:
            self.drain()
            parts = link.parts.pop(upload, {})
            self.store(link, seen, bucket, key, b"".join(parts[number] for number in sorted(parts)))
        elif self.command == "DELETE" and upload:
            link.parts.pop(upload, None)
            self.reply(seen, 204, b"")
        elif self.command == "PUT":
            self.store(link, seen, bucket, key, self.whole(link))
        else:
            super().forward(link, seen)

    def whole(self, link):
        return b"".join(self.body(link.rate))

    def store(self, link, seen, bucket, key, data):
        wanted = seen.headers.get("x-goog-if-generation-match")
        at = f"/storage/v1/b/{bucket}/o/{quote(key, safe='')}"
        if wanted is not None:
            status, about = ask(link, "GET", at)
            if wanted != (about["generation"] if status == 200 else "0"):
                return self.reply(seen, 412, b"")
        status, about = ask(link, "POST", f"/upload/storage/v1/b/{bucket}/o?uploadType=media&name={quote(key, safe='')}", data)
        if status != 200:
            return self.reply(seen, status, json.dumps(about).encode())
        tag = about["etag"]
        body = xml("CompleteMultipartUploadResult", ETag=tag) if self.command == "POST" else b""
        return self.reply(seen, 200, body, **{"ETag": tag, "x-goog-generation": about["generation"]})

    def reply(self, seen, status, body, **headers):
        seen.status = status
        self.send_response(status)
        for name, value in {**headers, "Content-Length": len(body)}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)


@dataclass
class XmlLink(Link):
    handler = Translator
    parts: dict[str, dict[int, bytes]] = field(default_factory=dict)
    """What has come of uploads in parts."""
    numbers: itertools.count = field(default_factory=itertools.count)


def ask(link, method, path, body=None):
    connection = http.client.HTTPConnection(urlsplit(link.target).netloc, timeout=60)
    try:
        connection.request(method, path, body, {"Content-Type": "application/octet-stream"} if body is not None else {})
        answer = connection.getresponse()
        data = answer.read()
        return answer.status, json.loads(data) if data.startswith(b"{") else {}
    finally:
        connection.close()


def xml(name, **fields):
    inside = "".join(f"<{field}>{value}</{field}>" for field, value in fields.items())
    return f'<?xml version="1.0" encoding="UTF-8"?><{name}>{inside}</{name}>'.encode()
