"""Staged apply: a health probe between the stages, asked of a server on the loopback interface."""
import http.server
import os
import pathlib
import socket
import ssl
import subprocess
import threading
import time

import scene

SHELLS = 8
PROBE = pathlib.Path(scene.REMEDIATE).with_name("remediate-probe")


class Server:
    """Answers the n-th request with answers[n], the last one from then on."""

    def __init__(self, answers, context=None):
        self.answers, self.asked, self.paths = list(answers), 0, []
        outer = self

        class Requests(http.server.BaseHTTPRequestHandler):
            def do_GET(self):  # the name that http.server asks for
                answer = outer.answers[min(outer.asked, len(outer.answers) - 1)]
                outer.asked += 1
                outer.paths.append(self.path)
                answer(self)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Requests)
        self.server.daemon_threads = True
        if context:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def answer(status=200, body=b"200 OK\n", **headers):
    def send(request):
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)
    return send


def silent(request):
    time.sleep(20)
    request.close_connection = True


def dripping(request):
    """A byte every fifth of a second: no single read is slow."""
    request.send_response(200)
    request.send_header("Content-Length", "100000")
    request.end_headers()
    try:
        for _ in range(100):
            request.wfile.write(b"x")
            request.wfile.flush()
            time.sleep(0.2)
    except OSError:
        pass


def endless(request):
    request.send_response(200)
    request.end_headers()
    try:
        for _ in range(4000):
            request.wfile.write(b"x" * 65536)
    except OSError:
        pass
    request.close_connection = True


def broken(request):
    request.wfile.write(b"\x00\xff not HTTP \r\n\r\n")
    request.close_connection = True


GOOD, BAD = answer(), answer(500)


class Staged(scene.Case):
    def setUp(self):
        super().setUp()
        if not PROBE.exists():
            self.fail(f"{PROBE} is not built")
        self.shells = self.scene.shells(SHELLS)
        self.scene.harmless()
        self.before = self.scene.tree()

    def serve(self, *answers, context=None):
        server = Server(answers, context)
        self.addCleanup(server.close)
        return server

    def policy(self, server, scheme="http", sizes=(1, 5), path="/owa/healthcheck.htm", **probe):
        self.url = f"{scheme}://127.0.0.1:{server if isinstance(server, int) else server.port}{path}"
        self.scene.write_policy(stages={"sizes": list(sizes),
                                        "probe": {"url": self.url, "timeout_seconds": 2} | probe})

    def present(self):
        return sum(shell.exists() for shell in self.shells)

    def apply(self, code=0):
        self.scene.make_plan()
        return self.ok(self.scene.apply(), code).json()

    def stands_still(self, server, after, *words, **probe):
        """Applies; the run stops after so many of the eight. Its document."""
        self.policy(server, **probe)
        document = self.apply(3)
        self.assertEqual(self.present(), SHELLS - after)
        self.assertTrue(document["interrupted"], document)
        [notice] = document["notices"]
        for word in (self.url, f"after {after} of {SHELLS}", f"{SHELLS - after} were not begun",
                     "resume", "rollback", *words):
            self.assertIn(word, notice)
        outcomes = [operation["outcome"] for operation in document["operations"]]
        self.assertEqual(outcomes, ["quarantined"] * after + ["not_started"] * (SHELLS - after))
        self.verified()
        return document

    def refused_at_once(self, server, *words, **probe):
        self.policy(server, **probe)
        self.scene.make_plan()
        said = self.refused(self.scene.apply(), 1, "refused", self.url,
                            "before anything was done", *words)
        self.assertEqual(self.scene.tree(), self.before)
        self.assertEqual(self.ok(self.scene.json("list")).json()["runs"], [])
        return said


class Probe(Staged):
    def test_healthy(self):
        server = self.serve(GOOD)
        self.policy(server, path="/owa/healthcheck.htm?full=1", body_contains="200 OK")
        document = self.apply()
        self.assertEqual(document["status"], "done")
        self.assertEqual(self.present(), 0)
        self.assertEqual(server.paths, ["/owa/healthcheck.htm?full=1"] * 4)  # before, 1, 6, 8
        self.verified()
        self.ok(self.scene.json("rollback", document["run_id"]))
        self.assertEqual(self.scene.tree(), self.before)

    def test_fails_before(self):
        self.refused_at_once(self.serve(BAD), "status 500, expected 200")

    def test_applied_after_a_repair(self):
        server = self.serve(BAD, GOOD)
        self.refused_at_once(server)
        self.assertEqual(self.ok(self.scene.apply()).json()["status"], "done")

    def test_fails_after_one(self):
        document = self.stands_still(self.serve(GOOD, BAD, GOOD), 1, "status 500, expected 200")
        resumed = self.ok(self.scene.json("resume", document["run_id"])).json()
        self.assertEqual(resumed["status"], "done")
        self.assertEqual(self.present(), 0)
        self.verified()
        self.ok(self.scene.json("rollback", document["run_id"]))
        self.assertEqual(self.scene.tree(), self.before)

    def test_fails_after_six_and_again(self):
        server = self.serve(GOOD, GOOD, BAD)
        document = self.stands_still(server, 6)
        again = self.ok(self.scene.json("resume"), 3).json()
        self.assertIn("after 6 of 8", again["notices"][0])
        self.assertEqual(server.asked, 4)
        self.ok(self.scene.json("rollback", document["run_id"]))
        self.assertEqual(self.scene.tree(), self.before)
        self.verified()

    def test_fails_after_the_last(self):
        self.stands_still(self.serve(GOOD, GOOD, GOOD, BAD, GOOD), SHELLS)
        self.assertEqual(self.ok(self.scene.json("resume")).json()["status"], "done")

    def test_wrong_body(self):
        self.stands_still(self.serve(GOOD, answer(body=b"maintenance")), 1,
                          "does not contain 200 OK", body_contains="200 OK")

    def test_another_status_may_be_healthy(self):
        self.policy(self.serve(answer(401, b"")), expect_status=401)
        self.assertEqual(self.apply()["status"], "done")

    def test_frozen(self):
        started = time.monotonic()
        self.stands_still(self.serve(GOOD, silent), 1, "no answer within 2 s")
        self.assertLess(time.monotonic() - started, 15)

    def test_dripping(self):
        started = time.monotonic()
        self.stands_still(self.serve(GOOD, dripping), 1, "no answer within 2 s")
        self.assertLess(time.monotonic() - started, 15)

    def test_accepts_and_says_nothing(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.refused_at_once(listener.getsockname()[1], "no answer within 2 s")

    def test_nobody_listens(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        self.refused_at_once(port)

    def test_not_http(self):
        self.stands_still(self.serve(GOOD, broken), 1)

    def test_endless_body(self):
        """Read up to its bound, then judged: the text is not in the first MiB."""
        started = time.monotonic()
        self.stands_still(self.serve(GOOD, endless), 1, body_contains="200 OK")
        self.assertLess(time.monotonic() - started, 15)

    def test_redirect_is_not_followed(self):
        elsewhere = self.serve(GOOD)
        for status in (301, 302, 307):
            with self.subTest(status=status):
                there = answer(status, b"", Location=f"http://127.0.0.1:{elsewhere.port}/")
                self.refused_at_once(self.serve(there), f"status {status}", "not followed")
        self.assertEqual(elsewhere.asked, 0)

    def test_the_answer_is_shown_harmless(self):
        said = self.refused_at_once(self.serve(answer(200, b"\x1b[2J evil")), r"\u{202e}\x1b[31m",
                                    body_contains="\u202e\u001b[31m")
        self.assertNotIn("\x1b", said)
        self.assertNotIn("\u202e", said)

    def test_one_operation_of_all(self):
        for shell in self.shells[1:]:
            shell.unlink()
        self.policy(self.serve(GOOD, BAD, GOOD))
        document = self.apply(3)
        self.assertIn("after 1 of 1", document["notices"][0])
        self.assertEqual(self.ok(self.scene.json("resume")).json()["status"], "done")

    def test_interrupted_while_asking(self):
        server = self.serve(GOOD, silent, GOOD)
        self.policy(server, timeout_seconds=60)
        self.scene.make_plan()
        process = self.scene.start(*self.scene.apply_arguments())
        self.addCleanup(scene.end_process, process)
        scene.wait_for(lambda: server.asked == 2, "the second question")
        process.terminate()
        out, err = process.communicate(timeout=scene.TIMEOUT)
        self.assertEqual(process.returncode, 3, (out, err))
        self.assertEqual(self.present(), SHELLS - 1)
        self.assertEqual(self.ok(self.scene.json("resume")).json()["status"], "done")

    def test_killed_while_asking(self):
        """Between two stages, so that nothing is half done; the probe's program goes too."""
        server = self.serve(GOOD, silent, GOOD)
        self.policy(server, timeout_seconds=60)
        self.scene.make_plan()
        process = self.scene.start(*self.scene.apply_arguments())
        self.addCleanup(scene.end_process, process)
        scene.wait_for(lambda: server.asked == 2, "the second question")
        [child] = subprocess.run(["pgrep", "-P", str(process.pid)], check=True,
                                 capture_output=True).stdout.split()
        if os.geteuid() == 0:
            self.assertEqual(os.stat(f"/proc/{int(child)}").st_uid, scene.NOBODY)
        process.kill()
        process.communicate(timeout=scene.TIMEOUT)
        scene.wait_for(lambda: not os.path.exists(f"/proc/{int(child)}"), "the end of the probe")
        self.assertEqual(self.present(), SHELLS - 1)
        self.verified()
        self.assertEqual(self.ok(self.scene.json("resume")).json()["status"], "done")
        self.verified()


class Secure(Staged):
    def context(self, names="IP:127.0.0.1"):
        certificate, key = self.scene.base / "server.crt", self.scene.base / "server.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", certificate,
                        "-subj", "/CN=server", "-days", "30", "-addext", f"subjectAltName={names}"],
                       check=True, capture_output=True, timeout=scene.TIMEOUT)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        return context

    def test_named_authority(self):
        self.policy(self.serve(GOOD, context=self.context()), "https", ca="server.crt")
        self.assertEqual(self.apply()["status"], "done")

    def test_unknown_authority(self):
        self.refused_at_once(self.serve(GOOD, context=self.context()), scheme="https")

    def test_another_name(self):
        server = self.serve(GOOD, context=self.context("DNS:elsewhere.test"))
        self.refused_at_once(server, scheme="https", ca="server.crt")
        self.assertEqual(server.asked, 0)


class Person(Staged):
    def test_every_stage_waits(self):
        self.scene.write_policy(stages={})
        document = self.apply(3)
        self.assertEqual(self.present(), SHELLS - 1)
        self.assertIn("a stage has ended after 1 of 8", document["notices"][0])
        self.verified()
        self.ok(self.scene.json("resume"), 3)
        self.assertEqual(self.present(), SHELLS - 6)
        self.assertEqual(self.ok(self.scene.json("resume")).json()["status"], "done")
        self.assertEqual(self.present(), 0)
        self.verified()

    def test_no_stages_without_the_policy(self):
        self.assertEqual(self.apply()["status"], "done")

    def test_probe_not_installed(self):
        self.policy(1)
        self.scene.make_plan()
        alone = self.scene.base / "remediate"
        alone.write_bytes(pathlib.Path(scene.REMEDIATE).read_bytes())
        alone.chmod(0o755)
        words = [str(alone) if word == scene.REMEDIATE else word
                 for word in self.scene.command(*self.scene.apply_arguments())]
        self.refused(self.scene.execute(words), 78, "configuration", "remediate-probe")
        probe = self.scene.base / "remediate-probe"
        probe.write_bytes(PROBE.read_bytes())
        probe.chmod(0o777)
        self.refused(self.scene.execute(words), 1, "refused", "changed by others")
        self.assertEqual(self.scene.tree(), self.before)


if __name__ == "__main__":
    scene.main()
