"""Serves the folder `site` on a free port, which it prints; keeps what is posted in the file `result`."""

import functools
import http.server


class Handler(http.server.SimpleHTTPRequestHandler):
    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers["Content-Length"]))
        with open("result.part", "wb") as f:
            f.write(text + b"\n")
        self.send_response(204)
        self.end_headers()


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory="site"))
print(server.server_port, flush=True)
server.serve_forever()
