# SPDX-License-Identifier: GPL-2.0
"""A fence around one app, which is a service of systemd or what a user runs: the app is silent or
in the tunnel, whatever happens to its unit, and the rest of the machine sends as it did."""

import os

import judge
import room
from scenario import begins, expect, on
from test_2_tunnel import leads_out

HERE = os.path.dirname(os.path.abspath(__file__))
APP = "app.service"
UNIT = """[Unit]
StartLimitIntervalSec=0

[Service]
ExecStart=/usr/bin/python3 /usr/local/lib/app.py /run/app
Restart=always
RestartSec=100ms

[Install]
WantedBy=multi-user.target
"""
CONFIG = f"[Fence]\nUnit={APP}\n\n[Tunnel]\nInterface=wg0\nWireGuardConfig=wg0.conf\n"
SLICE = "/tunfence.slice/tunfence-wg0.slice"
DOOR = 8081

# What the app sends; the rest of the machine's leaker sends the kinds that judge.py has.
KINDS = {"app-udp4", "app-udp6", "app-held-udp4", "app-packet", "app-held-packet", "app-tcp4"}


def kinds(guest, since):
    """What left the machine outside the tunnel since the mark."""
    return {"app-tcp4" if f.dport == DOOR else judge.kind(f) for f in guest.leaks(since)}


def app_leaks(guest, since):
    return {k for k in kinds(guest, since) if k.startswith("app-")}


def rounds(guest, count=8, file="/run/app", seconds=180):
    """The app of now has sent everything so many times more. Returns how often it was answered."""
    guest.run(f"""read -r start before pid <{file} || start=0
        until read -r now answers newpid <{file} && [ -d /proc/$newpid ] &&
            {{ [ "$newpid" != "$pid" ] || [ $now -ge $((start + {count})) ]; }} &&
            [ $now -ge {count} ]
        do sleep 0.2; done""", seconds)
    return int(guest.run(f"cat {file}").out.split()[1])


def held(guest, since, file="/run/app"):
    """Nothing of the app's since the mark, while it tried; the rest of the machine is free."""
    here = guest.mark()
    rounds(guest, file=file)
    guest.tried(2)
    expect(not (found := app_leaks(guest, since)), f"the app leaked {found}")
    expect(not (missing := judge.KINDS - kinds(guest, here)),
           f"the rest of the machine does not get out: {missing}")


def install_app(guest):
    with open(os.path.join(HERE, "app.py")) as file:
        guest.write("/usr/local/lib/app.py", file.read())
    guest.write(f"/etc/systemd/system/{APP}", UNIT)


def make_free(guest):
    """No fence, no tunnel, and the app leaks: each kind of it is seen."""
    guest.run("tunfence down wg0 && wg-quick down wg0")
    leads_out(guest)
    mark = guest.mark()
    guest.run(f"systemctl daemon-reload && systemctl start {APP}")
    rounds(guest)
    expect(app_leaks(guest, mark) == KINDS, f"without a fence leak {app_leaks(guest, mark)}")


def where(guest):
    return guest.run(f"systemctl show -P ControlGroup {APP}").out.strip()


def restarts(guest):
    """By systemctl, by a kill, by systemd itself."""
    for _ in range(5):
        guest.run(f"systemctl restart {APP}")
        rounds(guest, 3)
    expect(where(guest) == f"{SLICE}/{APP}", f"it is in {where(guest)}")
    guest.run(f"kill -9 $(systemctl show -P MainPID {APP})")
    rounds(guest, 3)
    guest.run(f"systemctl stop {APP} && systemctl start {APP} && systemctl daemon-reload")
    rounds(guest, 3)
    guest.run("systemctl daemon-reexec", 300)
    guest.run(f"systemctl restart {APP}", 300)
    rounds(guest, 3)


@begins("fenced")
@on("5.10", "6.12")
def test_app_by_its_unit(guest):
    """Fenced while it runs, restarted in every way, booted; in the tunnel when there is one."""
    install_app(guest)
    make_free(guest)
    guest.write("/etc/tunfence/wg0.conf", CONFIG)
    said = guest.run("tunfence up wg0").out
    mark = guest.mark()
    held(guest, mark)
    expect(where(guest) == f"/system.slice/{APP}", f"it is in {where(guest)}; up said: {said}")
    guest.run("tunfence status wg0")

    restarts(guest)
    held(guest, mark)
    guest.run("tunfence status wg0 && tunfence up wg0 && tunfence status wg0")
    for name in ("tunfence-wg0.slice", "tunfence.slice"):
        refused = guest.run(f"systemctl stop {name}", check=False)
        expect("refused" in refused.out, f"'systemctl stop {name}': {refused}")
    if guest.kernel.userland == "trixie":
        before = guest.hello
        guest.start("systemctl soft-reboot")
        guest.wait_agent(before)
        guest.ready()
        guest.run(f"wg-quick down wg0; systemctl start {APP}")
        held(guest, mark)
        guest.run("tunfence status wg0")

    before = rounds(guest)
    guest.run("wg-quick up wg0 || systemctl restart wg-quick@wg0")
    guest.tunnel_works()
    expect(rounds(guest, 20) > before, "the app gets no answer through the tunnel")
    guest.run("ip link del wg0; wg-quick down wg0", check=False)
    leads_out(guest)
    held(guest, mark)
    guest.run("tunfence status wg0")


@begins("fenced")
@on("5.10", "6.12")
def test_app_from_power_on(guest):
    """The fence is there before the app is started, at each boot; 'down' opens it and says so."""
    install_app(guest)
    make_free(guest)
    guest.run(f"""systemctl enable {APP}
        systemctl disable wg-quick@wg0
        systemctl stop {APP}""")
    guest.write("/etc/tunfence/wg0.conf", CONFIG)
    said = guest.run("tunfence up wg0").out
    mark = guest.mark()
    guest.run(f"systemctl start {APP}")
    held(guest, mark)
    guest.reboot()
    guest.ready()
    guest.wait("ip -6 route | grep -q '^default'")
    held(guest, mark)
    guest.run("tunfence status wg0")
    expect(where(guest) == f"{SLICE}/{APP}", f"it is in {where(guest)}")
    said = guest.run("tunfence down wg0").out
    expect("no longer fenced in" in said and "python3" in said, said)
    mark = guest.mark()
    guest.run(f"systemctl restart {APP}")
    rounds(guest)
    expect(app_leaks(guest, mark) == KINDS, f"after 'down' leak {app_leaks(guest, mark)}")
    expect(where(guest) == f"/system.slice/{APP}", f"it is in {where(guest)}")
    left = guest.run("ls /run/systemd/system/*/zz-tunfence-*", check=False)
    expect(left.code, f"'down' leaves {left.out}")


@begins("fenced")
@on("5.10")
def test_app_in_a_slice(guest):
    """A slice that is not there yet is started, and stays when nothing is in it."""
    install_app(guest)
    guest.run(f"printf '[Service]\\nSlice=fenced.slice\\n' >>/etc/systemd/system/{APP}")
    make_free(guest)
    guest.run(f"systemctl stop {APP} && systemctl stop fenced.slice")
    guest.write("/etc/tunfence/wg0.conf", CONFIG.replace(APP, "fenced.slice"))
    guest.run("tunfence up wg0")
    mark = guest.mark()
    guest.run(f"systemctl start {APP}")
    held(guest, mark)
    expect(where(guest) == f"/fenced.slice/{APP}", f"it is in {where(guest)}")
    refused = guest.run("systemctl stop fenced.slice", check=False)
    expect("refused" in refused.out, f"'systemctl stop fenced.slice': {refused}")
    guest.run(f"systemctl stop {APP} && systemctl start {APP} && tunfence status wg0")
    held(guest, mark)
    guest.run("tunfence down wg0 && systemctl stop fenced.slice && ! systemctl is-active app")


def install_native(guest):
    """The example's drop-in, for a unit that no fence names."""
    with open("/repo/user/examples/transmission-daemon.drop-in") as file:
        text = file.read().replace("tunfence/app/", "tunfence/wg0/").replace("@app", "@wg0")
    guest.write("/etc/systemd/system/native.service", UNIT.replace("/run/app", "/run/native"))
    guest.write("/etc/systemd/system/native.service.d/tunfence.conf", text)


@begins("fenced")
@on("5.10", "6.12")
def test_app_that_says_so_itself(guest):
    """The drop-in names the pinned programs: silent through restarts and a replaced fence; not
    started without one. After 'down' systemd 252 opens it with the next daemon-reload."""
    install_app(guest)
    install_native(guest)
    guest.write("/etc/tunfence/wg0.conf", CONFIG.replace(f"Unit={APP}", "Scope=cgroup"))
    guest.run("tunfence down wg0 && wg-quick down wg0")
    leads_out(guest)
    guest.run("systemctl daemon-reload")
    failed = guest.run("systemctl start native", check=False)
    expect(failed.code, "it was started without a fence")
    guest.run("tunfence up wg0")
    mark = guest.mark()
    guest.run("systemctl start native")
    held(guest, mark, file="/run/native")
    for _ in range(3):
        guest.run("systemctl restart native")
        rounds(guest, 3, "/run/native")
    guest.run("tunfence up wg0 && systemctl daemon-reload && "
              "kill -9 $(systemctl show -P MainPID native)")
    held(guest, mark, file="/run/native")
    guest.run("wg-quick up wg0")
    guest.tunnel_works()
    before = rounds(guest, file="/run/native")
    expect(rounds(guest, 20, "/run/native") > before, "it gets no answer through the tunnel")
    guest.run("wg-quick down wg0")
    leads_out(guest)
    held(guest, mark, file="/run/native")
    guest.run("tunfence down wg0")
    failed = guest.run("systemctl restart native", check=False)
    expect(failed.code and "ssert" in failed.out, f"it was started without a fence: {failed}")


@begins("fenced")
@on("5.10", "6.12")
def test_app_run_by_a_user(guest):
    """From his session, through the door that an administrator opened."""
    install_app(guest)
    guest.write("/etc/tunfence/wg0.conf", CONFIG.replace(f"Unit={APP}", "Scope=cgroup"))
    guest.run("tunfence down wg0 && wg-quick down wg0")
    leads_out(guest)
    guest.run("useradd -u 1000 -m somebody && systemctl enable --now tunfence-run.socket")
    command = ("systemd-run --quiet --scope --slice=user-1000.slice --uid=1000 --gid=1000 "
               "tunfence run wg0 -- ")
    refused = guest.run(f"{command} true", check=False)
    expect(refused.code and "not up" in refused.out, f"without a fence: {refused}")
    guest.run("tunfence up wg0")
    said = guest.run(f"{command} sh -c 'id -un; cat /proc/self/cgroup; exit 7'", check=False)
    expect(said.code == 7 and "somebody" in said.out and SLICE in said.out, f"{said}")
    mark = guest.mark()
    guest.run(f"setsid {command} python3 /usr/local/lib/app.py /tmp/app >/dev/null 2>&1 &")
    held(guest, mark, file="/tmp/app")
    expect("app-udp4" not in kinds(guest, mark), "the app leaked")
    guest.run("wg-quick up wg0")
    guest.tunnel_works()
    before = rounds(guest, file="/tmp/app")
    expect(rounds(guest, 20, "/tmp/app") > before, "it gets no answer through the tunnel")
    guest.run("ip link del wg0; wg-quick down wg0", check=False)
    leads_out(guest)
    held(guest, mark, file="/tmp/app")
    said = guest.run("tunfence down wg0").out
    expect("no longer fenced in" in said and "python3" in said, said)
    mark = guest.mark()
    rounds(guest, file="/tmp/app")
    expect("app-udp4" in kinds(guest, mark), "the app is fenced in after 'down'")
