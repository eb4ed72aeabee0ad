"""A real Active Directory (Samba) with the classes of Exchange, alone on a network of its own.

enter() starts the calling script again in namespaces that end with it; Lab runs the server.
"""
import base64
import os
import pathlib
import shutil
import subprocess
import sys
import time
import uuid

TIMEOUT = 240  # a loaded machine provisions slowly; the whole test has a bound of its own
SKIP = 77
NEEDED = ("unshare", "samba", "samba-tool", "ldbmodify", "ldapmodify", "ldapsearch", "kinit",
          "openssl", "ip", "strace")
PASSWORD = "Sample-Only-7301"
BASE = "DC=lab,DC=test"
EXCHANGE = f"CN=Microsoft Exchange,CN=Services,CN=Configuration,{BASE}"
SERVERS = (f"CN=Servers,CN=Exchange Administrative Group (FYDIBOHF23SPDLT),"
           f"CN=Administrative Groups,CN=Sample Org,{EXCHANGE}")
ADMIN = f"CN=Administrator,CN=Users,{BASE}"
ARC = "1.3.6.1.4.1.99999.77"  # the real numbers are Microsoft's; names are what matters
ATTRIBUTES = (("msExchExternalHostName", "d430d4c4-0ae2-49b2-91df-378a005eb36a"),
              ("msExchInternalHostName", "50b874ea-d760-47aa-a89a-0e7d276f9926"),
              ("msExchMetabasePath", "31d51da3-95a9-4a2a-9f81-b2d977f9ca44"))
CLASSES = (("msExchVirtualDirectory", "top", "aa9b7c41-11b1-4a3a-a3f3-20d8f1a7f3d1"),
           ("msExchOABVirtualDirectory", "msExchVirtualDirectory",
            "457e0398-cafe-43fb-b128-23c9e9f47c20"),
           ("msExchOWAVirtualDirectory", "msExchVirtualDirectory",
            "5d6a3b4f-04a8-4d3c-9d0f-1c40e6f0c7a2"))


def enter():
    """Starts this script again with a network, mounts and processes of its own."""
    if os.environ.get("REMEDIATE_LAB") == "1":
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True, timeout=TIMEOUT)
        return
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing or os.geteuid() != 0:
        print("skipped: not root" if not missing else f"skipped: not installed: {missing}")
        sys.exit(SKIP)
    # -u: what is printed is seen when the time limit ends it.
    os.execvpe("unshare", ["unshare", "--net", "--mount", "--propagation", "private", "--pid",
                           "--fork", "--kill-child", "--mount-proc", sys.executable, "-u", "-B",
                           *sys.argv], {**os.environ, "REMEDIATE_LAB": "1"})


def run(*words, stdin="", environment=None, check=True):
    ended = subprocess.run([str(word) for word in words], input=stdin, capture_output=True,
                           text=True, timeout=TIMEOUT, check=False,
                           env={**os.environ, **(environment or {})})
    if check and ended.returncode != 0:
        raise AssertionError(f"{words} ended with {ended.returncode}:\n{ended.stdout[-2000:]}\n"
                             f"{ended.stderr[-2000:]}")
    return ended


def oab(server):
    return f"CN=OAB (Default Web Site),CN=HTTP,CN=Protocols,CN={server},{SERVERS}"


def owa(server):
    return f"CN=owa (Default Web Site),CN=HTTP,CN=Protocols,CN={server},{SERVERS}"


class Lab:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.data = self.folder / "dc"
        self.process = None
        self.ca = self.folder / "ca.pem"

    def start(self):
        self.names()
        self.certificates()
        self.provision()
        self.launch()

    def names(self):
        hosts = self.folder / "hosts"
        hosts.write_text("127.0.0.1 dc1.lab.test dc1\n127.0.0.1 localhost\n")
        run("mount", "--bind", hosts, "/etc/hosts")

    def certificates(self):
        for name in ("ca", "other"):
            run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN=Test {name}",
                "-keyout", self.folder / f"{name}.key", "-out", self.folder / f"{name}.pem")
        run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-subj", "/CN=dc1.lab.test", "-keyout", self.folder / "dc.key", "-out",
            self.folder / "dc.csr")
        (self.folder / "dc.ext").write_text("subjectAltName=DNS:dc1.lab.test\n")
        run("openssl", "x509", "-req", "-in", self.folder / "dc.csr", "-CA", self.ca, "-CAkey",
            self.folder / "ca.key", "-CAcreateserial", "-days", "2", "-extfile",
            self.folder / "dc.ext", "-out", self.folder / "dc.pem")
        (self.folder / "dc.key").chmod(0o600)

    def provision(self):
        options = {"interfaces": "lo", "bind interfaces only": "yes",
                   "server services": "ldap cldap kdc rpc", "pid directory": self.data / "run",
                   "ncalrpc dir": self.data / "ncalrpc", "log file": self.data / "log.samba",
                   "tls cafile": self.ca, "tls certfile": self.folder / "dc.pem",
                   "tls keyfile": self.folder / "dc.key",
                   "ldap server require strong auth": "allow_sasl_over_tls"}
        run("samba-tool", "domain", "provision", "--realm=LAB.TEST", "--domain=LAB",
            "--server-role=dc", "--dns-backend=NONE", f"--adminpass={PASSWORD}",
            "--host-name=dc1", "--host-ip=127.0.0.1", f"--targetdir={self.data}",
            *(f"--option={key}={value}" for key, value in options.items()))
        (self.data / "run").mkdir()
        for part in (self.attributes(), *self.classes(), self.tree(), self.spn()):
            self.offline(part)
        run("samba-tool", "user", "create", "low", PASSWORD, "-H",
            self.data / "private/sam.ldb", "-s", self.data / "etc/smb.conf")

    def offline(self, ldif):
        run("ldbmodify", "-H", self.data / "private/sam.ldb",
            "--option=dsdb:schema update allowed=true", stdin=ldif)

    @staticmethod
    def attributes():
        return "\n".join(
            f"dn: CN={name},CN=Schema,CN=Configuration,{BASE}\nchangetype: add\n"
            f"objectClass: attributeSchema\nattributeID: {ARC}.1.{number}\n"
            f"lDAPDisplayName: {name}\nattributeSyntax: 2.5.5.12\noMSyntax: 64\n"
            f"isSingleValued: TRUE\n"
            f"schemaIDGUID:: {base64.b64encode(uuid.UUID(guid).bytes_le).decode()}\n"
            for number, (name, guid) in enumerate(ATTRIBUTES, 1))

    @staticmethod
    def classes():
        for number, (name, parent, guid) in enumerate(CLASSES, 1):
            may = "".join(f"mayContain: {attribute}\n" for attribute, _ in ATTRIBUTES)
            yield (f"dn: CN={name},CN=Schema,CN=Configuration,{BASE}\nchangetype: add\n"
                   f"objectClass: classSchema\ngovernsID: {ARC}.2.{number}\n"
                   f"lDAPDisplayName: {name}\nsubClassOf: {parent}\nobjectClassCategory: 1\n"
                   f"rDNAttID: cn\npossSuperiors: container\n{may if parent == 'top' else ''}"
                   f"schemaIDGUID:: {base64.b64encode(uuid.UUID(guid).bytes_le).decode()}\n")

    @staticmethod
    def tree():
        def container(dn):
            return f"dn: {dn}\nchangetype: add\nobjectClass: container\n\n"

        def folder(dn, kind, url):
            return (f"dn: {dn}\nchangetype: add\nobjectClass: {kind}\n"
                    f"msExchInternalHostName: {url}\n\n")
        made, dn = "", EXCHANGE
        made += container(dn)
        for name in ("Sample Org", "Administrative Groups",
                     "Exchange Administrative Group (FYDIBOHF23SPDLT)", "Servers"):
            dn = f"CN={name},{dn}"
            made += container(dn)
        for server in ("EX1", "EX2", "EX3"):
            for name in ("", "CN=Protocols,", "CN=HTTP,CN=Protocols,"):
                made += container(f"{name}CN={server},{SERVERS}")
            host = f"https://{server.lower()}.lab.test"
            made += folder(oab(server), "msExchOABVirtualDirectory", f"{host}/OAB")
            made += folder(owa(server), "msExchOWAVirtualDirectory", f"{host}/owa")
        return made

    @staticmethod
    def spn():
        return (f"dn: CN=DC1,OU=Domain Controllers,{BASE}\nchangetype: modify\n"
                "add: servicePrincipalName\nservicePrincipalName: ldap/dc1.lab.test\n")

    def launch(self):
        self.process = subprocess.Popen(
            ["samba", "-s", str(self.data / "etc/smb.conf"), "-F", "--no-process-group", "-M",
             "single"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        end = time.monotonic() + 30
        while time.monotonic() < end:
            if self.tool("ldapsearch", "-b", "", "-s", "base", check=False).returncode == 0:
                return
            time.sleep(0.1)
        raise AssertionError("the directory server does not answer")

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait(TIMEOUT)

    # A second client, which is not the tool under test.

    def tool(self, name, *words, stdin="", check=True):
        return run("timeout", "15", name, "-x", "-H", "ldaps://dc1.lab.test", "-D", ADMIN, "-w",
                   PASSWORD, "-o", "ldif_wrap=no", *words, stdin=stdin, check=check,
                   environment={"LDAPTLS_CACERT": str(self.ca)})

    def write(self, dn, attribute, value):
        """Another administrator at work: replaces, or removes with None."""
        text = "" if value is None else \
            f"{attribute}:: {base64.b64encode(value.encode()).decode()}\n"
        self.tool("ldapmodify", stdin=f"dn: {dn}\nchangetype: modify\nreplace: {attribute}\n{text}")

    def value(self, dn, attribute):
        for line in self.tool("ldapsearch", "-LLL", "-b", dn, "-s", "base",
                              attribute).stdout.splitlines():
            if line.startswith(attribute + ":: "):
                return base64.b64decode(line.split(":: ", 1)[1]).decode()
            if line.startswith(attribute + ": "):
                return line.split(": ", 1)[1]
        return None

    def guid(self, dn):
        for line in self.tool("ldapsearch", "-LLL", "-b", dn, "-s", "base",
                              "objectGUID").stdout.splitlines():
            if line.startswith("objectGUID:: "):
                return str(uuid.UUID(bytes_le=base64.b64decode(line.split(":: ", 1)[1])))
        raise AssertionError(f"no objectGUID of {dn}")
