# SPDX-License-Identifier: GPL-2.0
#
# What fish completes after "tunfence". Its words are compared with the program's by
# tests/check-words.

function __tunfence_names
    path basename -- (path filter -- /etc/tunfence/*.conf /etc/wireguard/*.conf 2>/dev/null) |
        string replace -r '\.conf$' ''
    path basename -- (path filter -d -- /sys/fs/bpf/tunfence/* 2>/dev/null) |
        string match -v "~*"
end

# Whether the command is one of these.
function __tunfence_is
    __fish_seen_subcommand_from $argv
end

set -l commands up down status blocked watch metrics sync check explain run verify prepare gate admit version help
set -l groups socket tcp uring raw packet ring xdp kernel name plumbing forward side route tunnel impostor inbound spoof

complete -c tunfence -f
complete -c tunfence -n "not __tunfence_is $commands" -a up -d 'raise the fence, or replace it'
complete -c tunfence -n "not __tunfence_is $commands" -a down -d 'open the fence'
complete -c tunfence -n "not __tunfence_is $commands" -a status -d 'whether it is safe, and what was stopped'
complete -c tunfence -n "not __tunfence_is $commands" -a blocked -d 'which program would have leaked what'
complete -c tunfence -n "not __tunfence_is $commands" -a watch -d 'the same as it happens'
complete -c tunfence -n "not __tunfence_is $commands" -a metrics -d 'the fences as numbers, for Prometheus'
complete -c tunfence -n "not __tunfence_is $commands" -a sync -d 'follow the world'
complete -c tunfence -n "not __tunfence_is $commands" -a check -d 'say what is wrong with a configuration'
complete -c tunfence -n "not __tunfence_is $commands" -a explain -d 'what the fence says of a packet'
complete -c tunfence -n "not __tunfence_is $commands" -a run -d 'start a program inside a fence'
complete -c tunfence -n "not __tunfence_is $commands" -a verify -d 'fire every leak we know'
complete -c tunfence -n "not __tunfence_is $commands" -a prepare -d 'make the mounts that hold fences'
complete -c tunfence -n "not __tunfence_is $commands" -a gate -d 'pass once the fence stands'
complete -c tunfence -n "not __tunfence_is $commands" -a admit -d 'move who is connected into a fence'
complete -c tunfence -n "not __tunfence_is $commands" -a version -d 'print the version'
complete -c tunfence -n "not __tunfence_is $commands" -a help -d 'print how a command is used'

complete -c tunfence -n '__tunfence_is up down status blocked watch metrics sync run gate' -a '(__tunfence_names)'
complete -c tunfence -n '__tunfence_is up check run' -F
complete -c tunfence -n '__tunfence_is help' -a "$commands"
complete -c tunfence -n '__tunfence_is explain' -a 'in udp tcp icmp wireguard from to dev mark plane fence cgroup'

complete -c tunfence -l force -d 'up: also when this cuts the SSH session'
complete -c tunfence -l json -d 'status, blocked, watch, explain, verify: print JSON'
complete -c tunfence -l verbose -s v -d 'status: each hook, each counter'
complete -c tunfence -l follow -d 'sync: go on, and say what changed'
complete -c tunfence -l exempt -d 'run: exempt of the fence, not in it'
complete -c tunfence -l top -x -d 'blocked: only the most frequent'
complete -c tunfence -l since -x -a '10min 1h today' -d 'blocked: only what came since'
complete -c tunfence -l app -x -d 'blocked, watch: only of this program or unit'
complete -c tunfence -l clear -d 'blocked: forget it all'
complete -c tunfence -l only -x -a "$groups" -d 'verify: only this vector or group'
complete -c tunfence -l by -r -F -d 'verify: test another kill switch'
complete -c tunfence -l output -r -F -d 'metrics: into this file'
complete -c tunfence -l journal -d 'watch: into the journal'
complete -c tunfence -l pcap -r -F -d 'watch: packets into this new file'
complete -c tunfence -l config-dir -x -a '(__fish_complete_directories)' -d 'where NAME.conf is'
complete -c tunfence -l wireguard-dir -x -a '(__fish_complete_directories)' -d 'where the files of WireGuard are'
complete -c tunfence -l socket-dir -x -a '(__fish_complete_directories)' -d 'where user-space WireGuard listens'
complete -c tunfence -l cgroup -x -a '(__fish_complete_directories)' -d 'what stands for the machine'
complete -c tunfence -l bpffs -x -a '(__fish_complete_directories)' -d 'BPF file system for the pins'
complete -c tunfence -l run-dir -x -a '(__fish_complete_directories)' -d 'for the lock and our own BPF file system'
complete -c tunfence -l state-dir -x -a '(__fish_complete_directories)' -d 'for the last good addresses of endpoint names'
complete -c tunfence -l help -d 'print the commands and options'
complete -c tunfence -l version -d 'print the version'
