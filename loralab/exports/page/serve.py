"""Serves this folder to browsers on this computer: python serve.py [port]. Standard library only; it answers nobody else."""

import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Files(SimpleHTTPRequestHandler):
    """Files, with the two headers for which a browser lends a page more than one processor core."""

    def end_headers(self) -> None:
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    server = ThreadingHTTPServer(("127.0.0.1", port), partial(Files, directory=str(Path(__file__).parent)))
    sys.stderr.write(f"Open http://127.0.0.1:{server.server_port}/ in a browser. To end: Ctrl+C.\n")
    server.serve_forever()
