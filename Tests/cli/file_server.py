"""Serves the files of a folder on the loopback interface, for the tests of `data fetch`.

usage: file_server.py FOLDER PORTFILE [--no-ranges] [--break BYTES]

Writes its port into PORTFILE. --no-ranges: requests for a part are answered with the whole. --break: the first answer of
more than that many bytes ends after them, as a broken connection does.
"""

import argparse
import http.server
import os
import re

parser = argparse.ArgumentParser()
parser.add_argument("folder")
parser.add_argument("portfile")
parser.add_argument("--no-ranges", action="store_true")
parser.add_argument("--break", dest="limit", type=int)
options = parser.parse_args()


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers GET with a file or a part of it."""

    is_broken = False

    def do_GET(self):
        path = os.path.join(options.folder, self.path[1:])
        if "/" in self.path[1:] or not os.path.isfile(path):
            self.send_error(404)
            return
        with open(path, "rb") as file:
            content = file.read()
        part = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        first = int(part[1]) if part and not options.no_ranges else 0
        if first and first >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = content[first:]
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if options.limit and len(body) > options.limit and not Handler.is_broken:
            Handler.is_broken = True
            body = body[: options.limit]
            self.close_connection = True
        self.wfile.write(body)

    def log_message(self, form, *words):
        """Prints requests as a log: method, path, range."""
        print(self.command, self.path, self.headers.get("Range", "-"), flush=True)


with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
    with open(options.portfile + ".part", "w", encoding="utf-8") as file:
        file.write(str(server.server_address[1]))
    os.replace(options.portfile + ".part", options.portfile)
    server.serve_forever()
