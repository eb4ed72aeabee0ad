#!/usr/bin/env python3
"""ASP.NET on Mono: a page and an image that runs as one go and come back while neighbours answer.

Mono honours system.web; the same entries for IIS (system.webServer) stand beside them. Every page
only prints a mark. The environment names REMEDIATE, SAMPLE_TREE and TREE_MANIFEST.
"""
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "cli"))
import servers  # noqa: E402

servers.enter("mono", "mcs")
import scene  # noqa: E402
from scene import Case  # noqa: E402

PORT = 8080
SITE = "inetpub/wwwroot"
SHELL = "aspnet_client/discover.aspx"
IMAGE = "images/logo.png"
CONFIG = "web.config"
# In a comment of the page only, and never whole in this file.
LOOK = "<%-- ev" + 'al(Requ' + 'est["sample"], "un' + 'safe") --%>'
HANDLER = '<add verb="*" path="*.png" type="System.Web.UI.PageHandlerFactory" />'
IIS_HANDLER = ('<add name="Images" verb="*" path="*.png" '
               'type="System.Web.UI.PageHandlerFactory" />')
PROVIDER = '<add extension=".png" type="System.Web.Compilation.PageBuildProvider" />'
# Two lines of the site beside each, a comment that looks like one, CRLF, no final line ending.
MAPPED = f"""\ufeff<?xml version="1.0" encoding="utf-8"?>
<configuration>
  <appSettings>
    <add key="Greeting" value="kept &amp; read" />
  </appSettings>
  <system.web>
    <!-- {HANDLER} -->
    <compilation batch="false">
      <buildProviders>
        {PROVIDER}
        <add extension=".report" type="System.Web.Compilation.PageBuildProvider" />
      </buildProviders>
    </compilation>
    <httpHandlers>
      {HANDLER}
      <add verb="*" path="*.report" type="System.Web.UI.PageHandlerFactory" />
    </httpHandlers>
    <customErrors mode="Off" />
  </system.web>
  <system.webServer>
    <handlers>
      {IIS_HANDLER}
    </handlers>
  </system.webServer>
</configuration>""".replace("\n", "\r\n").encode()


def mark(word):
    return f"{word}-42".encode()


def page(word, more=""):
    """A page that prints a mark which its own text does not hold."""
    return f'<%@ Page Language="C#" %>{more}<% Response.Write("{word}-" + 6 * 7); %>\n'.encode()


class AspNet(Case):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="remediate-e2e-", dir=scene.WORKPLACE)
        cls.addClassCleanup(cls.folder.cleanup)
        cls.program = pathlib.Path(cls.folder.name, "aspnet_host.exe")
        servers.AspNet.compile(cls.program)

    def setUp(self):
        super().setUp()
        self.scene.playbooks = [scene.SHIPPED / "hafnium-2021.json",
                                scene.SHIPPED / "web-config-mappings.json"]
        self.site = self.scene.root / SITE
        self.put("default.aspx", page("PAGE"))
        self.put("aspnet_client/about.aspx", page("ABOUT"))
        self.put("numbers.report", page("REPORT"))
        self.put("greeting.aspx", b'<%@ Page Language="C#" %><%= System.Configuration.'
                                  b'ConfigurationManager.AppSettings["Greeting"] %>')
        self.put(IMAGE, page("IMAGE"))
        self.config = self.put(CONFIG, MAPPED)
        self.server = servers.AspNet(self.scene.base, self.site, PORT, self.program)

    def serve(self):
        self.addCleanup(self.server.stop)
        self.server.start()

    def put(self, below, data):
        return self.scene.write(pathlib.Path(SITE, below), data)

    def settled(self, path):
        """The answer once the application has started again: a changed web.config ends it."""
        def ask():
            try:
                return self.server.get(path)
            except (OSError, servers.http.client.HTTPException):
                return None
        return servers.until(ask, f"an answer for {path}: {self.server.tail()}")

    def runs(self, path, word):
        answer = self.settled(path)
        self.assertEqual(answer.status, 200, f"{path}: {answer}")
        self.assertIn(mark(word), answer.body, path)

    def gone(self, path):
        answer = self.settled(path)
        self.assertEqual(answer.status, 404, f"{path}: {answer}")

    def plain_image(self):
        """Served as what it is. The application notices a changed web.config by itself."""
        self.assertNotIn(mark("IMAGE"), page("IMAGE"))
        answer = servers.until(
            lambda: (found := self.settled("/" + IMAGE)).body == page("IMAGE") and found,
            "the image as bytes", 20)
        self.assertEqual((answer.status, answer.kind), (200, "image/png"))

    def neighbours(self):
        self.runs("/default.aspx", "PAGE")
        self.runs("/aspnet_client/about.aspx", "ABOUT")
        self.runs("/numbers.report", "REPORT")  # through the site's own lines in web.config
        self.assertEqual(self.settled("/greeting.aspx").body, b"kept & read")

    def apply_done(self):
        document = self.ok(self.scene.apply()).json()
        self.assertEqual(document["status"], "done", document)
        return document["run_id"]

    def roll_back(self, run, before):
        document = self.ok(self.scene.json("rollback", run)).json()
        self.assertEqual(document["status"], "done", document)
        self.assertEqual(self.scene.tree(), before)

    def test_page(self):
        shell = self.put(SHELL, page("SHELL", LOOK))
        self.config.write_bytes(MAPPED.replace(PROVIDER.encode(), b"")
                                .replace(HANDLER.encode() + b"\r\n      <", b"<")
                                .replace(IIS_HANDLER.encode(), b""))
        self.serve()
        before = self.scene.tree()
        self.runs("/" + SHELL, "SHELL")
        self.neighbours()
        plan = self.scene.make_plan()
        self.assertEqual([o["address"] for o in plan["operations"] if o["action"] != "instruct"],
                         [f"{SITE}/{SHELL}"])
        self.runs("/" + SHELL, "SHELL")
        self.assertEqual(self.scene.tree(), before)
        run = self.apply_done()
        self.gone("/" + SHELL)
        self.assertFalse(shell.exists())
        self.neighbours()
        self.roll_back(run, before)
        self.assertEqual(shell.read_bytes(), page("SHELL", LOOK))
        self.runs("/" + SHELL, "SHELL")
        self.neighbours()

    def test_image_that_runs(self):
        self.serve()
        before = self.scene.tree()
        self.runs("/" + IMAGE, "IMAGE")
        self.neighbours()
        plan = self.scene.make_plan()
        self.assertEqual({o["indicator"] for o in plan["operations"] if o["action"] != "instruct"},
                         {"handler-type", "http-handler", "build-provider"})
        self.runs("/" + IMAGE, "IMAGE")
        self.assertEqual(self.scene.tree(), before)
        run = self.apply_done()
        self.plain_image()
        self.neighbours()
        gone = [line.strip() for line in MAPPED.decode().split("\r\n")]
        for line in self.config.read_bytes().decode().split("\r\n"):
            gone.remove(line.strip())
        self.assertEqual(gone, [PROVIDER, HANDLER, IIS_HANDLER])  # and not the comment
        self.roll_back(run, before)
        self.assertEqual(self.config.read_bytes(), MAPPED)
        servers.until(lambda: mark("IMAGE") in self.settled("/" + IMAGE).body, "the image that runs",
                      20)
        self.neighbours()

    def test_a_tool_that_does_nothing_is_found_out(self):
        """Each check above fails where nothing was removed, or too much."""
        self.put(SHELL, page("SHELL", LOOK))
        self.serve()
        with self.assertRaises(AssertionError):
            self.gone("/" + SHELL)
        self.runs("/" + IMAGE, "IMAGE")
        with self.assertRaises(AssertionError):
            servers.until(lambda: self.settled("/" + IMAGE).body == page("IMAGE"), "bytes", 1)
        (self.site / "numbers.report").unlink()
        with self.assertRaises(AssertionError):
            self.neighbours()


if __name__ == "__main__":
    scene.main()
