# SPDX-License-Identifier: GPL-2.0
"""The fences as numbers: those that status has, in a form that Prometheus' own tools take."""

import http.server
import json
import os
import re
import shutil
import stat
import subprocess
import threading
import urllib.error
import urllib.parse
import urllib.request

import sandbox
import world as w
from sandbox import Failure, Skip, until
from test_10_blocked import NO_NETFILTER, many, raise_with_tunnel, take_socket_plane_off
from test_2_verdict import relative
from test_4_tunnel import REAL, served
from test_6_command import says

GOOD = {"attached", "tcx", "clsact"}
ABSENT = "not on this kernel"
SAMPLE = re.compile(r'(\w+)(?:\{((?:\w+="(?:[^"\\\n]|\\.)*",?)*)\})? (\d+)')
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
ESCAPED = {"\\n": "\n", '\\"': '"', "\\\\": "\\"}


def parse(text):
    """Name and labels of each sample -> its value. Anything that is not as it should be fails."""
    lines = text.split("\n")
    if lines[-2:] != ["# EOF", ""]:
        raise Failure(f"the last line is '{lines[-2:]}'")
    found, done, family = {}, set(), None
    for line in lines[:-2]:
        if match := re.fullmatch(r"# (HELP|TYPE) (\w+) (.+)", line):
            if match[1] == "HELP":
                done.add(family)
                family = match[2]
            if match[2] != family or match[2] in done:
                raise Failure(f"not where it belongs: {line}")
            continue
        match = SAMPLE.fullmatch(line)
        if not match or match[1] != family:
            raise Failure(f"no sample of {family}: {line}")
        labels = {name: re.sub(r"\\.", lambda m: ESCAPED[m[0]], value)
                  for name, value in LABEL.findall(match[2] or "")}
        key = (family, frozenset(labels.items()))
        if key in found:
            raise Failure(f"twice: {line}")
        found[key] = int(match[3])
    return found


def sample(name, **labels):
    return f"tunfence_{name}", frozenset(labels.items())


def metrics(world, *args, code=0, **options):
    return parse(world.must(world.tunfence("metrics", *args, **options), code).out)


def holds(found, wanted):
    """Each sample that is wanted, as it is wanted; None: there is none."""
    for key, value in wanted.items():
        if found.get(key) != value:
            raise Failure(f"{key[0]} {dict(key[1])} is {found.get(key)}, not {value}")


def of_counters(fence):
    name = fence["name"]
    return {sample(kind + "_total", fence=name, plane=c["plane"], verdict=c["verdict"],
                   reason=c["reason"]): c[kind]
            for c in fence["counters"] for kind in ("packets", "bytes")}


def of_hooks(fence):
    name = fence["name"]
    found = {sample("hook_up", fence=name, plane=h["plane"], hook=h["hook"]): h["state"]
             for h in fence["hooks"]}
    found |= {sample("hook_up", fence=name, plane=hook, hook=hook, interface=i["name"]): i[hook]
              for i in fence["interfaces"] for hook in ("wire", "ingress") if hook in i}
    return {key: int(state in GOOD) for key, state in found.items() if state != ABSENT}


def of_tunnels(fence):
    name, found = fence["name"], {}
    for t in fence["tunnels"]:
        found[sample("tunnel_up", fence=name, tunnel=t["name"])] = int(t["up"])
        for source in ("policy", "live"):
            found[sample("tunnel_endpoints", fence=name, tunnel=t["name"], source=source)] = sum(
                e["source"] == source for e in t["endpoints"])
    return found


def of_status(text):
    """What the metrics must be, by what status --json says; but for handshakes and the version."""
    status = json.loads(text)
    found = {sample("fenced"): int(status["fenced"])}
    for fence in status["fences"]:
        name = fence["name"]
        found |= {sample("fence_up", fence=name): 1,
                  sample("fence_whole", fence=name): int(fence["fenced"]),
                  sample("fence_info", fence=name, mode=fence["mode"], scope=fence["scope"]): 1,
                  sample("fence_problems", fence=name): len(fence["problems"]),
                  sample("fence_raised_timestamp_seconds", fence=name): fence["since"],
                  sample("fence_looked_timestamp_seconds", fence=name): fence["looked"]}
        if fence["names"]:
            found[sample("fence_resolved_timestamp_seconds", fence=name)] = max(
                n["resolved"] for n in fence["names"])
        found |= of_counters(fence) | of_hooks(fence) | of_tunnels(fence)
    return found


def of_blocked(world):
    """What they must be by what blocked --json says; of fences where nothing was cleared."""
    found = {}
    for said in json.loads(world.must(world.tunfence("blocked", "--json")).out)["fences"]:
        name = said["name"]
        found |= {sample("planes_disagree_packets_total", fence=name): said["round"]["packets"],
                  sample("blocked_entries", fence=name): said["used"],
                  sample("blocked_room", fence=name): said["room"],
                  sample("blocked_missed_packets", fence=name): said["missed"]["packets"]}
    return found


def of_wireguard(world, interface="wg0"):
    with world.client:
        told = subprocess.run(["wg", "show", interface, "latest-handshakes"], check=True,
                              capture_output=True, text=True).stdout
    return max(int(line.split()[1]) for line in told.splitlines())


def same_as_status(world, code=0, read=metrics):
    """Between two answers of status that are the same, since the world goes on. Returns the metrics
    and what status had."""
    def look():
        before = world.must(world.tunfence("status", "--json"), code).out
        found = read(world, code=code)
        wanted = of_status(before) | of_blocked(world)
        return world.tunfence("status", "--json").out == before and (found, wanted)
    found, wanted = until(look, 20, "two equal answers of status")
    rest = {k: v for k, v in found.items() if k not in wanted}
    holds(found, wanted)
    if strange := [k for k, v in rest.items() if k[0] != "tunfence_build_info" and
                   "handshake" not in k[0] and not (k[0].endswith("_total") and v == 0)]:
        raise Failure(f"status does not have {strange}")
    return found, wanted


def test_numbers_are_those_of_status(world):
    """Of a real tunnel, with packets of every kind; a replaced fence counts on."""
    served(world)
    world.up(REAL)
    world.silent(w.udp(w.ROUTER, 9), w.tcp(w.ROUTER, 80), w.udp(w.ROUTER, 53))
    found, wanted = same_as_status(world)
    handshake = sample("tunnel_last_handshake_timestamp_seconds", fence="wg0", tunnel="wg0")
    holds(found, {sample("fenced"): 1, sample("tunnel_up", fence="wg0", tunnel="wg0"): 1,
                  handshake: of_wireguard(world)})
    if not found[handshake]:
        raise Failure("there was no handshake")
    if not any(v for k, v in wanted.items() if "drop" in dict(k[1]).values()):
        raise Failure("nothing was dropped")
    world.up(REAL)
    again, _ = same_as_status(world)
    if lost := [k for k, v in found.items() if k[0].endswith("_total") and again[k] < v]:
        raise Failure(f"counted back: {lost}")


def test_every_reason_is_there_before_its_first_packet(world):
    """Else increase() does not see that packet. And a counter is a drop's or it is not."""
    world.up()
    found = metrics(world)
    series = {k for k in found if k[0] == "tunfence_packets_total"}
    drop = sample("packets_total", fence="wg0", plane="socket", verdict="drop",
                  reason="not_allowed")
    if drop not in series or len(series) < 100:
        raise Failure(f"{len(series)} series only")
    if found[drop]:
        raise Failure("something was dropped already")


def test_without_a_fence(world):
    found = metrics(world, code=3)
    holds(found, {sample("fenced"): 0})
    if len(found) != 2:
        raise Failure(f"there are more: {found}")
    found = metrics(world, "wg0", code=3)
    holds(found, {sample("fenced"): 0, sample("fence_up", fence="wg0"): 0,
                  sample("fence_whole", fence="wg0"): 0})
    world.up()
    holds(metrics(world, "wg0"), {sample("fenced"): 1, sample("fence_up", fence="wg0"): 1})
    holds(metrics(world, "other", code=3),
          {sample("fenced"): 0, sample("fence_up", fence="other"): 0})
    world.down()
    holds(metrics(world, code=3), {sample("fenced"): 0, sample("fence_up", fence="wg0"): None})


def test_what_is_not_well(world):
    """An interface without its hooks, a fence that only observes, one of another namespace."""
    world.up()
    world.veth(world.client, "eth9", world.router, "peer9")
    hook = sample("hook_up", fence="wg0", plane="wire", hook="wire", interface="eth9")
    found, _ = same_as_status(world, 3)
    holds(found, {hook: 0, sample("fenced"): 0, sample("fence_whole", fence="wg0"): 0})
    world.sync()
    holds(metrics(world), {hook: 1, sample("fenced"): 1})
    holds(metrics(world, code=3, namespace=world.namespace()),
          {sample("fenced"): 0, sample("fence_up", fence="wg0"): 1,
           sample("fence_whole", fence="wg0"): 0})
    world.write_config("[Fence]\nMode=observe\n" + w.BASIC)
    world.tunfence("up", "wg0")
    found, _ = same_as_status(world, 3)
    holds(found, {sample("fence_info", fence="wg0", mode="observe", scope="system"): 1,
                  sample("fenced"): 0})


def test_several_fences(world):
    world.up()
    child = world.cgroup.child("app")
    try:
        world.up(f"[Fence]\nScope=cgroup\nCgroup={relative(world, child)}\n" + w.BASIC, "app",
                 cgroup=None)
        found, _ = same_as_status(world)
        holds(found, {sample("fence_info", fence="app", mode="enforce", scope="cgroup"): 1,
                      sample("fence_info", fence="wg0", mode="enforce", scope="system"): 1})
        if any(dict(k[1]).get("fence") == "wg0" for k in metrics(world, "app")):
            raise Failure("the other fence is there, too")
        world.down("app")
    finally:
        child.remove()


def test_age_of_what_the_fence_knows(world):
    """sync makes it young again; what is not resolved is said to be."""
    world.up(w.BASIC + "Endpoint=udp name.invalid:9\n")
    looked = sample("fence_looked_timestamp_seconds", fence="wg0")
    raised = sample("fence_raised_timestamp_seconds", fence="wg0")
    world.below(os.utime, os.path.join(world.run_dir, "wg0.json"), (1_000_000_007, 1_000_000_007))
    holds(metrics(world), {looked: 1_000_000_007,
                           sample("fence_resolved_timestamp_seconds", fence="wg0"): 0})
    world.sync()
    found = metrics(world)
    if found[looked] < found[raised]:
        raise Failure(f"sync did not note that it looked: {found[looked]}")


def test_tunnel_that_goes(world):
    """Nothing is said of the handshake of a device that is not there."""
    tunnel = served(world)
    world.up(REAL)
    handshake = sample("tunnel_last_handshake_timestamp_seconds", fence="wg0", tunnel="wg0")
    if not metrics(world).get(handshake):
        raise Failure("there was no handshake")
    tunnel.kill()
    holds(metrics(world), {handshake: None, sample("fenced"): 1,
                           sample("tunnel_up", fence="wg0", tunnel="wg0"): 0})


def test_hostile_interface_names(world):
    """Whoever can name an interface cannot spoil the file, nor what is shown of it."""
    names = [b'a"b\\', b"\\x1b", b"\x1b[31m", b"\xff\xfe", b"\xef\xbf\xbdff", b"\xc3\xa9", b"{}=1"]
    with world.client:
        for number, name in enumerate(names):
            rest = f"type veth peer name peer{number} netns {world.router.path}"
            subprocess.run([b"ip", b"link", b"add", name, *rest.encode().split()], check=True)
    world.up()
    world.sync()
    text = world.must(world.tunfence("metrics")).out
    shown = [dict(k[1])["interface"] for k in parse(text)
             if k[0] == "tunfence_hook_up" and dict(k[1])["hook"] == "wire" and
             dict(k[1])["interface"] != "eth0"]
    bad = "\ufffd"
    wanted = ['a"b\\', "\\x1b", f"{bad}1b[31m", f"{bad}ff{bad}fe", f"{bad}ef{bad}bf{bad}bdff",
              "\xe9", "{}=1"]
    if sorted(shown) != sorted(wanted):
        raise Failure(f"shown as {shown}")
    if unsafe := [c for c in text if c != "\n" and not c.isprintable() and c != bad]:
        raise Failure(f"not for a terminal: {unsafe}")
    promtool(text, "check", "metrics")


def promtool(text, *words):
    if not shutil.which("promtool"):
        raise Skip("there is no promtool; apt-get install prometheus")
    done = subprocess.run(["promtool", *words], input=text, capture_output=True, text=True,
                          check=False)
    if done.returncode or done.stderr or (words[0] == "check" and done.stdout):
        raise Failure(f"promtool {' '.join(words)}: {done.stdout}{done.stderr}")


def test_what_blocked_knows(world):
    """Of more kinds of packets than it has room for."""
    raise_with_tunnel(world, environment={"TUNFENCE_FAULT": "few-blocked"})
    world.agent.call(many, 0x0B000000, 3000)
    entries, room, missed = (sample(f"blocked_{what}", fence="wg0")
                             for what in ("entries", "room", "missed_packets"))
    found, _ = same_as_status(world)
    if not (found[missed] and 0 < found[entries] <= found[room] < 3000):
        raise Failure(f"{found[missed]} missed, {found[entries]} of {found[room]} there")
    world.must(world.tunfence("blocked", "wg0", "--clear"))
    holds(same_as_status(world)[0], {missed: 0, entries: 0, room: found[room]})


def test_planes_that_disagree(world):
    """They count on when blocked is cleared, as counters do."""
    raise_with_tunnel(world, environment=NO_NETFILTER)
    disagree = sample("planes_disagree_packets_total", fence="wg0")
    world.silent(w.udp(w.OTHER, 9))
    holds(same_as_status(world)[0], {disagree: 0})
    world.below(take_socket_plane_off, os.path.join(world.run_dir, "bpf"))
    world.silent(w.udp(w.OTHER, 11))
    holds(same_as_status(world, 3)[0], {disagree: 1})
    world.must(world.tunfence("blocked", "wg0", "--clear"))
    holds(metrics(world, code=3), {disagree: 1})


def test_promtool(world):
    promtool(world.must(world.tunfence("metrics"), 3).out, "check", "metrics")
    world.up(w.BASIC + "Endpoint=udp name.invalid:9\n")
    promtool(world.must(world.tunfence("metrics")).out, "check", "metrics")


def test_output(world):
    """The file is there as a whole or not at all, and for everybody to read."""
    world.up()
    directory = os.path.join(world.directory, "out")
    os.mkdir(directory)
    path, victim = os.path.join(directory, "tunfence.prom"), os.path.join(world.directory, "victim")
    with open(victim, "w") as file:
        file.write("not touched")
    os.symlink(victim, path + ".new")
    umask = ("sh", "-c", 'umask 077; exec "$@"', "sh")
    said = world.must(world.tunfence("metrics", "--output", path, wrapper=umask))
    if said.out or said.err or os.listdir(directory) != ["tunfence.prom"]:
        raise Failure(f"it says {said}, and leaves {os.listdir(directory)}")
    if stat.S_IMODE(os.lstat(path).st_mode) != 0o644 or open(victim).read() != "not touched":
        raise Failure("it has another mode, or a link was followed")
    stop, torn = threading.Event(), []

    def watch():
        while not stop.is_set():
            with open(path) as file:
                if not file.read().endswith("# EOF\n"):
                    torn.append(1)
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for _ in range(20):
            world.must(world.tunfence("metrics", "--output", path))
    finally:
        stop.set()
        watcher.join()
    if torn:
        raise Failure(f"seen half-written {len(torn)} times")
    holds(parse(open(path).read()), {sample("fenced"): 1})
    world.down()
    world.must(world.tunfence("metrics", "--output", path), 3)
    holds(parse(open(path).read()), {sample("fenced"): 0})


def test_output_that_cannot_be_written(world):
    world.up()
    missing = os.path.join(world.directory, "missing/tunfence.prom")
    says(world.must(world.tunfence("metrics", "--output", missing), 1), f"'{missing}'", "directory")
    if os.path.exists(os.path.dirname(missing)):
        raise Failure("it made the directory")
    says(world.must(world.tunfence("metrics", "--output", "/dev/full/x"), 1), "/dev/full/x")
    full = ("sh", "-c", 'exec "$@" >/dev/full', "sh")
    says(world.must(world.tunfence("metrics", wrapper=full), 1), "standard output")


def test_who_may_not_look_is_not_told_that_it_is_safe(world):
    """In place of what was written before."""
    world.up()
    directory = os.path.join(world.directory, "out")
    os.mkdir(directory)
    os.chmod(world.directory, 0o755)
    path = os.path.join(directory, "tunfence.prom")
    world.must(world.tunfence("metrics", "--output", path))
    os.chown(directory, 65534, 65534)
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    says(world.must(world.tunfence("metrics", "--output", path, wrapper=nobody), 1), "root")
    holds(parse(open(path).read()), {sample("fenced"): 0, sample("fence_up", fence="wg0"): None})


# ---- a real Prometheus ---------------------------------------------------------------------------

HERE = os.path.dirname(os.path.abspath(__file__))
OURS = os.path.join(HERE, "../../user/prometheus")
EXPORTER, DIRECT, PROMETHEUS = 9100, 9101, 9090

SCRAPE = """
global:
  scrape_interval: 1s
  scrape_timeout: 1s
  evaluation_interval: 1s
rule_files: ["{rules}"]
scrape_configs:
  - job_name: node
    static_configs: [{{targets: ["127.0.0.1:{exporter}"]}}]
  - job_name: direct
    static_configs: [{{targets: ["127.0.0.1:{direct}"]}}]
"""


def serve_as_openmetrics(port, path):
    """For ever; in an agent. Before there is a file, and to who does not wait, nothing."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            with open(path, "rb") as file:
                text = file.read()
            self.send_response(200)
            self.send_header("Content-Type",
                             "application/openmetrics-text; version=1.0.0; charset=utf-8")
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_):
            pass
    server = http.server.HTTPServer(("127.0.0.1", port), Handler)
    server.handle_error = lambda *_: None
    server.serve_forever()


class Monitor:
    """node_exporter and Prometheus on the loopback of a namespace of their own. The job "node" has
    read the file by way of the textfile collector, the job "direct" as OpenMetrics."""

    def __init__(self, world):
        self.world, self.namespace = world, world.namespace()
        self.textfiles = os.path.join(world.directory, "textfiles")
        self.path = os.path.join(self.textfiles, "tunfence.prom")
        os.mkdir(self.textfiles)
        data = os.path.join(world.directory, "prometheus")
        config = os.path.join(world.directory, "prometheus.yml")
        with open(config, "w") as file:
            file.write(SCRAPE.format(rules=os.path.join(OURS, "tunfence.rules.yml"),
                                     exporter=EXPORTER, direct=DIRECT))
        world.new_agent(self.namespace).begin(serve_as_openmetrics, DIRECT, self.path)
        self.start("prometheus-node-exporter", "--collector.disable-defaults",
                   "--collector.textfile", f"--collector.textfile.directory={self.textfiles}",
                   f"--web.listen-address=127.0.0.1:{EXPORTER}")
        self.start("prometheus", f"--config.file={config}", f"--storage.tsdb.path={data}",
                   f"--web.listen-address=127.0.0.1:{PROMETHEUS}")

    def start(self, program, *options):
        if not shutil.which(program):
            raise Skip(f"there is no {program}; apt-get install {program}")
        log = os.path.join(self.world.directory, f"{program}.log")
        with self.namespace, open(log, "w") as said:
            self.world.processes.append(subprocess.Popen(
                [program, *options], preexec_fn=sandbox.die_with_parent, stdin=subprocess.DEVNULL,
                stdout=said, stderr=said))

    def ask(self, what, **parameters):
        """What the API says; None: it does not answer yet."""
        url = f"http://127.0.0.1:{PROMETHEUS}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with self.namespace:
            try:
                with opener.open(url, timeout=5) as answer:
                    return json.load(answer)["data"]
            except urllib.error.HTTPError as error:
                if error.code == 503:
                    return None
                raise Failure(f"{parameters or what}: {error.read().decode()}") from None
            except OSError:
                return None

    def query(self, expression):
        answer = self.ask("query", query=expression)
        return answer and answer["result"]

    def samples(self, job):
        """As parse() has them."""
        found = {}
        for row in self.query(f'{{__name__=~"tunfence_.+", job="{job}"}}') or ():
            labels = dict(row["metric"])
            name = labels.pop("__name__")
            del labels["job"], labels["instance"]
            found[(name, frozenset(labels.items()))] = int(row["value"][1])
        return found

    def write(self, world, code=0):
        """The numbers of now."""
        world.must(world.tunfence("metrics", "--output", self.path), code)
        with open(self.path) as file:
            return parse(file.read())

    def has(self, wanted):
        """Returns when Prometheus has these and no others, both ways."""
        for job in ("node", "direct"):
            until(lambda j=job: self.samples(j) == wanted, 60, f"Prometheus' numbers, job {job}")

    def alerts(self):
        return {alert["labels"]["alertname"] for alert in self.ask("alerts")["alerts"]
                if alert["labels"]["job"] == "node"}


def expressions():
    """(title, expression) of each panel, with what Grafana puts in place of its variables."""
    with open(os.path.join(OURS, "tunfence-dashboard.json")) as file:
        board = json.load(file)
    for part in (*board["panels"], *board["annotations"]["list"]):
        for target in part.get("targets", [part]):
            text = target["expr"].replace("$__rate_interval", "1m")
            yield part.get("title") or part["name"], re.sub(r"\$\w+", ".*", text)


def test_prometheus_has_the_same_numbers(world):
    """By way of the textfile collector and as OpenMetrics; also of an interface with quotes."""
    monitor = Monitor(world)
    world.veth(world.client, 'a"b', world.router, "other")
    served(world)
    world.up(REAL)
    for shots in ((w.udp(w.ROUTER, 9),), (w.tcp(w.ROUTER, 80), w.udp(w.ROUTER, 53))):
        world.silent(*shots)
        found, _ = same_as_status(world, read=monitor.write)
        monitor.has(found)
    kind = monitor.ask("targets/metadata", metric="tunfence_packets_total",
                       match_target='{job="node"}')
    if not kind or kind[0]["type"] != "counter" or "judged" not in kind[0]["help"]:
        raise Failure(f"Prometheus takes the counter for {kind}")
    error = monitor.query("node_textfile_scrape_error")
    if not error or error[0]["value"][1] != "0":
        raise Failure(f"the textfile collector has an error: {error}")


def test_prometheus_takes_alerts_and_dashboard(world):
    """Every expression can be asked and has an answer, but for those that look for what is wrong.
    An interface has a name that spoils what is not careful."""
    monitor = Monitor(world)
    with world.client:
        subprocess.run([b"ip", b"link", b"add", b'a"\\\xff\x1b', b"type", b"veth"], check=True)
    served(world)
    world.up(REAL)
    for _ in range(3):
        world.silent(w.udp(w.ROUTER, 9))
        monitor.has(monitor.write(world))
    for title, text in expressions():
        answer = monitor.query(text)
        if answer is None or (not answer and not re.search("(> 0|== 0)", text)):
            raise Failure(f"'{title}' has no answer: {text}")
    rules = [rule for group in monitor.ask("rules")["groups"] for rule in group["rules"]]
    if not rules or (bad := [r["name"] for r in rules if r["health"] != "ok"]):
        raise Failure(f"rules that cannot be judged: {bad if rules else 'there are none'}")
    if alerts := monitor.alerts():
        raise Failure(f"all is well, and there are alerts: {alerts}")
    world.down()
    monitor.has(monitor.write(world, 3))
    until(lambda: monitor.alerts() >= {"TunfenceNotFenced", "TunfenceFenceGone"}, 60, "the alerts")
