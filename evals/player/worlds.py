"""The simulated products: started fresh for each task, and read beside the server to see what changed."""

import json
import re
import subprocess
import time
import urllib.parse
import urllib.request

TOKEN = "demo-token"
# Xen Orchestra sees a change some 150 ms after it was made.
LOOK_EVERY = 0.3
MOST_LOOKS = 30


class World:
    """A running simulator, to be closed by leaving its `with`."""

    product = ""
    credential = ""
    # Properties that say nothing, or follow from objects that are compared themselves.
    derived = {}
    # Collections in which objects appear by themselves whenever something is done.
    growing = ()

    def __init__(self, binary, task_duration):
        self._process = subprocess.Popen(
            [binary, "simulate", self.product, "--listen", "0", "--token", TOKEN,
             "--task-duration", task_duration],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        self.url = None
        for line in self._process.stdout:
            found = re.search(r"listens on (http://\S+)", line)
            if found:
                self.url = found[1]
                return
        raise RuntimeError(f"the simulator of {self.product} did not start")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.communicate()

    def objects(self):
        """Returns all objects that count, as {(collection, id): object}."""
        return {
            (collection, key): {
                name: value for name, value in item.items()
                if name not in self.derived.get(collection, ()) and name not in self.derived["*"]
            }
            for collection, key, item in self._read()
        }

    def settled(self):
        """Returns the objects once nothing changes any more: products show changes a moment later."""
        last = None
        for _ in range(MOST_LOOKS):
            time.sleep(LOOK_EVERY)
            now = self.objects()
            if now == last:
                break
            last = now
        return last

    def _read(self):
        raise NotImplementedError

    def _fetch(self, path, headers, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, headers=headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)


class XenOrchestra(World):
    """Everything that has a collection in the REST API, but what only logs."""

    product = "xen-orchestra"
    credential = "CREDENTIAL_XEN_ORCHESTRA_TOKEN"
    collections = (
        "vms", "vm-snapshots", "vm-templates", "hosts", "pools", "srs", "vdis", "vdi-snapshots", "vbds",
        "vifs", "networks", "pifs", "pbds", "tasks", "messages", "alarms", "backup-jobs", "backup-logs",
        "backup-repositories", "schedules", "servers", "proxies", "users", "groups", "acl-roles",
        "acl-privileges",
    )
    growing = ("tasks", "messages")
    derived = {
        "*": ("href", "_xapiRef", "current_operations", "updatedAt"),
        "vms": ("snapshots", "$VBDs", "VIFs", "startTime"),
        "hosts": ("residentVms", "memory", "controlDomain"),
        "srs": ("VDIs", "physical_usage", "usage"),
        "vdis": ("$VBDs", "snapshots"),
        "networks": ("VIFs",),
        "groups": ("users",),
        "acl-roles": ("privilegeIds",),
    }

    def _read(self):
        for collection in self.collections:
            path = f"/{collection}?fields=*"
            for item in self._fetch(path, {"Cookie": f"authenticationToken={TOKEN}"}):
                yield collection, item["id"], item


class DanubeCloud(World):
    """Backup definitions of all datacenters, and the backups of all nodes."""

    product = "danube-cloud"
    credential = "CREDENTIAL_DANUBE_CLOUD_API_KEY"
    datacenters = ("main", "lab", "full")
    nodes = ("backup01.example.com", "backup02.example.com", "backup03.example.com")
    derived = {"*": ()}

    def _read(self):
        for datacenter in self.datacenters:
            query = urllib.parse.urlencode({"dc": datacenter, "full": "true"})
            for item in self._result(f"/vm/define/backup/?{query}"):
                key = f"{item['hostname']} {item['name']} {item['disk_id']}"
                yield "definitions", key, item
        for node in self.nodes:
            for item in self._result(f"/node/{node}/backup/?full=true"):
                key = f"{item['hostname']} {item['name']} {item['disk_id']}"
                yield "backups", key, item

    def _result(self, path):
        return self._fetch(path, {"ES-API-KEY": TOKEN, "Accept": "application/json"})["result"]


class XoProxy(World):
    """What lies in the repository, and how the appliance is set."""

    product = "xo-proxy"
    credential = "CREDENTIAL_XO_PROXY_TOKEN"
    repository = "nfs://nas.example.com:/srv/backups"
    derived = {"*": ("backupRepository",)}

    def _read(self):
        remotes = {"remotes": {"r": {"url": self.repository}}}
        for backups in self._call("backup.listVmBackups", remotes)["r"].values():
            for backup in backups:
                yield "vm-backups", backup["id"], backup
        for backups in self._call("backup.listPoolMetadataBackups", remotes)["r"].values():
            for backup in backups:
                yield "pool-backups", backup["id"], backup
        for backup in self._call("backup.listXoMetadataBackups", remotes)["r"]:
            yield "xo-backups", backup["id"], backup
        channel = self._call("appliance.updater.getLocalManifest", {})["channel"]
        yield "appliance", "updater", {"name": "updater", "channel": channel}
        tunnel = self._call("appliance.supportTunnel.getState", {})["open"]
        yield "appliance", "support tunnel", {"name": "support tunnel", "open": tunnel}

    def _call(self, method, params):
        headers = {
            "Cookie": f"authenticationToken={TOKEN}", "Content-Type": "application/json",
        }
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return self._fetch("/api/v1", headers, body)["result"]


WORLDS = {world.product: world for world in (XenOrchestra, DanubeCloud, XoProxy)}


def name_of(item):
    """Returns the name by which a person knows an object."""
    vm = item.get("vm")
    if isinstance(vm, dict):
        return vm.get("name_label", "")
    if "hostname" in item:
        return f"{item['hostname']} {item['name']}"
    for key in ("name_label", "name", "label", "jobName", "id"):
        if item.get(key):
            return str(item[key])
    return ""
