"""Real web servers on a loopback interface of their own, for pages that only print a mark.

enter() starts the calling script again in namespaces that end with it, so every port is free and
nothing outlives the test. Php, Nginx, Apache and AspNet each run one server over one folder.
"""
import http.client
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import sys
import time

TIMEOUT = 60  # for one start, one answer, one tool
SKIP = 77
HOST = "127.0.0.1"
USER = "www-data"
HERE = pathlib.Path(__file__).resolve().parent


def enter(*needed):
    """Starts this script again with a network, mounts and processes of its own."""
    if os.environ.get("REMEDIATE_SERVERS") == "1":
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True, timeout=TIMEOUT)
        return
    missing = [name for name in ("unshare", "ip", *needed) if shutil.which(name) is None]
    if missing or os.geteuid() != 0:
        print("skipped: not root" if not missing else f"skipped: not installed: {missing}")
        sys.exit(SKIP)
    # -u: what is printed is seen when the time limit ends it.
    os.execvpe("unshare", ["unshare", "--net", "--mount", "--propagation", "private", "--pid",
                           "--fork", "--kill-child", "--mount-proc", sys.executable, "-u", "-B",
                           *sys.argv], {**os.environ, "REMEDIATE_SERVERS": "1"})


def until(condition, what, seconds=TIMEOUT):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"never came: {what}")


class Answer:
    def __init__(self, status, kind, body):
        self.status, self.kind, self.body = status, kind, body

    def __str__(self):
        return f"{self.status} {self.kind} {self.body[:300]!r} ... {self.body[-900:]!r}"


class Server:
    """One process that listens on a port; start() returns when it answers at all."""

    name = "server"

    def __init__(self, base, folder, port):
        self.base, self.folder, self.port = pathlib.Path(base), pathlib.Path(folder), port
        self.log = self.base / f"{self.name}.log"
        self.process = None

    def words(self):
        raise NotImplementedError

    def spawn(self):
        with self.log.open("ab") as log:
            # A group of its own, so that stop() reaches its workers and nothing else.
            self.process = subprocess.Popen(list(map(str, self.words())), stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, start_new_session=True)

    def start(self):
        self.spawn()
        until(self.answers, f"{self.name} on port {self.port}: {self.tail}")
        return self

    def answers(self):
        if self.process.poll() is not None:
            raise AssertionError(f"{self.name} ended with {self.process.returncode}: {self.tail()}")
        try:
            return self.get("/")
        except (OSError, http.client.HTTPException):
            return None

    def tail(self):
        return self.log.read_text(errors="replace")[-1500:] if self.log.exists() else ""

    def get(self, path):
        connection = http.client.HTTPConnection(HOST, self.port, timeout=TIMEOUT)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return Answer(answer.status, answer.getheader("Content-Type", ""), answer.read())
        finally:
            connection.close()

    def stop(self):
        if self.process is None or self.process.poll() is not None:
            return
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)


class Php(Server):
    """php-fpm with a fixed number of workers behind a socket."""

    name = "php-fpm"

    def __init__(self, base, folder, workers=2):
        super().__init__(base, folder, 0)
        self.workers = workers
        self.socket = self.base / "php.sock"
        # Lines of php.ini. Removed code ends at once, not when the opcode cache looks again.
        self.settings = ["opcache.revalidate_freq=0"]
        self.extensions = ".php"

    def words(self):
        [program] = sorted(pathlib.Path("/usr/sbin").glob("php-fpm*"))[-1:]
        values = "\n".join(f"php_admin_value[{name}] = {value}"
                           for name, value in (line.split("=", 1) for line in self.settings))
        conf = self.base / "php-fpm.conf"
        conf.write_text(f"""[global]
daemonize = no
process_control_timeout = 10
error_log = {self.log}
pid = {self.base}/php-fpm.pid
[www]
user = {USER}
group = {USER}
listen = {self.socket}
listen.owner = {USER}
listen.group = {USER}
pm = static
pm.max_children = {self.workers}
catch_workers_output = yes
security.limit_extensions = {self.extensions}
php_admin_value[display_errors] = 1
{values}
""")
        return [program, "-F", "-y", conf]

    def answers(self):
        if self.process.poll() is not None:
            raise AssertionError(f"php-fpm ended with {self.process.returncode}: {self.tail()}")
        return self.socket.exists()

    def reload(self):
        """What `systemctl reload php-fpm` does: fresh workers. Without a process_control_timeout
        the master would end the old ones in the middle of an answer."""
        before = self.children()
        self.process.send_signal(signal.SIGUSR2)
        until(lambda: len(self.children() - before) == self.workers and
              not self.children() & before, "the new workers of php-fpm")
        until(self.socket.exists, "the socket of php-fpm")

    def children(self):
        listed = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return set(listed.read_text().split())


class Nginx(Server):
    """nginx in front of a php-fpm. `dots`: names that begin with a dot are served, as by default."""

    name = "nginx"

    def __init__(self, base, folder, port, php, dots=False):
        super().__init__(base, folder, port)
        self.php = php
        self.denied = "" if dots else "location ~ /\\. { deny all; }"

    def words(self):
        conf = self.base / "nginx.conf"
        temporary = "\n".join(f"  {kind}_temp_path {self.base}/nginx-{kind};"
                              for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        conf.write_text(f"""daemon off;
user {USER};
worker_processes 1;
pid {self.base}/nginx.pid;
error_log {self.log};
events {{ worker_connections 64; }}
http {{
{temporary}
  access_log off;
  include /etc/nginx/mime.types;
  server {{
    listen {HOST}:{self.port};
    root {self.folder};
    {self.denied}
    location ~ \\.php$ {{
      include /etc/nginx/fastcgi_params;
      fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
      fastcgi_pass unix:{self.php.socket};
    }}
  }}
}}
""")
        return ["nginx", "-c", conf]


class Apache(Server):
    """Apache with PHP inside it, or in front of a php-fpm; .htaccess may say everything."""

    name = "apache"

    def __init__(self, base, folder, port, php=None):
        super().__init__(base, folder, port)
        self.php = php

    def words(self):
        modules = pathlib.Path("/usr/lib/apache2/modules")
        wanted = {"authz_core": "authz_core_module", "mime": "mime_module", "dir": "dir_module",
                  "headers": "headers_module"}
        if self.php:
            wanted |= {"mpm_event": "mpm_event_module", "proxy": "proxy_module",
                       "proxy_fcgi": "proxy_fcgi_module"}
            runs = (f'<FilesMatch "\\.php$">\n  SetHandler "proxy:unix:{self.php.socket}'
                    '|fcgi://localhost"\n</FilesMatch>')
        else:
            wanted |= {"mpm_prefork": "mpm_prefork_module"}
            [library] = sorted(modules.glob("libphp*.so"))[-1:]
            runs = (f"LoadModule php_module {library}\n"
                    "php_admin_value opcache.revalidate_freq 0\n"
                    '<FilesMatch "\\.php$">\n  SetHandler application/x-httpd-php\n</FilesMatch>')
        loads = "\n".join(f"LoadModule {module} {modules}/mod_{file}.so"
                          for file, module in wanted.items())
        conf = self.base / "apache.conf"
        conf.write_text(f"""ServerName localhost
ServerRoot {self.base}
Listen {HOST}:{self.port}
PidFile {self.base}/apache.pid
DefaultRuntimeDir {self.base}
ErrorLog {self.log}
{loads}
User {USER}
Group {USER}
TypesConfig /etc/mime.types
{runs}
DocumentRoot {self.folder}
<Directory {self.folder}>
  AllowOverride All
  Require all granted
</Directory>
<FilesMatch "^\\.(ht|user)">
  Require all denied
</FilesMatch>
""")
        return ["apache2", "-f", conf, "-DFOREGROUND"]


class AspNet(Server):
    """Mono's ASP.NET in a small host of our own; `folder` gets a bin with the host in it."""

    name = "aspnet"

    @staticmethod
    def compile(target):
        subprocess.run(["mcs", "-r:System.Web.dll", f"-out:{target}", HERE / "aspnet_host.cs"],
                       check=True, capture_output=True, timeout=TIMEOUT)

    def __init__(self, base, folder, port, program):
        super().__init__(base, folder, port)
        self.program = program

    def words(self):
        binaries = self.folder / "bin"
        binaries.mkdir(exist_ok=True)
        shutil.copy(self.program, binaries / "aspnet_host.exe")
        return ["env", f"TMPDIR={self.base}", "mono", binaries / "aspnet_host.exe", self.port,
                self.folder]


def readable(base, folder):
    """Lets the servers' user come to `folder`, and gives it what lies there."""
    user = pwd.getpwnam(USER)
    pathlib.Path(base).chmod(0o755)
    for path in [pathlib.Path(folder), *pathlib.Path(folder).rglob("*")]:
        os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
