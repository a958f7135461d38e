#!/usr/bin/env python3
"""A web server that misbehaves on request, for download_test: test_server.py FOLDER PORT_FILE [BEHAVIOR]

BEHAVIOR: no-range (always sends the whole file), close=N (breaks off every answer after N bytes), close-at=N (never
sends a byte beyond the file's first N), slow (some bytes at a time). Every request is a line in FOLDER/log.
"""

import http.server
import os
import pathlib
import re
import sys
import time

folder, port_file, behavior = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
name, _, number = behavior.partition("=")


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        asked = self.headers.get("Range", "")
        with open(folder / "log", "a", encoding="ascii") as log:
            log.write(f"GET {self.path} {asked}\n")
        path = folder / self.path.lstrip("/")
        if not path.is_file():
            self.send_error(404)
            return
        content = path.read_bytes()
        match = None if name == "no-range" else re.fullmatch(r"bytes=(\d+)-", asked)
        begin = int(match[1]) if match else 0
        self.send_response(206 if match else 200)
        self.send_header("Content-Length", str(len(content) - begin))
        if match:
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        end = {"close": begin + int(number or 0), "close-at": int(number or 0)}.get(name, len(content))
        step = 1000 if name == "slow" else 1 << 20
        for at in range(begin, min(end, len(content)), step):
            self.wfile.write(content[at : min(at + step, end, len(content))])
            self.wfile.flush()
            if name == "slow":
                time.sleep(0.02)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
temporary = port_file.with_suffix(".new")
temporary.write_text(str(server.server_address[1]), encoding="ascii")
os.replace(temporary, port_file)
server.serve_forever()
